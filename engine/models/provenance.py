"""interval.json beside a model, as it is written when a model is installed, and what it says of where it came from.

    name, license, conversation   as asked for, or as the hub says
    source, revision     hub id and commit of a downloaded model
    sha256               weight file (its path within the folder) -> hash, as it was when the model was installed
    base_sha256          the same of the base, of an adapter or projector: what it was made or installed for

Fields this module does not know are kept as they are; those that decide how a model is used are read elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

NAME = "interval.json"
_CHUNK = 1 << 22


def read(folder: Path) -> dict[str, Any]:
    """What interval.json says; {} where there is none or it cannot be read."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write(folder: Path, known: Mapping[str, Any], **changes: Any) -> None:
    """Write ``known`` with ``changes`` on top; a change to None or "" says nothing. Takes the place of the old file."""
    said = {key: value for key, value in changes.items() if value not in (None, "")}
    partial = folder / f".{NAME}.{os.getpid()}.partial"
    partial.write_text(json.dumps({**known, **said}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(folder / NAME)


def hashes(folder: Path, field: str = "sha256") -> dict[str, str]:
    """The recorded hashes (or those of the base), those aside whose path leads out of the folder."""
    recorded = read(folder).get(field)
    if not isinstance(recorded, Mapping):
        return {}
    inside = {str(name): str(value) for name, value in recorded.items() if ".." not in PurePosixPath(str(name)).parts}
    return {name: value.lower() for name, value in inside.items() if not PurePosixPath(name).is_absolute()}


def digest(file: Path, report: Callable[[int], None], copy_to: Path | None = None) -> str:
    """The sha256 of a file, read now; ``report`` is given the bytes of each part. Copies it on the way if asked."""
    total = hashlib.sha256()
    with file.open("rb") as source, copy_to.open("wb") if copy_to else nullcontext() as target:
        while part := source.read(_CHUNK):
            total.update(part)
            if target is not None:
                target.write(part)
            report(len(part))
    return total.hexdigest()

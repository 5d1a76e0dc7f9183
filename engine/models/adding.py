"""Install a model, adapter, projector, vision tower or language model that lies elsewhere on this machine.

What belongs to it is copied, or linked file by file; nothing of the source is changed, and nothing is installed until
all of it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import ModelError, UsageError
from engine.models import catalogue, contents, conversation, installed, provenance
from engine.models.survey import Survey, survey

Report = Callable[[str, int, int], None]
"""File, bytes done and bytes in all."""


@dataclass(frozen=True)
class Added:
    """What was installed: how the new folder looks from where it is, how many files, how many bytes."""

    found: Survey
    files: int
    size: int


def add(
    source: Path,
    *,
    name: str = "",
    link: bool = False,
    license: str = "",
    template: str = "",
    report: Report = lambda file, done, total: None,
) -> Added:
    """Install what lies in the folder ``source``.

    Args:
        name: its name in ``models/``; else its hub id for a part of other models, else the name of its folder.
        link: link to the files instead of copying them; the source must then stay where it is.
        license, template: what interval.json is to say, on top of what it says already.

    Raises:
        ModelError: it is nothing that can be used; ``problems`` lists everything wrong with it at once.
        UsageError: the name is taken or cannot be one, or the source is installed already.
        ResourceError: it does not fit on the disk; nothing was copied.
    """
    source = source.expanduser()
    if template:
        template = conversation.template(template).name
    found = survey(source)
    found.check()
    if source.resolve().is_relative_to(paths.models().resolve()):
        raise UsageError(f"{source} is in {paths.models()} already.")
    folder = installed.named(name or default_name(source, found.kind))
    names = contents.files(source)
    weights = {file.resolve() for part in contents.weights(source) for file in part.files}
    sizes = {file: (source / file).stat().st_size for file in names}
    total = sum(sizes.values())
    installed.need_space(0 if link else total)
    done, sha256 = 0, {}
    with installed.installing(folder) as partial:
        for file in (file for file in names if file != provenance.NAME):
            original, target = (source / file).resolve(), partial / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if link:
                _link(original, target)
            before = done

            def progress(size: int, file: str = file) -> None:
                nonlocal done
                done += size
                report(file, done, total)

            digest = provenance.digest(original, progress, None if link else target)
            if original in weights:
                sha256[file] = digest
            if done - before != sizes[file]:
                raise ModelError(f"{file} changed while it was read; nothing was installed.")
        provenance.write(
            partial,
            _base_record(found) | provenance.read(source),
            name=name,
            license=license,
            conversation=template,
            sha256=sha256,
        )
    return Added(survey(folder), len(names), total)


def _base_record(found: Survey) -> dict[str, Any]:
    """The hashes of the base of an adapter or projector, where it is here and records them."""
    base = found.model.tokenizer if found.model is not None else found.path
    known = provenance.hashes(base) if base != found.path else {}
    return {"base_sha256": known} if known else {}


def default_name(source: Path, kind: str) -> str:
    """The name of what lies in ``source``: OWNER/NAME for parts of other models where the owner is known."""
    source = source.resolve()
    name = source.name
    cached = source.parent.parent.name if source.parent.name == "snapshots" else ""
    if cached.startswith("models--"):  # the hub's cache: models--OWNER--NAME/snapshots/COMMIT
        name = "/".join(cached.split("--")[1:])
    if kind in (contents.TOWER, contents.LANGUAGE_MODEL):
        known = (one.hub_id for one in catalogue.CATALOGUE)
        parts = (part for one in catalogue.CATALOGUE for part in (*one.towers, one.language_model))
        return next((hub_id for hub_id in (*known, *parts) if hub_id.rpartition("/")[2] == name), name)
    return name.rpartition("/")[2]


def _link(original: Path, target: Path) -> None:
    try:
        target.symlink_to(original)
    except OSError as error:
        raise UsageError("This system does not let you make links here; leave --link out to copy the files.") from error

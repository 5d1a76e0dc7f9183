"""The folder ``models/``: what lies in it, which folder a name means, room for another one, and taking one away.

A model is ``models/NAME``; what only serves other models (a vision tower, a language model below adapters) is
``models/OWNER/NAME``, as its hub id says. What is unfinished lies in ``models/.unfinished``, where nothing looks for
models.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from engine import paths
from engine.errors import ModelError, ResourceError, UsageError
from engine.models import contents
from engine.models.survey import Survey, survey

DEMO = "demo-tac"
"""The model that belongs to the repository."""

MARGIN = 200_000_000
"""Bytes of the disk that are left free."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_ABANDONED = re.compile(r".+\.(\d+)\.partial")


def folders() -> list[Path]:
    """Every folder of ``models/`` that holds a model, an adapter or a part of one, by name."""
    return sorted(found for child in _children(paths.models()) for found in _at_or_below(child))


def locate(name: str | Path) -> Path:
    """The folder a person means: a path, else the folder of that name in ``models/``; a path too if it is neither."""
    as_path = Path(name).expanduser()
    inside = paths.models() / name
    return inside if not as_path.is_dir() and inside.is_dir() else as_path


def named(name: str) -> Path:
    """Where a model of this name would be installed.

    Raises UsageError for a name that cannot be one and for a place that is taken: nothing is ever overwritten.
    """
    if _NAME.fullmatch(name) is None or any(part.endswith(".") for part in name.split("/")):
        raise UsageError(
            f"{name!r} cannot be the name of a model; use letters, digits, dots, dashes: NAME or OWNER/NAME."
        )
    folder = paths.models() / name
    if os.path.lexists(folder):
        raise UsageError(f"There is a model {name} already. Choose another --name or remove that one first.")
    owner = folder.parent
    if owner != paths.models() and contents.kind(owner):
        raise UsageError(f"{owner.name} is a model itself and cannot hold another one.")
    return folder


def unfinished(name: str) -> Path:
    """A folder of this name for what is not to be seen yet; made with all that leads to it.

    What earlier processes left there when they were killed is swept, where it is of no use to a later one.
    """
    place = paths.models() / ".unfinished"
    for left in place.iterdir() if place.is_dir() else ():
        match = _ABANDONED.fullmatch(left.name)
        if match is not None and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)
    (place / name).mkdir(parents=True, exist_ok=True)
    return place / name


@contextmanager
def installing(folder: Path) -> Iterator[Path]:
    """A new folder out of sight that takes the place of ``folder`` when the block ends, and is gone after any error."""
    partial = unfinished(f"{folder.name}.{os.getpid()}.partial")
    try:
        yield partial
        put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _drop_if_empty(partial.parent)


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename a finished folder to its name. Raises UsageError if somebody else took the name meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(folder):
        raise UsageError(f"Another program has just installed {folder.name}; nothing was overwritten.")
    partial.rename(folder)
    _drop_if_empty(partial.parent)


def need_space(size: int) -> None:
    """Raise ResourceError unless ``size`` bytes fit on the disk of ``models/``."""
    place = next(folder for folder in (paths.models(), *paths.models().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < size + MARGIN:
        raise ResourceError(
            f"This needs {size / 1e9:.1f} GB of disk, and {max(0, free - MARGIN) / 1e9:.1f} GB are free. "
            "Free some space and try again."
        )


def removable(name: str | Path) -> Path:
    """The folder (or the link) to be removed. Raises ModelError for none, UsageError for one outside ``models/``."""
    inside = paths.models() / name
    folder = inside if os.path.lexists(inside) else Path(name).expanduser()
    if not os.path.lexists(folder):
        raise ModelError(f"There is no model {name}.")
    # The last part stays as it is: a link is removed and not what it leads to.
    folder = folder.absolute()
    folder = folder.parent.resolve() / folder.name
    root = paths.models().resolve()
    inside_root = folder.is_relative_to(root) and 1 <= len(folder.relative_to(root).parts) <= 2
    if ".." in folder.parts or not inside_root:
        raise UsageError(
            f"{name} is not in {paths.models()}. Only installed models are removed here; delete it yourself."
        )
    if folder.parent != root and contents.kind(folder.parent):
        raise UsageError(f"{name} is part of the model {folder.parent.name}; nothing is removed.")
    if not folder.is_symlink() and not contents.kind(folder):
        raise ModelError(f"{name} is not a model folder; nothing is removed.")
    return folder


def remove(folder: Path) -> None:
    """Remove what ``removable`` returned: a link alone, or a folder without following links in it."""
    if folder.is_symlink():
        folder.unlink()
    else:
        # Out of sight first: a removal that is interrupted leaves no half of a model behind.
        gone = unfinished(f"{folder.name}.{os.getpid()}.partial")
        folder.rename(gone / folder.name)
        shutil.rmtree(gone)
        _drop_if_empty(gone.parent)
    if folder.parent != paths.models().resolve():
        _drop_if_empty(folder.parent)


def users(folder: Path) -> list[Survey]:
    """The installed models that use what lies in ``folder``: their vision tower or their base."""
    used = folder.resolve()
    found = [survey(other) for other in folders() if other.resolve() != used]
    return [other for other in found if any(part.resolve().is_relative_to(used) for part in _parts(other))]


def _parts(found: Survey) -> list[Path]:
    files = [file.parent for file in found.weights.files]
    return [*files, *([found.tower.folder] if found.model is not None and found.tower is not None else [])]


def _at_or_below(child: Path) -> list[Path]:
    return [child] if contents.kind(child) else [inner for inner in _children(child) if contents.kind(inner)]


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [child for child in folder.iterdir() if not child.name.startswith(".") and child.is_dir()]


def _drop_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds something else
        folder.rmdir()

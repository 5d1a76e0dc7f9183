"""Which folders the studio may look into: the data folder, the project, and those that the user has added.

Paths are typed or chosen, never uploaded: what a model is trained on lies on this machine already and may be large. A
path counts where it really leads: a link out of an allowed folder is outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import paths
from engine.errors import InputError, UsageError
from trainer_ui.services import kept

MOST = 500
"""Entries of a folder that are listed."""


class Outside(UsageError):
    """A path that exists and lies in no folder the studio may look into. ``folder`` is what would have to be added."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The studio has not been allowed to look into {folder} yet.")
        self.folder = folder


@dataclass(frozen=True)
class Root:
    """A folder the studio may look into, and what it is to the user."""

    name: str
    path: Path
    added: bool


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by name: folders, files of the wanted kinds, and how many entries are not listed."""

    folder: Path
    parent: Path | None
    folders: tuple[str, ...]
    files: tuple[str, ...]
    more: int


def roots() -> tuple[Root, ...]:
    """The folders the studio may look into; those that are gone are left out."""
    fixed = (Root("data folder", paths.home(), False), Root("project", paths.PROJECT, False))
    added = [Root(Path(text).name or text, Path(text), True) for text in kept.read("folders").get("added", [])]
    return tuple(root for root in (*fixed, *added) if root.path.is_dir())


def allow(text: str) -> Path:
    """Let the studio look into a folder from now on. Raises UsageError unless it is one."""
    folder = _named(text)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of this machine.")
    if folder == Path(folder.anchor):
        raise UsageError(f"{folder} holds everything. Name the folder in which your data lies.")
    if not inside(folder):
        with kept.changed("folders") as content:
            content["added"] = [*content.get("added", []), str(folder)]
    return folder


def forget(folder: Path) -> None:
    """Look into an added folder no more; its files stay."""
    with kept.changed("folders") as content:
        content["added"] = [text for text in content.get("added", []) if text != str(folder)]


def inside(path: Path) -> bool:
    """Whether the studio may look at ``path``."""
    real = path.resolve()
    return any(real.is_relative_to(root.path.resolve()) for root in roots())


def file(text: str, suffixes: Sequence[str] = ()) -> Path:
    """The file that was typed. Raises InputError if there is none of these kinds, Outside if it may not be read."""
    path = _named(text)
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path.name} is not one of the files that are wanted here: {', '.join(suffixes)}.")
    if not inside(path):
        raise Outside(path.resolve().parent)
    return path


def folder(text: str) -> Path:
    """The folder that was typed. Raises InputError if there is none, Outside if it may not be read."""
    path = _named(text)
    if not path.is_dir():
        raise InputError(f"There is no folder {path}.")
    if not inside(path):
        raise Outside(path.resolve())
    return path


def listing(place: Path, suffixes: Sequence[str] = ()) -> Listing:
    """What lies in a folder. Raises Outside and, where it cannot be read, InputError; hidden entries are left out."""
    if not inside(place):
        raise Outside(place.resolve())
    folders, found = [], []
    try:
        for entry in place.iterdir():
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(tuple(suffixes) or ("",)):
                found.append(entry.name)
    except OSError as cause:
        raise InputError(
            f"The folder {place} cannot be read: {(cause.strerror or 'unknown reason').lower()}."
        ) from cause
    parent = place.parent if place.parent != place and inside(place.parent) else None
    more = max(0, len(folders) - MOST) + max(0, len(found) - MOST)
    return Listing(place, parent, tuple(sorted(folders)[:MOST]), tuple(sorted(found)[:MOST]), more)


def _named(text: str) -> Path:
    cleaned = text.strip().strip("\"'")
    if not cleaned or "\0" in cleaned:
        raise UsageError("Type the whole path, from its beginning.")
    path = Path(cleaned).expanduser()
    if not path.is_absolute():
        raise UsageError(f"Type the whole path of {cleaned}, from its beginning.")
    return path

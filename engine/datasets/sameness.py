"""Which image files are the same: by their bytes, and by their pixels, so that a copy saved anew is found.

Bytes are compared in three passes, each over what the one before could not tell apart: size, the first 64 KiB, all. In
a set without copies hardly a file is read. Pixels are those a model is shown (``engine.imaging.to_pil``): a DICOM
file and the PNG that was made of it are the same image. Knows paths, not samples.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from engine.datasets.pictures import Look, look
from engine.errors import DatasetError

HEAD = 65_536
"""Bytes that tell nearly all files of one size apart."""

Progress = Callable[[int, int], None]


def same_files(paths: Iterable[Path], like: Collection[Path] | None = None) -> dict[Path, Path]:
    """Path -> the first of ``paths`` with the same bytes. A file that is not there is only the same as itself.

    With ``like``, a set, only copies of those are looked for: the others need not be told apart, and are not read.

    Raises:
        DatasetError: a file vanished or could not be read to its end.
    """
    everything = list(dict.fromkeys(paths))
    same = {path: path for path in everything}
    try:
        groups = [everything]
        for key in (_size, _head, _whole):
            groups = [
                group
                for group in _alike(groups, key)
                if len(group) > 1 and (like is None or any(path in like for path in group))
            ]
        for group in groups:
            same |= dict.fromkeys(group, group[0])
    except OSError as cause:
        raise DatasetError("An image changed while the images were compared. Try again.") from cause
    return same


def same_pixels(
    paths: Iterable[Path], *, workers: int = 2, progress: Progress | None = None
) -> tuple[dict[Path, Path], Mapping[Path, Look]]:
    """Path -> the first of ``paths`` that shows the same picture, and what was seen of each file.

    Every file is decoded in a worker process; one that cannot be is only the same as itself.
    """
    seen = look(paths, decode=True, workers=workers, progress=progress)
    first: dict[str, Path] = {}
    same = {path: first.setdefault(found.pixels or f"file {path}", path) for path, found in seen.items()}
    return same, seen


def _alike(groups: Iterable[list[Path]], key: Callable[[Path], object]) -> list[list[Path]]:
    """The groups, each split by a key."""
    found: list[list[Path]] = []
    for group in groups:
        parts: dict[object, list[Path]] = defaultdict(list)
        for path in group:
            parts[key(path)].append(path)
        found.extend(parts.values())
    return found


def _size(path: Path) -> object:
    try:
        return path.stat().st_size if path.is_file() else path
    except OSError:
        return path


def _head(path: Path) -> object:
    if not path.is_file():
        return path
    with path.open("rb") as file:
        return hashlib.sha256(file.read(HEAD)).digest()


def _whole(path: Path) -> object:
    if not path.is_file():
        return path
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()

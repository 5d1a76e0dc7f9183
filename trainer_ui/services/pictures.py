"""The images of a row as a person sees them: opened as the viewer opens them, made smaller for the screen.

Pictures are kept in memory alone, the last few of them. Whatever cannot be opened says why, in the picture's place.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image as PillowImage

from engine.errors import UnreadableFile
from engine.imaging import Reader, to_pil
from engine.imaging.types import View

LARGEST = 1200
"""Pixels of the longer side on the screen; larger pictures are made smaller, none is made larger."""

ROLES = ("Current", "Prior")
_ACROSS = {"L": "left", "R": "right", "A": "front", "P": "back", "H": "head", "F": "feet"}
_OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


@dataclass(frozen=True)
class Picture:
    """One image for the screen.

    Attributes:
        role: "Current" or "Prior".
        png: the picture; empty where ``fault`` says why there is none.
        size: columns and rows of the file.
        words: view, size and sides, in words.
        notes: what the reader has found worth saying.
    """

    role: str
    file: str
    png: bytes = b""
    size: tuple[int, int] = (0, 0)
    words: str = ""
    notes: tuple[str, ...] = ()
    fault: str = ""


def pictures(images: Sequence[Path], view: str = "") -> tuple[Picture, ...]:
    """Current and prior of a row, in this order. ``view`` is of the current image, as the row has it."""
    distinct = list(dict.fromkeys(images))
    opened = _opened(tuple((path, _changed(path)) for path in distinct))
    found = []
    for role, path in zip(ROLES, images, strict=False):
        one = opened[distinct.index(path)]
        stated = view if role == ROLES[0] else ""
        if isinstance(one, str):
            found.append(Picture(role, path.name, fault=one))
        else:
            words = " · ".join((_view(one, stated), f"{one.size[0]} × {one.size[1]} pixels", one.sides))
            found.append(Picture(role, path.name, one.png, one.size, words, one.notes))
    return tuple(found)


@dataclass(frozen=True)
class _Opened:
    png: bytes
    size: tuple[int, int]
    view: View
    sides: str
    notes: tuple[str, ...]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _opened(images: tuple[tuple[Path, int], ...]) -> tuple[_Opened | str, ...]:
    """Each image, or why it cannot be opened, as long as the files stay as they are."""
    with Reader() as reader:
        return tuple(_one(reader, path) for path, _ in images)


def _one(reader: Reader, path: Path) -> _Opened | str:
    if not path.is_file():
        return f"{path.name} is not there. Are the images in another folder?"
    try:
        image = reader.read(path)
    except UnreadableFile as error:
        return str(error)
    picture = to_pil(image)
    picture.thumbnail((LARGEST, LARGEST), PillowImage.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return _Opened(out.getvalue(), (image.columns, image.rows), image.view, sides(image.orientation), image.notes)


def _view(one: _Opened, stated: str) -> str:
    if one.view is not View.UNKNOWN:
        return str(one.view)
    return stated or "view not said"


def sides(orientation: Sequence[str]) -> str:
    """Which side of the patient is where, from DICOM's Patient Orientation: of rows to the right, columns down."""
    if len(orientation) != 2 or not all(orientation):
        return "sides not said"
    first, second = (letters[0] for letters in orientation)
    if first not in _OPPOSITE or second not in _OPPOSITE:
        return "sides not said"
    return f"{_ACROSS[_OPPOSITE[first]]} of the patient at the left edge, {_ACROSS[_OPPOSITE[second]]} at the top"

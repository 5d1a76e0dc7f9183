"""Text that is burned into a picture, found by its shape: a warning for a person, not proof of its absence.

Letters written into pixels are small, of one grey value, alike in height, and stand in a line side by side. Anatomy,
wires and clips are not, and side markers with a technologist's initials are too short. What is found is to be looked
at; DICOM's Burned In Annotation (0028,0301) says the same where it is set. Knows grey values only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

LARGEST = 2048
"""Pictures are halved until no side is longer: letters are still larger than a few pixels then."""

LETTERS = 5
"""Signs in a line that make it text. "L", "R", and three initials beside them are markers."""

CONTRAST = 50
"""Grey levels by which a stroke differs from what surrounds it."""

SAME_GREY = 14
"""Grey levels by which the strokes of one line differ; JPEG makes them differ at all."""

OWN = 0.9
"""Share of what stands out in the box of a line that belongs to its signs: noise is full of specks."""

_SMALLEST, _TALLEST, _WIDEST = 6, 0.05, 2.2


@dataclass(frozen=True)
class Line:
    """A line of signs: its box in pixels of the picture, and how many signs it has."""

    left: int
    top: int
    right: int
    bottom: int
    signs: int


@dataclass(frozen=True)
class _Sign:
    left: int
    top: int
    right: int
    bottom: int
    grey: int
    pixels: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def text_lines(picture: PillowImage.Image) -> tuple[Line, ...]:
    """Lines of what looks like written text, upright or turned by a quarter, light on dark or dark on light."""
    grey = np.asarray(picture.convert("L"))
    scale = 1
    while max(grey.shape) > LARGEST:
        grey, scale = _halved(grey), scale * 2
    found: list[Line] = []
    for turned in (False, True):
        plane = np.ascontiguousarray(grey.T) if turned else grey
        for dark in (False, True):
            signs, raised = _signs(255 - plane if dark else plane)
            for line in _lines(signs, raised):
                left, top, right, bottom = (scale * side for side in (line.left, line.top, line.right, line.bottom))
                box = (top, left, bottom, right) if turned else (left, top, right, bottom)
                found.append(Line(*box, line.signs))
    return tuple(found)


def _halved(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half the size by means of four; an odd last row or column goes."""
    rows, columns = (side // 2 * 2 for side in grey.shape)
    four = grey[:rows, :columns].astype(np.uint16).reshape(rows // 2, 2, columns // 2, 2)
    return np.asarray(four.sum(axis=(1, 3)) // 4, dtype=np.uint8)


def _signs(grey: NDArray[np.uint8]) -> tuple[list[_Sign], NDArray[np.bool_]]:
    """Small bright shapes of the size of letters, and all that rises from what surrounds it (white top-hat)."""
    tallest = max(2 * _SMALLEST, round(_TALLEST * min(grey.shape)))
    window = max(9, tallest // 2 | 1)
    opened = ndimage.grey_opening(grey, size=(window, window))
    mask = grey.astype(np.int16) - opened > CONTRAST
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3), bool))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not _SMALLEST <= height <= tallest or width > _WIDEST * height:
            continue
        shape = labels[box] == number
        filled = float(shape.mean())
        if filled < 0.15 or (filled > 0.95 and width > height / 2):
            continue
        values = grey[box][shape]
        found.append(_Sign(columns.start, rows.start, columns.stop, rows.stop, int(values.max()), int(shape.sum())))
    return found, mask


def _lines(signs: Sequence[_Sign], raised: NDArray[np.bool_]) -> list[Line]:
    """Chains of signs, each the right neighbour of the one before: near, level, as tall, of the same grey."""
    ordered = sorted(signs, key=lambda sign: sign.left)
    chains: list[list[_Sign]] = []
    for sign in ordered:
        chain = next((chain for chain in reversed(chains) if _follows(chain[-1], sign)), None)
        if chain is None:
            chains.append([sign])
        else:
            chain.append(sign)
    lines = []
    for chain in chains:
        left, right = min(sign.left for sign in chain), max(sign.right for sign in chain)
        top, bottom = min(sign.top for sign in chain), max(sign.bottom for sign in chain)
        own = sum(sign.pixels for sign in chain)
        if len(chain) >= LETTERS and own >= OWN * int(raised[top:bottom, left:right].sum()):
            lines.append(Line(left, top, right, bottom, len(chain)))
    return lines


def _follows(left: _Sign, right: _Sign) -> bool:
    taller, smaller = max(left.height, right.height), min(left.height, right.height)
    return (
        -0.3 * taller <= right.left - left.right <= 1.2 * taller
        and smaller >= 0.5 * taller
        and min(left.bottom, right.bottom) - max(left.top, right.top) >= 0.6 * smaller
        and abs(left.grey - right.grey) <= SAME_GREY
    )

"""The images this process may show: known by hash once opened, kept in memory up to a budget, read again when needed.

A hash nobody has opened in this process is unknown here, whatever the history holds. Knows no page and no route.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import NotFound
from engine.imaging import intake
from engine.imaging.types import Image

BUDGET = 1 << 30
NO_PIXELS = np.zeros((1, 1), np.uint16)


def weight(image: Image) -> int:
    """Bytes of memory the image holds."""
    arrays = (image.pixels, image.padding, image.rgb)
    return sum(array.nbytes for array in arrays if array is not None)


def teller(image: Image) -> Callable[[Image], Image]:
    """What is known of an image beside its file, as a function that says it of the file read again."""
    bare = replace(image, pixels=NO_PIXELS, padding=None, rgb=None)

    def tell(fresh: Image) -> Image:
        return replace(
            fresh,
            source=bare.source,
            patient=bare.patient,
            acquired=bare.acquired,
            acquired_basis=bare.acquired_basis,
            date_reliable=bare.date_reliable,
            view=bare.view,
            view_basis=bare.view_basis,
        )

    return tell


class ImageStore:
    """Images by hash. ``file_of`` gives the stored copy of a file by its hash."""

    def __init__(self, file_of: Callable[[str], Path], budget: int = BUDGET) -> None:
        self._file_of = file_of
        self._budget = budget
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, Image] = OrderedDict()
        self._told: dict[str, Callable[[Image], Image]] = {}

    def add(self, image: Image) -> None:
        """Make the image known, or replace what is known of it (the reader has said who and when)."""
        with self._lock:
            self._told[image.sha256] = teller(image)
            self._loaded.pop(image.sha256, None)
            self._loaded[image.sha256] = image
            self._shrink()

    def get(self, sha256: str) -> Image:
        """The image with this hash. Raises NotFound when nobody has opened it here."""
        with self._lock:
            told = self._told.get(sha256)
            found = self._loaded.get(sha256)
            if found is not None:
                self._loaded.move_to_end(sha256)
                return found
        if told is None:
            raise NotFound("This image is not open here. Open its report from History, or drop the file again.")
        image = told(intake.read_image(self._file_of(sha256)))
        with self._lock:
            self._loaded[sha256] = image
            self._shrink()
        return image

    def forget(self, sha256: str) -> None:
        """Answer nobody about this image until it is opened again."""
        with self._lock:
            self._told.pop(sha256, None)
            self._loaded.pop(sha256, None)

    def _shrink(self) -> None:
        total = sum(weight(image) for image in self._loaded.values())
        while total > self._budget and len(self._loaded) > 2:
            _, dropped = self._loaded.popitem(last=False)
            total -= weight(dropped)

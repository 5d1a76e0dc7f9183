"""The images of a data set at the tower's size, as 8-bit values, prepared once where the disk has room for them.

Decoding and resizing are nearly all of an image's cost and the same in every epoch. Images are opened by the worker
process that opens them for a draft, and made into pixels by the same functions, so that what is trained on is what is
shown. The file is named after the images (path, size, time of change) and the processor, and made again when one of
them differs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine import paths
from engine.datasets.pictures import readers
from engine.errors import DatasetError, UnreadableFile
from engine.imaging.display import to_pil
from engine.models.preprocessing import ImageProcessor, normalise, to_uint8

READERS = 2
LARGEST_SHARE = 0.5
"""Of the free disk: a store that would take more is not made, and images are prepared whenever they are needed."""

Pixels = npt.NDArray[np.uint8]


class _Coloured(Exception):
    """A picture whose three channels differ."""


class PixelStore:
    """The images of a data set, by number.

    Args:
        images: paths, each once; ``rows`` gives the number of one.
        processor: makes a picture into the tower's input.
        report: called with the images prepared so far and their total.

    Raises:
        DatasetError: an image is missing or cannot be read.
    """

    def __init__(
        self,
        images: Sequence[Path],
        processor: ImageProcessor,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.processor = processor
        self.rows = {path: row for row, path in enumerate(images)}
        self._images = tuple(images)
        self._report = report
        folder = paths.ensure(paths.home() / "cache" / "pixels")
        file = folder / f"{_fingerprint(images, processor)}.npy"
        self._stored: npt.NDArray[np.uint8] | None = None
        if not file.exists() and self._size(1) < LARGEST_SHARE * shutil.disk_usage(folder).free:
            self._fill(file)
        if file.exists():
            self._stored = np.load(file, mmap_mode="r")

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """The tower's input for some rows, float32 ``[U, 3, height, width]``."""
        if self._stored is not None:
            found = [np.repeat(p, 3, axis=2) if p.shape[2] == 1 else p for p in (self._stored[row] for row in rows)]
        else:
            found = list(self._read(rows))
        return torch.from_numpy(np.stack([normalise(pixels, self.processor) for pixels in found]))

    def _size(self, channels: int) -> int:
        height, width = self.processor.crop
        return len(self._images) * height * width * channels

    def _fill(self, file: Path) -> None:
        """Write the store: one channel a picture where all pictures are grey, else three."""
        partial = file.with_suffix(".partial")
        try:
            try:
                self._write(partial, 1)
            except _Coloured:
                if self._size(3) >= LARGEST_SHARE * shutil.disk_usage(file.parent).free:
                    return
                self._write(partial, 3)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    def _write(self, file: Path, channels: int) -> None:
        shape = (len(self._images), *self.processor.crop, channels)
        store = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        for row, pixels in enumerate(self._read(range(len(self._images)))):
            if channels == 1 and not (pixels == pixels[..., :1]).all():
                raise _Coloured
            store[row] = pixels[..., :channels]
            self._report(row + 1, len(self._images))
        store.flush()

    def _read(self, rows: Sequence[int]) -> Iterator[Pixels]:
        with readers(READERS) as opened, ThreadPoolExecutor(READERS) as pool:

            def read(row: int) -> Pixels:
                try:
                    return to_uint8(to_pil(opened(self._images[row])), self.processor)
                except UnreadableFile as error:
                    raise DatasetError(f"A training image cannot be used: {error}") from error

            yield from pool.map(read, rows)


def _fingerprint(images: Sequence[Path], processor: ImageProcessor) -> str:
    digest = hashlib.sha256(repr(asdict(processor)).encode())
    for path in images:
        try:
            status = path.stat()
        except OSError as error:
            raise DatasetError(f"The training image {path.name} is missing.") from error
        digest.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]

"""Training samples: conversations as ids with labels, images as 8-bit pixels, both prepared once.

The ids are those of one pass of the tokenizer over the whole conversation, split at the image as at inference; the
labels are found by character offsets: what lies in an answer or in its terminator is learnt, all else is ignored.
Preprocessing is the function inference calls, so what is trained on is what is shown.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from engine import paths
from engine.errors import DatasetError
from engine.models.composite import IGNORED
from engine.models.conversation import Template, render
from engine.models.preprocessing import ImageProcessor, normalise, to_uint8
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN, encode
from engine.training.auxiliary import TruthTable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation about one or two images: ids with one IMAGE_TOKEN, labels, and rows of the pixel store."""

    id: str
    current: int
    prior: int
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


def label(tokenizer: Any, template: Template, question: str, answer: str) -> tuple[list[int], list[int]]:
    """The ids of a question about the images with its answer, and their labels.

    Raises:
        DatasetError: the tokenizer gives no character offsets or the answer vanished in them.
    """
    before, after = template.answer
    prompt = render(template, question)
    ids: list[int] = []
    labels: list[int] = []
    chunks = (prompt + before + answer + after).split(IMAGE_TEXT)
    supervised = len(prompt.split(IMAGE_TEXT)[-1])
    for number, chunk in enumerate(chunks):
        chunk_ids = encode(tokenizer, chunk)
        spans = tokenizer(chunk, return_offsets_mapping=True).offset_mapping
        last = number == len(chunks) - 1
        if last and len(spans) != len(chunk_ids):
            raise DatasetError("This tokenizer does not tell where its tokens stand in the text.")
        learnt = [last and end > supervised for _, end in spans] if last else [False] * len(chunk_ids)
        if number:
            ids.append(IMAGE_TOKEN)
            labels.append(IGNORED)
            if chunk_ids and chunk_ids[0] == tokenizer.bos_token_id:
                chunk_ids, learnt = chunk_ids[1:], learnt[1:]
        ids += chunk_ids
        labels += [token if keep else IGNORED for token, keep in zip(chunk_ids, learnt, strict=True)]
    if all(value == IGNORED for value in labels):
        raise DatasetError("Nothing of an answer would be learnt: it is empty.")
    return ids, labels


class PixelStore:
    """The images of a data set at the tower's size, as 8-bit values in one memory-mapped file.

    Decoding and resizing are nearly all of an image's cost and the same in every epoch. The file is named after the
    images (path, size, time of change) and the processor, and made again when one of them differs.
    """

    def __init__(self, images: Sequence[Path], processor: ImageProcessor) -> None:
        self.processor = processor
        self.rows = {path: row for row, path in enumerate(images)}
        shape = (len(images), *processor.crop, 3)
        file = paths.ensure(paths.home() / "cache" / "pixels") / f"{_fingerprint(images, processor)}.npy"
        if not file.exists():
            self._fill(file, images, shape)
        self._pixels = np.load(file, mmap_mode="r")

    def _fill(self, file: Path, images: Sequence[Path], shape: tuple[int, ...]) -> None:
        partial = file.with_suffix(".partial")
        store = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)

        with ThreadPoolExecutor(max_workers=2) as pool:
            for done, pixels in enumerate(pool.map(self._read, images), 1):
                store[done - 1] = pixels
                if done % 10_000 == 0:
                    log.info("%d of %d images prepared", done, len(images))
        store.flush()
        del store
        partial.rename(file)

    def _read(self, path: Path) -> npt.NDArray[np.uint8]:
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                return to_uint8(picture, self.processor)
        except OSError as error:
            raise DatasetError(f"The training image {path.name} cannot be read.") from error

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """The tower's input for some rows, float32 ``[U, 3, height, width]``."""
        return torch.from_numpy(np.stack([normalise(self._pixels[row], self.processor) for row in rows]))


def _fingerprint(images: Sequence[Path], processor: ImageProcessor) -> str:
    digest = hashlib.sha256(repr(processor).encode())
    for path in images:
        try:
            status = path.stat()
        except OSError as error:
            raise DatasetError(f"The training image {path.name} is missing.") from error
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


class Collator:
    """Samples -> the keyword arguments of ``Objective.forward``; every distinct image of the batch once."""

    def __init__(self, store: PixelStore, truth: TruthTable | None, pad: int) -> None:
        self.store = store
        self.truth = truth
        self.pad = pad

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        samples: list[Sample] = [feature["sample"] for feature in features]
        rows = sorted({row for sample in samples for row in (sample.current, sample.prior)})
        place = {row: index for index, row in enumerate(rows)}
        batch = {
            "pixels": self.store.pixels(rows),
            "current": torch.tensor([place[sample.current] for sample in samples]),
            "prior": torch.tensor([place[sample.prior] for sample in samples]),
            "input_ids": _padded([sample.input_ids for sample in samples], self.pad),
            "labels": _padded([sample.labels for sample in samples], IGNORED),
        }
        if self.truth is not None:
            images = {}
            for sample in samples:
                case = self.truth[sample.id]
                images[sample.current] = case.current
                if case.prior is not None:
                    images[sample.prior] = case.prior
            batch["bands"] = torch.stack([images[row].bands for row in rows])
            batch["regions"] = torch.stack([images[row].regions for row in rows])
            batch["changes"] = torch.stack([self.truth[sample.id].changes for sample in samples])
        return batch


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])

"""What LLaMA-Factory learns from: conversations as ids with labels, and pictures as files.

Ids and labels are those of labels.py, so that a model learns what it will be asked. Pictures are opened by the process
that opens them for a draft; a file that Pillow shows exactly so is taken as it is, any other (DICOM, 16 bits, colours
with transparency, a rotation in its EXIF data) is written anew as it would be shown. The written files are a private
copy that is gone when the run ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from engine.datasets.libra import IMAGE_TEXT, Question, TrainingSample
from engine.datasets.pictures import readers
from engine.errors import DatasetError, UnreadableFile
from engine.imaging.display import to_pil
from engine.models.wording import Wording
from engine.training.labels import Labelled, label_whole

READERS = 2


@dataclass(frozen=True)
class Picture:
    """A picture as LLaMA-Factory opens it: its file, and its width and height in pixels."""

    file: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class Written:
    """A file of conversations: how many, how long the longest is, and the ids of those that were left out."""

    count: int
    longest: int
    left_out: tuple[str, ...]


def pictures(
    images: Sequence[Path], folder: Path, report: Callable[[int, int], None] = lambda done, total: None
) -> dict[Path, Picture]:
    """Every image as a picture; those that have to be written anew are put into ``folder``.

    Raises:
        DatasetError: an image is missing or cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[Path, Picture] = {}
    with readers(READERS) as opened, ThreadPoolExecutor(READERS) as pool:

        def one(numbered: tuple[int, Path]) -> Picture:
            number, path = numbered
            try:
                shown = to_pil(opened(path)).convert("RGB")
            except UnreadableFile as error:
                raise DatasetError(f"A training image cannot be used: {error}") from error
            if _is_shown_so(path, shown):
                return Picture(path.absolute(), shown.size)
            file = folder / f"{number:08}.png"
            shown.save(file)
            return Picture(file, shown.size)

        for done, (path, picture) in enumerate(zip(images, pool.map(one, enumerate(images)), strict=True), 1):
            found[path] = picture
            report(done, len(images))
    return found


def labelled(wording: Wording, sample: TrainingSample, shown: dict[Path, Picture]) -> tuple[Labelled, list[Picture]]:
    """A sample's ids and labels, and its pictures in the order of its text: the prior, then the current one.

    Raises:
        DatasetError: nothing of it can be learnt.
    """
    (question, answer), *further = sample.turns
    turns = [(question.replace(IMAGE_TEXT, "").strip(), answer), *further]
    placed = [shown[path] for path in reversed(distinct(sample.images))]
    return label_whole(wording, turns, [picture.size for picture in placed]), placed


def distinct(images: Sequence[Path]) -> list[Path]:
    """The current image, and the prior unless it is the current one again, as Libra's files say that there is none."""
    return list(dict.fromkeys(images))


def write_samples(
    file: Path,
    wording: Wording,
    samples: Sequence[TrainingSample],
    shown: dict[Path, Picture],
    *,
    room: int,
    leave_out: bool,
) -> Written:
    """Write samples as JSON Lines: input_ids, labels, images.

    Args:
        room: positions of a conversation at most.
        leave_out: whether longer ones are left out; else they are refused.

    Raises:
        DatasetError: samples are too long, or nothing of one can be learnt; ``rows`` says which.
    """
    too_long: list[tuple[int, str]] = []
    left_out: list[str] = []
    longest = count = 0
    with file.open("w", encoding="utf-8") as stream:
        for row, sample in enumerate(samples, 1):
            try:
                found, placed = labelled(wording, sample, shown)
            except DatasetError as error:
                raise DatasetError(f"Sample {sample.id} cannot be learnt: {error}", ((row, str(error)),)) from error
            if len(found.ids) > room:
                left_out.append(sample.id)
                too_long.append((row, f"{len(found.ids):,} positions with its images; there is room for {room:,}"))
                continue
            longest, count = max(longest, len(found.ids)), count + 1
            line = {"input_ids": found.ids, "labels": found.labels, "images": [str(one.file) for one in placed]}
            stream.write(json.dumps(line) + "\n")
    if too_long and not leave_out:
        raise DatasetError(
            f"{len(too_long)} conversations are longer than the model has room for. Shorten them, lower "
            "image_max_pixels, or say too_long: leave out.",
            tuple(too_long),
        )
    if not count:
        raise DatasetError("There is nothing to learn from: no sample is left.")
    return Written(count, longest, tuple(left_out))


def write_questions(file: Path, wording: Wording, questions: Sequence[Question], shown: dict[Path, Picture]) -> None:
    """Write questions as JSON Lines: id, input_ids, images."""
    with file.open("w", encoding="utf-8") as stream:
        for question in questions:
            placed = [shown[path] for path in reversed(distinct(question.images))]
            ids = wording.prompt(question.text.replace(IMAGE_TEXT, "").strip(), [one.size for one in placed])
            line = {"id": question.id, "input_ids": ids, "images": [str(one.file) for one in placed]}
            stream.write(json.dumps(line) + "\n")


def _is_shown_so(path: Path, shown: PillowImage.Image) -> bool:
    try:
        with PillowImage.open(path) as opened:
            if opened.size != shown.size or opened.mode not in ("L", "RGB"):
                return False
            return bool(np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(shown)))
    except (OSError, ValueError, PillowImage.DecompressionBombError):
        return False

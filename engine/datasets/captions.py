"""Images with captions, as MedTrinity-25M lists them, made into a training file and held-out questions.

    [{"id", "image"?: path | {"path"}, "file_name"?: path, "caption"}, ...]     a JSON list, or one object a line

An image is named by "image", "file_name" or "file", else by its id, with or without its ending. The question put before
a caption is one fixed instruction, or one of a few in the caption's own language, chosen by the row's id, so that the
same row has the same one again. Texts are kept as they are, whatever their script.

Whose image it is, an expression finds in its name or its id. Without one every image counts as a patient of its own,
which is right only if no patient has two: the caller is told.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.datasets import splitting
from engine.datasets.json_list import read_list
from engine.datasets.libra import FINDINGS, IMAGE_TEXT, IN_CHINESE, MARKER, About, TrainingSample, inside
from engine.datasets.split_files import Tally
from engine.datasets.splitting import Shares
from engine.datasets.tables import OFTEN, Faults, Told, open_text
from engine.errors import DatasetError, UsageError
from engine.reports.language import HAN

INSTRUCTIONS = {
    "en": (
        FINDINGS,
        "Describe this image.",
        "Describe this image in detail: modality, organs, and anything abnormal with its place and size.",
        "What does this image show?",
        "Please describe this image in English and give your diagnostic conclusion.",
    ),
    "zh": (
        f"{FINDINGS}\n{IN_CHINESE}",
        "请描述这幅图像。",
        "请详细描述这幅图像：成像方式、器官，以及异常的位置和大小。",
        "这幅图像显示了什么？",
        "请用中文描述这幅图像，并给出诊断结论。",
    ),
}
"""What is asked where no instruction is given, by the language of the caption."""

READ = "rows read"
NO_IMAGE = "left out: image file missing"
NO_CAPTION = "left out: no caption"
MARKED = "left out: caption holds <image>"
NO_PATIENT = "note: no patient found by the expression"
WRITTEN = "rows written"
ORDER = (READ, NO_IMAGE, NO_CAPTION, MARKED, WRITTEN, NO_PATIENT)

_KEYS = ("image", "file_name", "file")
_ENDINGS = ("", ".png", ".jpg", ".jpeg")
_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True)
class Converted:
    """What came of it: the counts, the files with their rows, and how many patients were found (0: none looked for)."""

    tally: Tally
    written: Mapping[str, int]
    patients: int


def convert(
    file: Path,
    images: Path,
    output: Path,
    *,
    instruction: str = "",
    patient: str = "",
    shares: Shares | None = None,
    seed: int = 0,
    progress: Told | None = None,
) -> Converted:
    """Write train.json, validation.jsonl, test.jsonl and split.json into ``output``.

    Args:
        file: a list in JSON, or one object a line where its name ends in ".jsonl".
        images: the folder of the images.
        output: a folder without such files.
        instruction: what is asked of every image; chosen from `INSTRUCTIONS` if "".
        patient: a regular expression that finds the patient in the image's name, else in the id: its first group, or
            all of it.
        shares: of the patients held out; a tenth each for test and validation if None.
        seed: another one gives another split.
        progress: told how much of the file has been read.

    Raises:
        DatasetError: rows that cannot be used (all are listed), nothing to train on.
        UsageError: an expression or an instruction that cannot be used, an output folder that holds such files.
    """
    try:
        found = re.compile(patient) if patient else None
    except re.error as cause:
        raise UsageError(f"The expression for the patient cannot be read: {cause}.") from cause
    if IMAGE_TEXT in instruction:
        raise UsageError(f"The instruction holds {IMAGE_TEXT}; it is put before it anyway.")
    tally = Tally(())
    samples = _read(file, images, instruction.strip(), found, tally, progress)
    if not samples:
        raise DatasetError(f"None of the rows can be used:\n{tally.table(ORDER)}")
    shares = shares or Shares()
    made = splitting.split(samples, shares, seed, unnamed="image")
    described = {
        "source": {"name": file.name, "sha256": _sha256(file)},
        "by": {"patient": patient} if patient else "image",
        "instruction": instruction or "chosen by id",
        "seed": seed,
        "shares": vars(shares),
        "counts": tally.document(),
    }
    written = splitting.write(made, output, images=images, described=described)
    return Converted(tally, written, len({sample.about.patient for sample in samples} - {""}))


def _read(
    file: Path, images: Path, instruction: str, patient: re.Pattern[str] | None, tally: Tally, progress: Told | None
) -> list[TrainingSample]:
    faults = Faults(file)
    samples: list[TrainingSample] = []
    first: dict[str, int] = {}
    rows = _lines(file, faults, progress) if file.suffix.lower() == ".jsonl" else read_list(file, faults, progress)
    for row, record in rows:
        tally.add(READ)
        try:
            name, image = _image(record, images)
        except ValueError as fault:
            faults.add(row, str(fault))
            continue
        if first.setdefault(name, row) != row:
            faults.add(row, f"the id of row {first[name]} again")
            continue
        caption = record.get("caption")
        if not isinstance(caption, str) or not caption.strip():
            tally.add(NO_CAPTION)
        elif IMAGE_TEXT in caption:
            tally.add(MARKED)
        elif image is None:
            tally.add(NO_IMAGE)
        else:
            tally.add(WRITTEN)
            whose = _patient(patient, image, name)
            if patient is not None and not whose:
                tally.add(NO_PATIENT)
            asked = instruction or chosen(name, caption)
            samples.append(TrainingSample(name, (image,), ((MARKER + asked, caption.strip()),), About(whose)))
    faults.settle()
    return samples


def chosen(name: str, caption: str) -> str:
    """The instruction for a row: of the caption's language, by the row's id."""
    some = INSTRUCTIONS["zh" if len(_HAN.findall(caption)) * 4 > len(caption) else "en"]
    return some[int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(some)]


def _image(record: Mapping[str, Any], images: Path) -> tuple[str, Path | None]:
    """A row's id and its image, None where it is not there. Raises ValueError for names that cannot be used."""
    named = next((record[key] for key in _KEYS if record.get(key)), None)
    if isinstance(named, dict):  # as a data set of images is written out with its pixels
        named = named.get("path")
    name = record.get("id", named)
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise ValueError("neither 'id' nor an image is named")
    if named is not None and not isinstance(named, str):
        raise ValueError("the image is named by something that is not a path")
    places = (inside(images, (named or str(name)) + ending) for ending in _ENDINGS)
    return str(name), next((place for place in places if place.is_file()), None)


def _patient(expression: re.Pattern[str] | None, image: Path, name: str) -> str:
    found = expression and (expression.search(image.name) or expression.search(name))
    if not found:
        return ""
    return (found[1] if found.re.groups else found[0]) or ""


def _lines(file: Path, faults: Faults, progress: Told | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of a file with one object a line."""
    size = file.stat().st_size
    try:
        with open_text(file) as (stream, position):
            for number, line in enumerate(stream, 1):
                if progress is not None and number % OFTEN == 0:
                    progress(position(), size)
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                if isinstance(record, dict):
                    yield number, record
                else:
                    faults.add(number, "not an object in JSON")
    except UnicodeDecodeError as cause:
        raise DatasetError(f"'{file.name}' is not a text file in UTF-8.") from cause


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

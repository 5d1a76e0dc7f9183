"""VQA-RAD as it is published, made into a training file and questions.

    VQA_RAD Dataset Public.json   [{"qid", "image_name", "image_case_url", "image_organ", "question", "question_type",
                                  "answer", "answer_type": "CLOSED" | "OPEN", "phrase_type", "qid_linked_id", ...}, ...]

The official test are the questions whose phrase_type begins with "test". They are asked about images that training
questions are asked about as well, so that a model is judged on pictures it has learnt from; how many is said. Split by
image, no case is in two parts: such figures are honest, and cannot be compared with published ones.

A patient is a case of MedPix, by its address; an image without one is its own. Values are taken without the blanks
around them ("CLOSED "). What breaks the form is refused with its row; what is not there is counted and left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.datasets import splitting
from engine.datasets.json_list import read_list
from engine.datasets.libra import IMAGE_TEXT, MARKER, About, TrainingSample, inside
from engine.datasets.split_files import Tally
from engine.datasets.splitting import PARTS, Part, Shares, Split
from engine.datasets.tables import Faults, Told
from engine.errors import DatasetError

By = Literal["official", "by-image"]

READ = "questions read"
NO_IMAGE = "left out: image file missing"
NO_ANSWER = "left out: no answer"
MARKED = "left out: text holds <image>"
WRITTEN = "questions written"
ORDER = (READ, NO_IMAGE, NO_ANSWER, MARKED, WRITTEN)

_PHRASES = ("freeform", "para", "test_freeform", "test_para")
_FORMS = ("CLOSED", "OPEN")
_CASE = re.compile(r"[?&]id=([^&#\s]+)")


@dataclass(frozen=True)
class Shared:
    """What the test shares with training: images, the test questions about them, and those that are rephrased there."""

    images: int
    questions: int
    rephrased: int
    of_questions: int


@dataclass(frozen=True)
class Converted:
    """What came of it: the counts, what test and training share, and the files with their rows."""

    tally: Tally
    shared: Shared
    written: Mapping[str, int]


@dataclass(frozen=True)
class _Asked:
    """One question, its official part, and the questions it may rephrase: its own number and the linked one."""

    sample: TrainingSample
    test: bool
    names: frozenset[str]


def convert(
    file: Path,
    images: Path,
    output: Path,
    *,
    by: By = "official",
    shares: Shares | None = None,
    seed: int = 0,
    progress: Told | None = None,
) -> Converted:
    """Write train.json, validation.jsonl, test.jsonl and split.json into ``output``.

    Args:
        file: the published list.
        images: the folder of its images.
        output: a folder without such files.
        by: the official test, or cases parted by ``shares``.
        shares: of the cases; by default a fifth for the test and a tenth for validation. With the official test only
            its share for validation counts, of the cases that are trained on; it may be 0.
        seed: another one gives another split.
        progress: told how much of the file has been read.

    Raises:
        DatasetError: rows that cannot be used (all are listed), nothing to train on, no official test.
        UsageError: an output folder that holds such files.
    """
    shares = shares or Shares(0.2, 0.1)
    tally = Tally(("train", "test"))
    asked = _read(file, images, tally, progress)
    if not asked:
        raise DatasetError(f"None of the questions can be used:\n{tally.table(ORDER)}")
    made = _official(asked, shares, seed) if by == "official" else splitting.split(_samples(asked), shares, seed)
    shared = _shared(asked, made)
    described = {
        "source": {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "by": by,
        "seed": seed,
        "shares": vars(shares),
        "test_shares_with_training": vars(shared),
        "counts": tally.document(),
    }
    written = splitting.write(made, output, images=images, described=described)
    return Converted(tally, shared, written)


def _read(file: Path, images: Path, tally: Tally, progress: Told | None) -> list[_Asked]:
    faults = Faults(file)
    asked: list[_Asked] = []
    first: dict[str, int] = {}
    for row, record in read_list(file, faults, progress):
        try:
            one, left_out = _question(record, images)
        except ValueError as fault:
            faults.add(row, str(fault))
            continue
        if first.setdefault(one.sample.id, row) != row:
            faults.add(row, f"the qid of row {first[one.sample.id]} again")
            continue
        part = "test" if one.test else "train"
        tally.add(READ, part)
        tally.add(left_out or WRITTEN, part)
        if not left_out:
            tally.add(f"    {one.sample.form or 'no answer_type'}", part)
            asked.append(one)
    faults.settle()
    return asked


def _question(record: Mapping[str, Any], images: Path) -> tuple[_Asked, str]:
    """A question, and why it is left out or "". Raises ValueError for what breaks the form."""
    name, question = _said(record, "qid"), _said(record, "question")
    phrase = _said(record, "phrase_type").lower()
    if phrase not in _PHRASES:
        raise ValueError(f"'phrase_type' is none of {', '.join(_PHRASES)}")
    image = inside(images, _said(record, "image_name"))
    answer, form = _text(record.get("answer")), _text(record.get("answer_type")).upper()
    sample = TrainingSample(
        id=f"vqa-rad-{name}",
        images=(image,),
        turns=((MARKER + question, answer),),
        about=About(_patient(_text(record.get("image_case_url")), image)),
        kind=_text(record.get("question_type")),
        form=form if form in _FORMS else "",
    )
    names = frozenset({name, _text(record.get("qid_linked_id"))} - {"", "NULL", "None"})
    left_out = "" if image.is_file() else NO_IMAGE
    left_out = MARKED if IMAGE_TEXT in question + answer else left_out
    return _Asked(sample, phrase.startswith("test"), names), left_out if answer else NO_ANSWER


def _said(record: Mapping[str, Any], key: str) -> str:
    text = _text(record.get(key))
    if not text:
        raise ValueError(f"'{key}' is missing")
    return text


def _text(value: object) -> str:
    """A value as text without the blanks around it; numbers too, "" for anything else."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _patient(address: str, image: Path) -> str:
    found = _CASE.search(address)
    if found:
        return f"medpix-{found[1]}"
    return f"medpix-{hashlib.sha256(address.encode()).hexdigest()[:12]}" if address else f"image-{image.stem}"


def _samples(asked: Sequence[_Asked]) -> list[TrainingSample]:
    return [one.sample for one in asked]


def _official(asked: Sequence[_Asked], shares: Shares, seed: int) -> Split:
    """The official test; of the cases that are trained on, a share is kept for validation."""
    test = [one.sample for one in asked if one.test]
    train = [one.sample for one in asked if not one.test]
    if not test or not train:
        missing = "test" if train else "training"
        raise DatasetError(f"No question of the official {missing} part can be used. Take --split by-image.")
    parts: dict[Part, tuple[TrainingSample, ...]] = {"train": tuple(train), "validation": ()}
    linked: tuple[tuple[str, ...], ...] = ()
    if shares.validation:
        inner = splitting.split(train, Shares(0.0, shares.validation), seed)
        parts, linked = dict(inner.parts), inner.linked
    parts["test"] = tuple(test)
    owners = {name: len({sample.about.patient for sample in parts[name]}) for name in PARTS}
    return Split(parts, owners, linked)


def _shared(asked: Sequence[_Asked], made: Split) -> Shared:
    trained = {sample.id for sample in made.parts["train"]}
    tested = {sample.id for sample in made.parts["test"]}
    learnt = {image for sample in made.parts["train"] for image in sample.images}
    phrased = {name for one in asked if one.sample.id in trained for name in one.names}
    both = [one for one in asked if one.sample.id in tested and learnt.intersection(one.sample.images)]
    return Shared(
        images=len({image for one in both for image in one.sample.images}),
        questions=len(both),
        rephrased=sum(one.sample.id in tested and bool(one.names & phrased) for one in asked),
        of_questions=len(tested),
    )

"""One data set into training, validation and test, patient by patient.

A patient's part is decided by the patient's id and the seed alone (a hash as a number between 0 and 1), so that the
split can be made again, on any machine, and patients who join later move nobody. Patients who share an image file are
one group, which goes where its last member would: to training if one of them belongs there, else to validation. Not
stratified: the parts are as the patients fall.

    train.json          Libra's training format
    validation.jsonl    Libra's evaluation format with references, one question for each turn
    test.jsonl          the same
    split.json          how it was split, and what came of it

Image paths are written relative to the image folder, which split.json names and readers are given; if it lies in the
folder of the parts, or is that folder, they are relative to the parts and need nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.datasets.libra import IMAGE_TEXT, Question, TrainingSample, write_questions, write_training
from engine.datasets.sameness import same_files
from engine.errors import DatasetError, UsageError

Part = Literal["test", "validation", "train"]
PARTS: tuple[Part, ...] = ("test", "validation", "train")
Unnamed = Literal["refuse", "image", "id"]
FILES: Mapping[Part, str] = {"train": "train.json", "validation": "validation.jsonl", "test": "test.jsonl"}


@dataclass(frozen=True)
class Shares:
    """How much of the patients is held out. Raises UsageError for shares that leave nothing, or less, to train on."""

    test: float = 0.1
    validation: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.test < 1 and 0 <= self.validation < 1 and self.test + self.validation < 1):
            raise UsageError("The shares of test and validation are numbers from 0, and below 1 together.")
        if not self.test + self.validation:
            raise UsageError("Nothing would be held out: give a share for the test or the validation part.")


@dataclass(frozen=True)
class Split:
    """What was split. ``linked`` holds groups of patients (or rows, by id) that share an image file."""

    parts: Mapping[Part, tuple[TrainingSample, ...]]
    owners: Mapping[Part, int]
    linked: tuple[tuple[str, ...], ...]


def part_of(owner: str, seed: int, shares: Shares) -> Part:
    """The part of a patient: the first 53 bits of a SHA-256, as a fraction, against the shares."""
    place = _fraction(owner, seed)
    if place < shares.test:
        return "test"
    return "validation" if place < shares.test + shares.validation else "train"


def _fraction(owner: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}\0{owner}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / float(1 << 53)


def split(samples: Sequence[TrainingSample], shares: Shares, seed: int = 0, *, unnamed: Unnamed = "refuse") -> Split:
    """Split by patient.

    Args:
        samples: in any order; each part keeps it.
        shares: of the patients.
        seed: another one gives another split.
        unnamed: what rows without a patient go by: "refuse" them, their "image" or their own "id".

    Raises:
        DatasetError: rows without a patient (all are named); no patient is left for training.
    """
    nameless = [place for place, sample in enumerate(samples) if not sample.about.patient]
    if nameless and unnamed == "refuse":
        raise DatasetError(
            f"{len(nameless)} of the {len(samples)} rows do not say whose images they are, so a patient could come "
            "into two parts. Add the key 'patient', or take what there is with --by-image or --by-id.",
            tuple((place + 1, "no patient") for place in nameless),
        )
    same = same_files(image for sample in samples for image in sample.images)
    owners = [_owner(sample, unnamed, same) for sample in samples]
    groups = _groups(owners, samples, same)
    part: dict[str, Part] = {}
    for group in groups:
        last = max(group, key=lambda owner: _fraction(owner, seed))
        part |= dict.fromkeys(group, part_of(last, seed, shares))
    found: dict[Part, list[TrainingSample]] = {name: [] for name in PARTS}
    for owner, sample in zip(owners, samples, strict=True):
        found[part[owner]].append(sample)
    if not found["train"]:
        raise DatasetError("No patient is left to train on. Use smaller shares, another seed, or more patients.")
    return Split(
        parts={name: tuple(rows) for name, rows in found.items()},
        owners={name: sum(each == name for each in part.values()) for name in PARTS},
        linked=tuple(sorted(tuple(sorted(group)) for group in groups if len(group) > 1)),
    )


def _owner(sample: TrainingSample, unnamed: Unnamed, same: Mapping[Path, Path]) -> str:
    """What a row is split by; the kinds are kept apart, so that an id never looks like a patient."""
    if sample.about.patient:
        return sample.about.patient
    if unnamed == "id":
        return f"id\0{sample.id}"
    return f"image\0{_content(same[sample.images[0]])}"


def _content(image: Path) -> str:
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as cause:
        raise DatasetError(f"The image '{image.name}' cannot be read, and its row names no patient.") from cause


def _groups(owners: Sequence[str], samples: Sequence[TrainingSample], same: Mapping[Path, Path]) -> list[list[str]]:
    """Owners joined by image files they share (union-find with path halving), in order of appearance."""
    parent = {owner: owner for owner in owners}

    def root(owner: str) -> str:
        while parent[owner] != owner:
            parent[owner] = owner = parent[parent[owner]]
        return owner

    first: dict[Path, str] = {}
    for owner, sample in zip(owners, samples, strict=True):
        for image in sample.images:
            parent[root(owner)] = root(first.setdefault(same[image], owner))
    groups: dict[str, list[str]] = defaultdict(list)
    for owner in parent:
        groups[root(owner)].append(owner)
    return list(groups.values())


def as_questions(samples: Iterable[TrainingSample]) -> list[Question]:
    """Samples as questions with references, one for each turn; the second turn of "a" is "a#2"."""
    questions = []
    for sample in samples:
        for number, (asked, answer) in enumerate(sample.turns, 1):
            name = sample.id if number == 1 else f"{sample.id}#{number}"
            text = asked.replace(IMAGE_TEXT, "").strip()
            said = sample.about, sample.kind, sample.prior_report, sample.form
            questions.append(Question(name, sample.images, text, answer, *said))
    return questions


def write(
    made: Split,
    output: Path,
    *,
    images: Path,
    described: Mapping[str, Any],
) -> dict[str, int]:
    """Write the parts into ``output``, which is made; files of the same names must not be there.

    Args:
        made: the split.
        output: a folder.
        images: the folder the samples' images are relative to.
        described: how it was split: source, seed, shares; goes into split.json.

    Returns:
        File name -> rows written. A part without rows is not written.

    Raises:
        UsageError: one of the files exists.
        DatasetError: a question whose id would be given twice.
    """
    taken = [name for name in (*FILES.values(), "split.json") if (output / name).exists()]
    if taken:
        raise UsageError(f"'{output.name}' already holds {', '.join(taken)}. Choose another folder.")
    folder = reachable(output, images)
    held_out: tuple[Part, ...] = ("validation", "test")
    questions = {name: as_questions(made.parts[name]) for name in held_out}
    for name, asked in questions.items():
        if len({question.id for question in asked}) < len(asked):
            raise DatasetError(f"Ids of the {name} part would be given twice: an id ends like the turn of another row.")
    output.mkdir(parents=True, exist_ok=True)
    write_training(output / FILES["train"], made.parts["train"], relative_to=folder)
    written = {FILES["train"]: len(made.parts["train"])}
    for name, asked in questions.items():
        if asked:
            write_questions(output / FILES[name], asked, relative_to=folder)
            written[FILES[name]] = len(asked)
    summary = {
        **described,
        "image_folder": "." if folder == output else str(images.resolve()),
        "rows": {name: len(made.parts[name]) for name in PARTS},
        "patients": dict(made.owners),
        "linked_patients": [[owner.replace("\0", " ") for owner in group] for group in made.linked],
    }
    (output / "split.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return written


def reachable(output: Path, images: Path) -> Path:
    """The folder image paths are written relative to: the parts' own if all images lie below it, else the images'."""
    return output if images.resolve().is_relative_to(output.resolve()) else images

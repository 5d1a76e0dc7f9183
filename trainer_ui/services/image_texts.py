"""Sets of single images with captions or questions: what a form says becomes a command, and the command a job.

CT phantoms, images with captions as MedTrinity lists them, VQA-RAD, and the data sets of a folder of LLaMA-Factory's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.datasets import sharegpt
from engine.errors import UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from trainer_ui.services import datasets

MOST_PATIENTS = 100_000
SMALLEST, LARGEST = 56, 1024

Language = Literal["en", "zh", "en+zh"]
By = Literal["official", "by-image"]
System = Literal["refuse", "question", "drop"]
Turns = Literal["as they are", "join", "one each"]


@dataclass(frozen=True)
class HeldOut:
    """How many patients or cases, in per cent, are for the test and for validation."""

    test: int = 10
    validation: int = 10

    def words(self) -> tuple[str, ...]:
        """As the commands take it. Raises UsageError where nothing would be left to train on."""
        if min(self.test, self.validation) < 0 or self.test + self.validation >= 100:
            raise UsageError("Test and validation together leave something to train on: less than 100 per cent.")
        return ("--test", str(self.test / 100), "--validation", str(self.validation / 100))


@dataclass(frozen=True)
class CtPhantoms:
    """A demonstration set of CT: ``patients`` of two to four slices, ``size`` pixels along a side."""

    name: str
    patients: int
    seed: int = 0
    size: int = 168
    language: Language = "en"
    held_out: HeldOut = HeldOut(20, 10)


@dataclass(frozen=True)
class Captions:
    """A list of captions; ``patient`` is a regular expression, "" where every image is a patient of its own."""

    name: str
    file: Path
    images: Path
    instruction: str = ""
    patient: str = ""
    held_out: HeldOut = HeldOut()


@dataclass(frozen=True)
class VqaRad:
    """VQA-RAD's published list; with the official test ``held_out`` counts for validation alone."""

    name: str
    file: Path
    images: Path
    by: By = "official"
    held_out: HeldOut = HeldOut(20, 10)


@dataclass(frozen=True)
class FromFactory:
    """One data set of the dataset_info.json of a folder of LLaMA-Factory's."""

    name: str
    info: Path
    entry: str
    system: System = "refuse"
    turns: Turns = "as they are"


def ct_phantoms(wanted: CtPhantoms) -> Job:
    """Make a demonstration set of CT. Raises UsageError for what cannot be made."""
    if not 1 <= wanted.patients <= MOST_PATIENTS:
        raise UsageError(f"A set has 1 to {MOST_PATIENTS:,} patients.")
    if not SMALLEST <= wanted.size <= LARGEST:
        raise UsageError(f"A slice has {SMALLEST} to {LARGEST} pixels along a side.")
    held_out = wanted.held_out.words()
    folder = datasets.fresh(wanted.name)
    words = [
        *("data", "ct-phantoms", "--output", str(folder), "--count", str(wanted.patients)),
        *("--seed", str(wanted.seed), "--size", str(wanted.size), "--language", wanted.language, *held_out),
    ]
    return queue.add("ct-phantoms", f"Make {folder.name}: CT phantoms of {wanted.patients:,} patients", words, folder)


def captions(wanted: Captions) -> Job:
    """Make a set of images with captions; its images stay where they are. Raises UsageError."""
    held_out = wanted.held_out.words()
    folder = datasets.fresh(wanted.name)
    # One word each: what is typed may begin with a dash.
    asked = (f"--instruction={wanted.instruction}",) if wanted.instruction.strip() else ()
    whose = (f"--patient={wanted.patient}",) if wanted.patient else ()
    words = ["data", "captions", str(wanted.file), "--images", str(wanted.images), "--output", str(folder)]
    job = queue.add("captions", f"Make {folder.name} of captions", [*words, *asked, *whose, *held_out], folder)
    datasets.remember_images(folder.name, wanted.images)
    return job


def vqa_rad(wanted: VqaRad) -> Job:
    """Make a set of VQA-RAD; its images stay where they are. Raises UsageError."""
    held_out = wanted.held_out.words()
    folder = datasets.fresh(wanted.name)
    words = [
        *("data", "vqa-rad", str(wanted.file), "--images", str(wanted.images), "--output", str(folder)),
        *("--split", wanted.by, *held_out),
    ]
    job = queue.add("vqa-rad", f"Make {folder.name} of VQA-RAD", words, folder)
    datasets.remember_images(folder.name, wanted.images)
    return job


def entries(info: Path) -> tuple[str, ...]:
    """The data sets that a dataset_info.json names. Raises DatasetError."""
    return sharegpt.entries(info)


def from_factory(wanted: FromFactory) -> Job:
    """Make a set of one of LLaMA-Factory's; its images stay where they are. Raises UsageError and DatasetError."""
    sharegpt.entry(wanted.info, wanted.entry)
    folder = datasets.fresh(wanted.name)
    turns = {"as they are": (), "join": ("--join-questions",), "one each": ("--one-question-each",)}[wanted.turns]
    words = [
        *("data", "convert", f"{wanted.info}:{wanted.entry}", str(folder / "train.json"), "--to", "libra"),
        *("--system", wanted.system, *turns),
    ]
    job = queue.add("convert", f"Make {folder.name} of LLaMA-Factory's {wanted.entry}", words, folder)
    datasets.remember_images(folder.name, wanted.info.parent)
    return job

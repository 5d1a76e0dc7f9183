"""Data sets that are made or looked at: what a form says becomes a command, and the command a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import InputError, UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from trainer_ui.services import datasets

MOST_CASES = 1_000_000
SMALLEST, LARGEST = 32, 1024
MOST_TURNS = 20
QUESTION_FILES = ("mimic_pair_questions.csv", "train.json", "valid.json", "test.json")
"""Those of Medical-Diff-VQA and of MIMIC-CXR-VQA."""

Site = Literal["a", "b", "c"]
Split = Literal["train", "test"]
Section = Literal["findings", "impression", "both"]
Views = Literal["frontal", "lateral", "all"]
Prior = Literal["published", "matched", "none"]
Ending = Literal[".jpg", ".png", ".dcm"]

CONTEXTS = ("indication", "history", "comparison", "technique")


@dataclass(frozen=True)
class Phantoms:
    """A demonstration set: ``cases`` synthetic patients whose longer side has ``size`` pixels."""

    name: str
    cases: int
    seed: int = 0
    site: Site = "a"
    split: Split = "train"
    size: int = 224


@dataclass(frozen=True)
class Mimic:
    """MIMIC-CXR-JPG as it was downloaded; ``reports`` is None where they lie in ``folder``."""

    name: str
    folder: Path
    reports: Path | None = None
    section: Section = "findings"
    context: tuple[str, ...] = CONTEXTS
    views: Views = "frontal"
    prior: Prior = "published"
    ending: Ending = ".jpg"


@dataclass(frozen=True)
class Questions:
    """Medical-Diff-VQA or MIMIC-CXR-VQA in ``folder``, about the images of MIMIC-CXR-JPG in ``images``."""

    name: str
    folder: Path
    images: Path
    turns: int = 1
    ending: Ending = ".jpg"


def phantoms(wanted: Phantoms) -> Job:
    """Make a set of phantoms. Raises UsageError for what cannot be made."""
    if not 1 <= wanted.cases <= MOST_CASES:
        raise UsageError(f"A set has 1 to {MOST_CASES:,} cases.")
    if not SMALLEST <= wanted.size <= LARGEST:
        raise UsageError(f"The longer side of an image has {SMALLEST} to {LARGEST} pixels.")
    folder = datasets.fresh(wanted.name)
    words = [
        *("data", "phantoms", "--output", str(folder), "--count", str(wanted.cases), "--seed", str(wanted.seed)),
        *("--site", wanted.site, "--split", wanted.split, "--size", str(wanted.size)),
    ]
    return queue.add("phantoms", f"Make {folder.name}: {wanted.cases:,} phantom cases", words, folder)


def mimic(wanted: Mimic) -> Job:
    """Make Libra's files of MIMIC-CXR; its images stay where they are. Raises UsageError and InputError."""
    if not any(wanted.folder.glob("*metadata.csv*")):
        raise InputError(
            f"There is no metadata table in {wanted.folder}. Name the folder of MIMIC-CXR-JPG that holds "
            "mimic-cxr-2.0.0-metadata.csv.gz."
        )
    folder = datasets.fresh(wanted.name)
    reports = ("--reports", str(wanted.reports)) if wanted.reports is not None else ()
    words = [
        *("data", "mimic", str(wanted.folder), "--output", str(folder), *reports, "--section", wanted.section),
        *("--context", ",".join(wanted.context) or "none", "--views", wanted.views),
        *("--prior", wanted.prior, "--ending", wanted.ending),
    ]
    job = queue.add("mimic", f"Make {folder.name} of MIMIC-CXR", words, folder)
    datasets.remember_images(folder.name, wanted.folder)
    return job


def questions(wanted: Questions) -> Job:
    """Make Libra's files of questions about MIMIC-CXR. Raises UsageError and InputError."""
    files = [wanted.folder / name for name in QUESTION_FILES if (wanted.folder / name).is_file()]
    if not files:
        raise InputError(f"{wanted.folder} holds none of {', '.join(QUESTION_FILES)}.")
    if not 1 <= wanted.turns <= MOST_TURNS:
        raise UsageError(f"A conversation has 1 to {MOST_TURNS} questions.")
    folder = datasets.fresh(wanted.name)
    words = [
        *("data", "vqa", *map(str, files), "--images", str(wanted.images), "--output", str(folder)),
        *("--turns", str(wanted.turns), "--ending", wanted.ending),
    ]
    job = queue.add("vqa", f"Make {folder.name} of questions about MIMIC-CXR", words, folder)
    datasets.remember_images(folder.name, wanted.images)
    return job

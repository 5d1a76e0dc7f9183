"""A training file parted by patient: what a form says becomes a job, and what came of it a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.datasets import splitting
from engine.datasets.libra import read_training
from engine.datasets.splitting import FILES, PARTS, Unnamed
from engine.errors import UsageError
from engine.jobs import queue
from engine.jobs.job import Job, State
from trainer_ui.services import check_results, datasets
from trainer_ui.services.check_results import LITTLE_ROWS
from trainer_ui.services.opened_set import Opened

SUMMARY = "split.json"
NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}
PURPOSES = {
    "train": "learnt from",
    "validation": "watched while training: it chooses the best state of the model",
    "test": "kept for the evaluation: nothing is chosen by it",
}


@dataclass(frozen=True)
class Wanted:
    """A split: where to, the shares of patients held out, the seed, and what rows without a patient go by."""

    name: str
    test: float = 0.1
    validation: float = 0.1
    seed: int = 0
    unnamed: Unnamed = "refuse"


@dataclass(frozen=True)
class Part:
    """One part of a split; ``file`` is "" where nobody fell into it."""

    name: str
    purpose: str
    file: str
    patients: int
    rows: int


@dataclass(frozen=True)
class Split:
    """A split that was made.

    Attributes:
        name: of the data set it is.
        linked: groups of patients that share images and were kept together.
        how: seed and shares in words.
    """

    name: str
    parts: tuple[Part, ...]
    linked: int
    how: str


def begin(one: Opened, wanted: Wanted) -> Job:
    """Split by a job.

    Raises UsageError for shares, seeds and names that cannot be, and for questions, which are not split; DatasetError
    with the rows that stand in the way, where the file is small enough to be looked at first.
    """
    if one.file.form != "training":
        raise UsageError("Samples to train on are split; this file holds questions.")
    if wanted.seed < 0:
        raise UsageError("The seed is 0 or larger.")
    shares = splitting.Shares(wanted.test, wanted.validation)
    if one.file.rows <= LITTLE_ROWS:
        splitting.split(read_training(one.file.path, one.images), shares, wanted.seed, unnamed=wanted.unnamed)
    folder = datasets.fresh(wanted.name)
    by = {"refuse": (), "image": ("--by-image",), "id": ("--by-id",)}[wanted.unnamed]
    words = [
        *("data", "split", str(one.file.path), "--output", str(folder), "--images", str(one.images)),
        *("--test", str(wanted.test), "--validation", str(wanted.validation), "--seed", str(wanted.seed), *by),
    ]
    job = queue.add("split", f"Split {one.name} into {folder.name}", words, folder)
    datasets.remember_images(folder.name, one.images)
    return job


def nameless(one: Opened) -> int | None:
    """Rows that name no patient, as far as the file was checked; None where it was not."""
    found = check_results.known(one)
    return int(found.description["rows_without_patient"]) if found is not None else None


def unfinished(one: Opened) -> Job | None:
    """The latest split of this file, unless it is done."""
    made = [job for job in queue.jobs() if job.kind == "split" and str(one.file.path) in job.words]
    latest = max(made, key=lambda job: job.made, default=None)
    return latest if latest is not None and latest.state is not State.DONE else None


def made(one: Opened) -> tuple[Split, ...]:
    """The splits of this very file that lie in the data folder, and the one it is a part of, the newest first."""
    found = []
    for data in datasets.found():
        told = _summary(data.folder) if data.own else None
        if told is None:
            continue
        of_it = data.name == one.data.name
        if of_it or (told.get("source", {}).get("name") == one.file.path.name and _same(one, told)):
            found.append((data.made, _split(data.name, told)))
    return tuple(split for _, split in sorted(found, key=lambda each: -each[0]))


def _summary(folder: Path) -> dict[str, Any] | None:
    """What is written of a split in its folder; None where it is none."""
    try:
        told = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("rows"), dict) else None


def _same(one: Opened, told: dict[str, Any]) -> bool:
    return bool(told["source"].get("sha256") == _hash(one.file.path, one.file.size, one.file.written))


@lru_cache(maxsize=32)
def _hash(path: Path, size: int, written: float) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _split(name: str, told: dict[str, Any]) -> Split:
    return Split(name, tuple(_parts(told)), len(told.get("linked_patients", [])), _how(told))


def _parts(told: dict[str, Any]) -> Iterator[Part]:
    for part in reversed(PARTS):
        rows = int(told["rows"].get(part, 0))
        file = FILES[part] if rows else ""
        yield Part(NAMES[part], PURPOSES[part], file, int(told.get("patients", {}).get(part, 0)), rows)


def _how(told: dict[str, Any]) -> str:
    shares = told.get("shares", {})
    said = ", ".join(f"{100 * float(shares.get(part, 0)):g} % {part}" for part in ("validation", "test"))
    return f"{said}; seed {told.get('seed', 0)}"

"""Question files that models can be examined on: what is in each, what lies beside it, what a run has seen of it.

A file that a run was validated on has chosen that run's best step, and one whose patients it has learnt from is known
to it: both flatter the run, and neither is seen in the figures. What can be told of that at once is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from engine.datasets.libra import Question, Reference, read_questions
from engine.evaluation import vqa
from engine.training import run_folder
from trainer_ui.services import datasets, recipes

TRUTH = "truth.jsonl"
FEW = 30
"""Patients below which drawing them again says too little (as in the report)."""

LOOKED_THROUGH = 128 << 20
"""Bytes of a file that is looked through for patients while a form is filled in; larger ones are left to `data`."""


@dataclass(frozen=True)
class QuestionFile:
    """A question file of a data set, and the folder its image paths are relative to."""

    set: str
    path: Path
    images: Path
    rows: int

    @property
    def words(self) -> str:
        """For a list to choose from."""
        return f"{self.set}: {self.path.name} ({self.rows:,} question{'' if self.rows == 1 else 's'})"


@dataclass(frozen=True)
class Content:
    """What the first ``questions`` of a file are about; ``patients`` is None where the file does not say whom.

    ``task`` is what its references look like: reports, or short answers, of which ``closed`` are to be answered by yes,
    no or a choice.
    """

    questions: int
    patients: int | None
    with_prior: int
    with_reference: int
    task: Literal["report", "vqa"] = "report"
    closed: int = 0

    @property
    def words(self) -> str:
        """In a line."""
        whom = "patients are not named" if self.patients is None else f"{self.patients:,} patients"
        if self.task == "vqa":
            free = self.with_reference - self.closed
            return (
                f"{self.questions:,} questions, {whom}; {self.with_reference:,} with a short reference answer, "
                f"{self.closed:,} of them closed (yes, no or a choice), {free:,} open"
            )
        return (
            f"{self.questions:,} questions, {whom}; {self.with_prior:,} with a prior image, "
            f"{self.with_reference:,} with a reference report"
        )


def known() -> tuple[QuestionFile, ...]:
    """All question files of the data sets, those to be examined on before those to validate with."""
    listed = [
        QuestionFile(data.name, file.path, data.images, file.rows)
        for data in datasets.found()
        for file in data.files
        if file.form == "questions" and file.whole
    ]
    return tuple(sorted(listed, key=lambda one: (one.set.casefold(), "valid" in one.path.name.casefold())))


def read(path: Path, images: Path | None = None, limit: int | None = None) -> tuple[Question, ...]:
    """The questions; kept as long as the file stays as it is. Raises DatasetError and OSError."""
    status = path.stat()
    return _read(path, images, status.st_size, status.st_mtime_ns)[:limit]


def content(path: Path, limit: int | None = None) -> Content:
    """What a file holds. Raises DatasetError and OSError."""
    questions = read(path, None, limit)
    patients = {question.about.patient for question in questions}
    references = [_reference(question) for question in questions if question.reference is not None]
    short = vqa.is_vqa(references)
    return Content(
        questions=len(questions),
        patients=None if "" in patients else len(patients),
        with_prior=sum(paired(question) for question in questions),
        with_reference=len(references),
        task="vqa" if short else "report",
        closed=vqa.questions(references)[0] if short else 0,
    )


def _reference(question: Question) -> Reference:
    return Reference(question.reference or "", kind=question.kind, form=question.form, question=question.text)


def paired(question: Question) -> bool:
    """Whether it has a prior image of its own."""
    return len(question.images) == 2 and question.images[0] != question.images[1]


def truths(path: Path, limit: int | None = None) -> tuple[Path, ...]:
    """Files beside a question file, or one folder below, that say what is true of every one of its studies."""
    ids = {question.id for question in read(path, None, limit)}
    places = (path.parent / TRUTH, *sorted(path.parent.glob(f"*/{TRUTH}")))
    return tuple(place for place in places if place.is_file() and ids <= _true_of(place, *_stamp(place)))


def trainings(path: Path) -> tuple[Path, ...]:
    """Training files of the data set that a question file belongs to."""
    sets = [data for data in datasets.found() if any(file.path == path for file in data.files)]
    return tuple(file.path for data in sets for file in data.files if file.form == "training" and file.whole)


def images_of(path: Path) -> Path:
    """The folder that the image paths of a file are relative to, as its data set has it; else the file's own."""
    return next((one.images for one in known() if one.path == path), path.parent)


def validated_on(run: str) -> Path | None:
    """The question file that a run's best step was chosen by; None for none."""
    named = recipes.value(_recipe(run), ("validation", "questions"))
    return recipes.whole(named) if isinstance(named, str) and named else None


def learnt_from(run: str) -> tuple[Path, ...]:
    """The files that a run has learnt from."""
    named = recipes.value(_recipe(run), ("samples",))
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return tuple(recipes.whole(one) for one in names if isinstance(one, str) and one)


def held_out(run: str) -> Path | None:
    """What a run is best examined on: questions beside what it has learnt from, else those it was validated on."""
    validation = validated_on(run)
    folders = {file.parent for file in learnt_from(run)}
    beside = [one.path for one in known() if one.path.parent in folders and one.path != validation]
    named = [path for path in beside if "test" in path.name.casefold()]
    first = (named or beside)[:1]
    return first[0] if first else validation if validation is not None and validation.is_file() else None


def cautions(path: Path, limit: int | None, runs: tuple[str, ...]) -> Iterator[str]:
    """What flatters, or blurs, the scores of these runs on this file. Raises DatasetError and OSError."""
    told = content(path, limit)
    if told.patients is not None and told.patients < FEW:
        yield f"Fewer than {FEW} patients: intervals are narrower than they should be, and little can be told apart."
    if told.patients is None:
        yield "The rows name no patients: every study counts as its own patient, and intervals may be too narrow."
    asked = {question.about.patient for question in read(path, None, limit)} - {""}
    for run in runs:
        if validated_on(run) == path:
            yield f"{run} was validated on this file: its best step was chosen by it, which flatters its scores."
        for file in learnt_from(run):
            both = len(asked & patients(file))
            if both:
                yield f"{run} has learnt from {both:,} of these patients ({file.name}): its scores will be flattered."


def patients(file: Path) -> frozenset[str]:
    """The patients that the rows of a training file name; none of a file that is too large to be looked through."""
    if not file.is_file() or file.stat().st_size > LOOKED_THROUGH:
        return frozenset()
    return _patients(file, *_stamp(file))


@lru_cache(maxsize=4)
def _read(path: Path, images: Path | None, size: int, changed: int) -> tuple[Question, ...]:
    return tuple(read_questions(path, images))


@lru_cache(maxsize=8)
def _true_of(path: Path, size: int, changed: int) -> frozenset[str]:
    """The ids a truth file knows."""
    return frozenset(str(row["id"]) for row in _rows(path) if "id" in row)


@lru_cache(maxsize=8)
def _patients(path: Path, size: int, changed: int) -> frozenset[str]:
    named = (str(row.get("patient") or row.get("subject_id") or "") for row in _rows(path))
    return frozenset(named) - {""}


def _rows(path: Path) -> Iterator[dict[str, object]]:
    """The rows of a JSON list or of JSON Lines that are objects; whatever cannot be read holds none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [json.loads(line) for line in text.split("\n") if line] if path.suffix == ".jsonl" else json.loads(text)
    except (OSError, ValueError, RecursionError):
        return
    yield from (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _recipe(run: str) -> object:
    try:
        return recipes.document((run_folder.runs_folder() / run / run_folder.RECIPE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None

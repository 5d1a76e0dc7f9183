"""A judge's verdicts against those of people who graded the same answers.

    {"question_id": "q7", "model": "finetuned", "verdict": "correct" | "incorrect" | "neutral"}

One a line, or as CSV with these columns. "model" may be left out where there is one only. An evaluation's folder keeps
those that were given in the studio (`GRADES`). Replies of the judge that cannot be read are counted and not compared.
Without such grades, or where Cohen's kappa is below `ENOUGH`, a judge's figures are no headline.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DatasetError
from engine.evaluation.agreement import kappa
from engine.evaluation.judge.summary import Outcome
from engine.evaluation.judge.verdict import RULINGS, Ruling, Verdict
from engine.evaluation.statistics import Floats, Measure, Patients
from engine.jobs.locking import held

ENOUGH = 0.6
"""Kappa from which on a judge's figures may stand among the headline scores."""

FEW = 100
"""Graded answers below which kappa says too little."""

GRADES = "grades.jsonl"
"""The grades that an evaluation's folder keeps."""

Grades = Mapping[tuple[str, str], Ruling]
"""(name of the system, question id) -> a person's verdict."""


@dataclass(frozen=True)
class Calibration:
    """How far judge and people agree.

    Attributes:
        graded: answers that people graded and the judge was asked about.
        compared: of them, those with a verdict that can be read; invalid: the others.
        agreement: share on which they agree, 0 to 1.
        kappa, low, high: Cohen's, with its interval over patients; None where it is not defined.
    """

    graded: int
    compared: int
    invalid: int
    agreement: float | None
    kappa: float | None
    low: float | None
    high: float | None

    @property
    def enough(self) -> bool:
        """Whether the judge's figures may stand among the headline scores."""
        return self.kappa is not None and self.kappa >= ENOUGH

    @property
    def sentence(self) -> str:
        """What that means, plainly."""
        if self.kappa is None:
            return "Judge and people cannot be compared: too few answers were graded, or all alike."
        between = f" (95 % interval {self.low:.2f} to {self.high:.2f})" if self.low is not None else ""
        digits = 2 if (round(self.kappa, 2) >= ENOUGH) == self.enough else 4  # no 0.60 that is said to be below 0.6
        said = f"Judge and people: Cohen's kappa {self.kappa:.{digits}f}{between} over {self.compared} answers."
        if self.invalid:
            said += f" {self.invalid} replies of the judge to graded answers cannot be read."
        if not self.enough:
            said += f" That is below {ENOUGH}: THE JUDGE DOES NOT GRADE AS PEOPLE DO, and its figures are no headline."
        if self.compared < FEW:
            said += f" Fewer than {FEW} graded answers say little about a judge."
        return said


def read_grades(file: Path, names: Sequence[str]) -> dict[tuple[str, str], Ruling]:
    """The grades of a file, JSON Lines or CSV, for the systems ``names``.

    Raises:
        DatasetError: rows that are no grades, or grade twice; all are listed.
    """
    found: dict[tuple[str, str], Ruling] = {}
    faults: list[tuple[int, str]] = []
    for number, row in _rows(file):
        try:
            place, ruling = _grade(row, names)
            if place in found:
                raise ValueError("this answer was graded before")
            found[place] = ruling
        except ValueError as fault:
            faults.append((number, str(fault)))
    if faults:
        rows = f"{len(faults)} row{'' if len(faults) == 1 else 's'}"
        raise DatasetError(f"{rows} of the grades '{file.name}' cannot be used.", tuple(faults))
    if not found:
        raise DatasetError(f"'{file.name}' holds no grades.")
    return found


def kept_grades(folder: Path) -> dict[tuple[str, str], Ruling]:
    """The grades that an evaluation's folder keeps, of whatever system; {} where there are none.

    Raises:
        DatasetError: the file cannot be read.
    """
    file = folder / GRADES
    if not file.is_file():
        return {}
    rows = list(_rows(file))
    names = {str(row.get("model") or "") for _, row in rows if isinstance(row, dict)} - {""}
    return read_grades(file, sorted(names)) if rows else {}


def keep_grades(folder: Path, grades: Mapping[tuple[str, str], Ruling | None]) -> None:
    """Add grades to those that an evaluation's folder keeps; a newer one takes the place of an older, None removes it.

    Raises:
        DatasetError: what the folder keeps cannot be read, and stays as it is.
    """
    file = folder / GRADES
    with held(folder / f".{GRADES}.lock"):
        everything: dict[tuple[str, str], Ruling | None] = {**kept_grades(folder), **grades}
        lines = [
            json.dumps({"question_id": identity, "model": name, "verdict": ruling}, ensure_ascii=False) + "\n"
            for (name, identity), ruling in everything.items()
            if ruling is not None
        ]
        fresh = file.with_name(f".{GRADES}.{os.getpid()}")
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.replace(file)


def calibrate(grades: Grades, outcomes: Mapping[str, Mapping[str, Outcome]], owners: Mapping[str, str]) -> Calibration:
    """Compare grades with what the judge said.

    Args:
        grades: of people.
        outcomes: name of the system -> question id -> what the judge said.
        owners: question id -> its patient.
    """
    pairs = [
        (identity, ruling, outcomes[name][identity])
        for (name, identity), ruling in grades.items()
        if identity in outcomes.get(name, {})
    ]
    read = [(identity, ours, said.ruling) for identity, ours, said in pairs if isinstance(said, Verdict)]
    people, judge = [ours for _, ours, _ in read], [theirs for _, _, theirs in read]
    agreed = sum(a == b for a, b in zip(people, judge, strict=True))
    value = kappa(people, judge)
    low = high = None
    if value is not None:
        score = Patients([owners.get(identity, identity) for identity, _, _ in read]).score(_table(people, judge))
        low, high = score.low, score.high
    return Calibration(
        graded=len(pairs),
        compared=len(read),
        invalid=len(pairs) - len(read),
        agreement=agreed / len(read) if read else None,
        kappa=value,
        low=low,
        high=high,
    )


def _table(people: Sequence[Ruling], judge: Sequence[Ruling]) -> Measure:
    """Kappa as a function of the nine counts of who said what."""
    size = len(RULINGS)
    rows = np.zeros((len(people), size * size))
    for number, (ours, theirs) in enumerate(zip(people, judge, strict=True)):
        rows[number, RULINGS.index(ours) * size + RULINGS.index(theirs)] = 1

    def combine(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], size, size)
        whole = table.sum((-2, -1))
        with np.errstate(invalid="ignore", divide="ignore"):
            agreed = np.trace(table, axis1=-2, axis2=-1) / whole
            by_chance = (table.sum(-1) * table.sum(-2)).sum(-1) / whole**2
            found = (agreed - by_chance) / (1 - by_chance)
        return np.asarray(np.where(by_chance < 1, found, np.nan), dtype=np.float64)

    return Measure(rows, combine, np.ones(len(people), dtype=np.bool_))


def _grade(row: object, names: Sequence[str]) -> tuple[tuple[str, str], Ruling]:
    if not isinstance(row, dict):
        raise ValueError("not an object")
    identity = str(row.get("question_id") or "").strip()
    if not identity:
        raise ValueError("'question_id' is missing")
    name = str(row.get("model") or "").strip() or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise ValueError(f"'model' must be one of {', '.join(names)}")
    said = str(row.get("verdict") or "").strip().lower()
    ruling = next((one for one in RULINGS if one == said), None)
    if ruling is None:
        raise ValueError("'verdict' is none of correct, incorrect and neutral")
    return (name, identity), ruling


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    """(line, row) of a file; a line that is no JSON comes as None."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DatasetError(f"'{file.name}' is not a text file in UTF-8.") from cause
    if file.suffix.lower() == ".csv":
        yield from enumerate(csv.DictReader(io.StringIO(text)), 2)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None

"""People's grades of short answers beside a judge's: given one by one, read from a file, and how far both agree.

Grades are kept in the evaluation's folder and used the next time it is scored; how far they agree with the judge so far
is computed here at once, by the same functions. The same answer of several models is graded once, as a judge grades it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.datasets.libra import Question
from engine.evaluation.cases import UNREADABLE, Case, Judgement
from engine.evaluation.judge.human import FEW, GRADES, Calibration, calibrate, keep_grades, kept_grades, read_grades
from engine.evaluation.judge.summary import Outcome
from engine.evaluation.judge.verdict import RULINGS, Invalid, Ruling, Verdict
from trainer_ui.services.case_browser import Browser, StudyCases

__all__ = ["FEW", "RULINGS", "Grades", "Ruling", "Standing"]

Grades = Mapping[tuple[str, str], Ruling]
"""(name of the model, id of the question) -> a person's verdict."""

WORDS: Mapping[str, str] = {
    "correct": "correct",
    "incorrect": "incorrect",
    "neutral": "neither",
    UNREADABLE: UNREADABLE,
}
"""Verdict to word."""


@dataclass(frozen=True)
class Standing:
    """How far the grading has come: ``graded`` of ``answers`` of the models; ``agreement`` with a judge, if any."""

    graded: int
    answers: int
    agreement: Calibration | None

    @property
    def words(self) -> str:
        """In sentences."""
        if not self.graded:
            return f"Nobody has graded any of the {self.answers:,} answers yet. Take {FEW} or more, at random."
        said = f"{self.graded:,} of {self.answers:,} answers have been graded by people."
        return f"{said} {self.agreement.sentence}" if self.agreement is not None else said


def grades(folder: Path) -> Grades:
    """What an evaluation's folder keeps. Raises DatasetError where that cannot be read."""
    file = folder / GRADES
    if not file.is_file():
        return {}
    status = file.stat()
    return _grades(folder, status.st_size, status.st_mtime_ns)


def grade(folder: Path, study: StudyCases, models: tuple[str, ...], name: str, ruling: Ruling | None) -> None:
    """Keep a grade of a model's answer, and of the same answer of the other ``models``; None takes it back.

    Raises DatasetError, OSError.
    """
    text = study.cases[name].prediction
    same = [one for one in models if one in study.cases and study.cases[one].prediction == text]
    keep_grades(folder, {(one, study.id): ruling for one in {name, *same}})


def load(folder: Path, file: Path, browser: Browser) -> int:
    """Keep the grades of a file (CSV or JSON Lines) as well; how many. Raises DatasetError, OSError."""
    found = read_grades(file, list(browser.models))
    keep_grades(folder, found)
    return len(found)


def as_file(found: Grades) -> str:
    """Grades as a file that can be loaded again, without a patient's text."""
    rows = ({"question_id": identity, "model": name, "verdict": said} for (name, identity), said in found.items())
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def standing(found: Grades, browser: Browser) -> Standing:
    """How far the grading has come, and how far it agrees with the judge."""
    outcomes = {
        name: {study.id: _outcome(said) for study in browser.studies if (said := _judged(study, name)) is not None}
        for name in browser.models
    }
    owners = {study.id: _owner(study.id, study.question) for study in browser.studies}
    answers = {(name, study.id) for study in browser.studies for name in browser.models if name in study.cases}
    known = {place: ruling for place, ruling in found.items() if place in answers}
    judged = any(outcomes.values())
    return Standing(len(known), len(answers), calibrate(known, outcomes, owners) if known and judged else None)


def _judged(study: StudyCases, name: str) -> Judgement | None:
    case: Case | None = study.cases.get(name)
    return case.judged if case is not None else None


def _outcome(said: Judgement) -> Outcome:
    ruling = next((one for one in RULINGS if one == said.verdict), None)
    if ruling is None:
        return Invalid(said.reason)
    return Verdict(ruling, said.contradiction, said.confidence, said.reason)


def _owner(identity: str, question: Question | None) -> str:
    """Whose question it is: as the evaluation draws patients."""
    if question is None:
        return identity
    return question.about.patient or str(question.images[0])


@lru_cache(maxsize=4)
def _grades(folder: Path, size: int, changed: int) -> Grades:
    return kept_grades(folder)

"""The cases of an evaluation to look through: what everybody said of each study, the worst first, some of them or all.

Cases are what scoring left (cases.jsonl), joined with the questions for images, prompt, and whom a study is about.
Texts are kept in memory as long as their files stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.datasets.libra import IMAGE_TEXT, Question
from engine.errors import DatasetError, InputError
from engine.evaluation import subgroups
from engine.evaluation.cases import SCORES, UNREADABLE, VQA_SCORES, Case, Fault, ShortFault, read_cases
from engine.evaluation.judge.verdict import RULINGS
from engine.evaluation.naive import TITLES
from engine.evaluation.subgroups import Study
from trainer_ui.services import question_files
from trainer_ui.services.evaluations import CASES

__all__ = ["Browser", "Case", "Fault", "StudyCases"]

FAULTS = "faults"
"""Ordered by the number of faults instead of a score."""

NOT_JUDGED = "not judged"
VERDICTS = (*RULINGS, UNREADABLE, NOT_JUDGED)
"""What there may be of a judge about an answer."""


@dataclass(frozen=True)
class StudyCases:
    """A study: what was asked, and the case of everybody who answered.

    Attributes:
        place: in the question file, from 0.
        question: None where the question file is gone or has changed.
        parts: division -> the part it is in, as the subgroups of the report.
        cases: by the name of the system, in their order.
    """

    id: str
    place: int
    question: Question | None
    parts: Mapping[str, str]
    cases: Mapping[str, Case]

    @property
    def reference(self) -> str:
        """The reference text; "" where there is truth alone."""
        return next((case.reference for case in self.cases.values()), "")

    @property
    def asked(self) -> str:
        """The question as the file puts it."""
        return self.question.text.replace(IMAGE_TEXT, "").strip() if self.question is not None else ""

    @property
    def whom(self) -> str:
        """Sex, age, view and prior, as far as the file says."""
        if self.question is None:
            return ""
        about = self.question.about
        age = f"{about.age:.0f} years" if about.age is not None else ""
        known = [name for name in (self.parts.get("sex", ""), age, about.view) if name and name != "not stated"]
        alone = bool(self.question.kind or self.question.form) and not question_files.paired(self.question)
        return ", ".join([*known, *([] if alone else [self.parts.get("prior", "")])])

    def value(self, system: str, by: str) -> float | None:
        """A score of a system's case, or how many faults it has; None where it has none of either."""
        case = self.cases.get(system)
        if case is None:
            return None
        return float(len(case.slips)) if by == FAULTS else case.scores.get(by)


@dataclass(frozen=True)
class Browser:
    """All cases of an evaluation.

    Attributes:
        studies: in the order of the question file.
        models, baselines: names of those that have cases.
        scores: that any case has, in the order in which they are offered.
        faults_known: kinds of faults that there can be: of reports, or of short answers.
        short: whether they are short answers to questions.
        why: a sentence on what is missing (the questions are gone); "" where nothing is.
    """

    studies: tuple[StudyCases, ...]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    scores: tuple[str, ...]
    faults_known: tuple[str, ...]
    why: str
    short: bool = False

    @property
    def systems(self) -> tuple[str, ...]:
        """All of them, models first."""
        return (*self.models, *self.baselines)

    @property
    def judged(self) -> bool:
        """Whether a judge has said anything."""
        return any(case.judged is not None for study in self.studies for case in study.cases.values())

    def verdicts(self, system: str) -> Mapping[str, int]:
        """How many answers of a system have each of VERDICTS."""
        return Counter(verdict(study.cases[system]) for study in self.studies if system in study.cases)

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings that anybody got wrong."""
        cases = (case for study in self.studies for case in study.cases.values())
        return tuple(sorted({slip.finding for case in cases for slip in case.slips} - {""}))

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the studies, such as "sex: female"; divisions of which nothing is known are left out."""
        found: dict[str, Counter[str]] = {}
        for study in self.studies:
            for division, name in study.parts.items():
                found.setdefault(division, Counter())[name] += 1
        return tuple(
            f"{division}: {name}"
            for division, names in found.items()
            if set(names) != {subgroups.NOT_STATED}
            for name in sorted(names, key=lambda one: (one == subgroups.NOT_STATED, not one.startswith("under"), one))
        )

    def faults(self, system: str) -> Mapping[str, int]:
        """How many studies have each kind of fault in what a system wrote."""
        counted: Counter[str] = Counter()
        for study in self.studies:
            if system in study.cases:
                counted.update(study.cases[system].faults())
        return {fault: counted[fault] for fault in self.faults_known}


def read(folder: Path, document: Mapping[str, Any]) -> Browser:
    """The cases of an evaluation.

    Raises:
        InputError: there are none yet. DatasetError: they cannot be read.
    """
    file = folder / CASES
    if not file.is_file():
        raise InputError("There are no cases yet: they come with the scores.")
    asked = document.get("asked") or {}
    questions = Path(str((asked.get("questions") or {}).get("file") or ""))
    images = Path(asked["images"]) if asked.get("images") else None
    stamp = _stamp(questions) if questions.is_file() else (0, 0)
    names = tuple(str(one["name"]) for one in document.get("contenders") or ())
    return _read(file, *_stamp(file), questions, *stamp, images, names)


def titles(browser: Browser) -> dict[str, str]:
    """Name of a system to what it is called."""
    return {name: TITLES.get(name, name) for name in browser.systems}


def verdict(case: Case) -> str:
    """What a judge said of a case, one of VERDICTS."""
    return NOT_JUDGED if case.judged is None else case.judged.verdict


@lru_cache(maxsize=2)
def _read(
    file: Path,
    size: int,
    changed: int,
    questions: Path,
    questions_size: int,
    questions_changed: int,
    images: Path | None,
    contenders: tuple[str, ...],
) -> Browser:
    found: dict[str, dict[str, Case]] = {}
    systems: dict[str, None] = {}
    for case in read_cases(file):
        systems.setdefault(case.system)
        found.setdefault(case.id, {})[case.system] = case
    asked, why = _asked(questions, images)
    order = {identity: place for place, identity in enumerate(asked)}
    ids = sorted(found, key=lambda identity: order.get(identity, len(order)))
    studies = tuple(
        StudyCases(
            identity, place, question := asked.get(identity), _parts(question), MappingProxyType(found[identity])
        )
        for place, identity in enumerate(ids)
    )
    everything = [case for cases in found.values() for case in cases.values()]
    scored = {name for case in everything for name in case.scores}
    short = not scored.isdisjoint(set(VQA_SCORES) - set(SCORES))
    return Browser(
        studies,
        tuple(name for name in systems if name in contenders),
        tuple(name for name in systems if name not in contenders),
        tuple(name for name in dict.fromkeys((*VQA_SCORES, *SCORES) if short else SCORES) if name in scored),
        tuple(map(str, ShortFault if short else Fault)),
        why,
        short,
    )


def _asked(file: Path, images: Path | None) -> tuple[dict[str, Question], str]:
    """The questions by their ids, or why there are none."""
    try:
        return {question.id: question for question in question_files.read(file, images)}, ""
    except (OSError, DatasetError):
        return {}, (
            f"The question file {file.name} is not where it was, or cannot be read any more: there are no images, and "
            "nothing is known of whom the studies are about."
        )


def _parts(question: Question | None) -> Mapping[str, str]:
    if question is None:
        return MappingProxyType({})
    kind = {"type": question.kind} if question.kind else {}
    return MappingProxyType(kind | subgroups.divided(Study(question.about, question_files.paired(question))))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

"""The cases of an evaluation to look through: what everybody said of each study, the worst first, some of them or all.

Cases are what scoring left (cases.jsonl), joined with the questions for images, prompt, and whom a study is about. What
is looked at is a `View`; it goes into a page's address and comes back from it, but for the words that are looked for:
they may be a patient's. Texts are kept in memory as long as their files stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.datasets.libra import IMAGE_TEXT, Question
from engine.errors import DatasetError, InputError
from engine.evaluation import subgroups
from engine.evaluation.cases import SCORES, VQA_SCORES, Case, Fault, ShortFault, read_cases
from engine.evaluation.keys import describe
from engine.evaluation.naive import TITLES
from engine.evaluation.subgroups import Study
from trainer_ui.services import question_files
from trainer_ui.services.evaluations import CASES

__all__ = ["Browser", "Case", "Fault", "StudyCases", "View"]

FAULTS = "faults"
"""Ordered by the number of faults instead of a score."""

ORDERS: Mapping[str, str] = {
    "worst": "the worst first",
    "lost": "the largest loss against the other first",
    "gained": "the largest gain over the other first",
    "best": "the best first",
    "file": "as in the question file",
}
DIFFER: Mapping[str, str] = {
    "": "All studies",
    "texts": "Models wrote different texts",
    "faults": "Models made different faults",
}


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
        return ", ".join([*known, self.parts.get("prior", "")])

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
        why: a sentence on what is missing (the questions are gone); "" where nothing is.
    """

    studies: tuple[StudyCases, ...]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    scores: tuple[str, ...]
    faults_known: tuple[str, ...]
    why: str

    @property
    def systems(self) -> tuple[str, ...]:
        """All of them, models first."""
        return (*self.models, *self.baselines)

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


@dataclass(frozen=True)
class View:
    """Which cases are looked at, and in which order.

    Attributes:
        of: whose cases are ordered and filtered.
        by: the score they are ordered by, or FAULTS.
        order: one of ORDERS; "lost" and "gained" are against ``against``.
        faults: any of these must be among the case's; all studies where there is none.
        finding: the faults must be about it.
        parts: of each division named, one of the parts named.
        differ: one of DIFFER.
        text: words that must all occur in the question, the reference or what a model wrote.
    """

    of: str
    by: str = "finding_f1_micro"
    order: str = "worst"
    against: str = ""
    faults: tuple[str, ...] = ()
    finding: str = ""
    parts: tuple[str, ...] = ()
    differ: str = ""
    text: str = ""

    @property
    def filtered(self) -> bool:
        """Whether anything may be left out."""
        return bool(self.faults or self.finding or self.parts or self.differ or self.text.strip())

    @property
    def relative(self) -> bool:
        """Whether the order is by the difference to another."""
        return self.order in ("lost", "gained")

    def params(self, usual: View) -> dict[str, str]:
        """What differs from the usual view, for an address; without the words that are looked for."""
        said = {"of": self.of, "by": self.by, "order": self.order, "against": self.against, "finding": self.finding}
        said |= {"fault": "|".join(self.faults), "in": "|".join(self.parts), "differ": self.differ}
        same = {"of": usual.of, "by": usual.by, "order": usual.order, "against": usual.against}
        return {name: value for name, value in said.items() if value and value != same.get(name, "")}


ADDRESS = ("of", "by", "order", "against", "finding", "fault", "in", "differ")
"""What a view may be called in an address."""


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


def usual(browser: Browser, of: str, against: str) -> View:
    """The view to begin with: of one model, the worst first by the findings."""
    known = of if of in browser.systems else browser.systems[0]
    other = against if against in browser.systems and against != known else ""
    other = other or next((name for name in browser.systems if name != known), "")
    by = next((name for name in (View.by, *browser.scores) if name in browser.scores), FAULTS)
    return View(of=known, by=by, against=other)


def from_address(params: Mapping[str, str], browser: Browser, usual: View) -> View:
    """The view that an address says; whatever it says that cannot be is passed over."""

    def one_of(name: str, known: Sequence[str], otherwise: str) -> str:
        return params[name] if params.get(name) in known else otherwise

    def some_of(name: str, known: Sequence[str]) -> tuple[str, ...]:
        return tuple(word for word in params.get(name, "").split("|") if word in known)

    of = one_of("of", browser.systems, usual.of)
    others = [name for name in browser.systems if name != of]
    against = usual.against if usual.against in others else next(iter(others), "")
    order = one_of("order", tuple(ORDERS), usual.order)
    return replace(
        usual,
        of=of,
        by=one_of("by", (*browser.scores, FAULTS), usual.by),
        against=one_of("against", others, against),
        order=order if others or order not in ("lost", "gained") else usual.order,
        faults=some_of("fault", browser.faults_known),
        finding=one_of("finding", browser.findings, ""),
        parts=some_of("in", browser.parts),
        differ=one_of("differ", tuple(DIFFER), ""),
    )


def chosen(browser: Browser, view: View) -> tuple[StudyCases, ...]:
    """The studies of a view in its order; those without the score come last."""
    found = [study for study in browser.studies if _wanted(study, view, browser.models)]
    if view.order == "file":
        return tuple(found)
    worse_first = _badness(view.by)

    def place(study: StudyCases) -> tuple[bool, float, int, int]:
        value = study.value(view.of, view.by)
        if view.relative and value is not None:
            other = study.value(view.against, view.by)
            value = None if other is None else value - other
        if value is None:
            return True, 0.0, 0, study.place
        sign = -worse_first if view.order in ("best", "gained") else worse_first
        case = study.cases[view.of]
        return False, sign * value, -len(case.slips) if view.order in ("worst", "lost") else 0, study.place

    return tuple(sorted(found, key=place))


def in_words(view: View, titles: Mapping[str, str]) -> str:
    """The view in a line."""
    what = "number of faults" if view.by == FAULTS else describe(view.by).title
    whose = titles.get(view.of, view.of)
    order = ORDERS[view.order].replace("the other", titles.get(view.against, view.against))
    said = [f"{order}, by {what} of {whose}" if view.order != "file" else order]
    said += [", ".join(view.faults)] if view.faults else []
    said += [view.finding] if view.finding else []
    said += [", ".join(view.parts)] if view.parts else []
    said += [DIFFER[view.differ].lower()] if view.differ else []
    said += ["with the words looked for"] if view.text.strip() else []
    return "; ".join(said)


def titles(browser: Browser) -> dict[str, str]:
    """Name of a system to what it is called."""
    return {name: TITLES.get(name, name) for name in browser.systems}


def _badness(by: str) -> float:
    """1 where low is bad, -1 where high is bad."""
    return -1.0 if by == FAULTS else 1.0


def _wanted(study: StudyCases, view: View, models: Sequence[str]) -> bool:
    case = study.cases.get(view.of)
    if case is None:
        return False
    if (view.faults or view.finding) and not any(
        (not view.faults or slip.fault in view.faults) and view.finding in ("", slip.finding) for slip in case.slips
    ):
        return False
    if view.parts:
        divisions = {part.partition(": ")[0] for part in view.parts}
        if any(f"{one}: {study.parts.get(one)}" not in view.parts for one in divisions):
            return False
    said = [study.cases[name] for name in models if name in study.cases]
    if view.differ == "texts" and len({" ".join(one.prediction.casefold().split()) for one in said}) < 2:
        return False
    if view.differ == "faults" and len({one.slips for one in said}) < 2:
        return False
    words = view.text.casefold().split()
    if not words:
        return True
    texts = " ".join([study.id, study.asked, study.reference, *(one.prediction for one in said)]).casefold()
    return all(word in texts for word in words)


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
        tuple(name for name in dict.fromkeys((*SCORES, *VQA_SCORES)) if name in scored),
        tuple(map(str, ShortFault if short else Fault)),
        why,
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
    return MappingProxyType(subgroups.divided(Study(question.about, question_files.paired(question))))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

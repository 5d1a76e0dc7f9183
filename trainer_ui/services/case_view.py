"""Which cases are looked at and in which order: a `View`, which goes into a page's address and comes back from it.

The words that are looked for stay out of an address: they may be a patient's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.evaluation.cases import Case
from engine.evaluation.keys import describe
from trainer_ui.services.case_browser import FAULTS, VERDICTS, Browser, StudyCases, verdict

ORDERS: Mapping[str, str] = {
    "worst": "the worst first",
    "lost": "the largest loss against the other first",
    "gained": "the largest gain over the other first",
    "best": "the best first",
    "file": "as in the question file",
}
DIFFER: Mapping[str, str] = {
    "": "All",
    "texts": "Models wrote different texts",
    "faults": "Models made different faults",
    "verdicts": "Models were judged differently",
}
GRADED: Mapping[str, str] = {
    "": "All",
    "not": "Not graded yet",
    "graded": "Graded",
    "otherwise": "Graded otherwise than the judge did",
}
"""What people may have said of an answer."""

Grades = Mapping[tuple[str, str], str]
"""(name of the model, id of the study) -> a person's verdict."""


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
        verdicts: of VERDICTS; all studies where there is none.
        graded: one of GRADED.
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
    verdicts: tuple[str, ...] = ()
    graded: str = ""
    text: str = ""

    @property
    def filtered(self) -> bool:
        """Whether anything may be left out."""
        named = self.faults or self.finding or self.parts or self.differ or self.verdicts or self.graded
        return bool(named or self.text.strip())

    @property
    def relative(self) -> bool:
        """Whether the order is by the difference to another."""
        return self.order in ("lost", "gained")

    def params(self, usual: View) -> dict[str, str]:
        """What differs from the usual view, for an address; without the words that are looked for."""
        said = {"of": self.of, "by": self.by, "order": self.order, "against": self.against, "finding": self.finding}
        said |= {"fault": "|".join(self.faults), "in": "|".join(self.parts), "differ": self.differ}
        said |= {"verdict": "|".join(self.verdicts), "graded": self.graded}
        same = {"of": usual.of, "by": usual.by, "order": usual.order, "against": usual.against}
        return {name: value for name, value in said.items() if value and value != same.get(name, "")}


ADDRESS = ("of", "by", "order", "against", "finding", "fault", "in", "differ", "verdict", "graded")
"""What a view may be called in an address."""


def usual(browser: Browser, of: str, against: str) -> View:
    """The view to begin with: of one model, the worst first by the findings."""
    known = of if of in browser.systems else browser.systems[0]
    other = against if against in browser.systems and against != known else ""
    other = other or next((name for name in browser.systems if name != known), "")
    first = browser.scores if browser.short else (View.by, *browser.scores)
    by = next((name for name in first if name in browser.scores), FAULTS)
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
        verdicts=some_of("verdict", VERDICTS),
        graded=one_of("graded", tuple(GRADED), ""),
    )


def chosen(browser: Browser, view: View, grades: Grades = MappingProxyType({})) -> tuple[StudyCases, ...]:
    """The studies of a view in its order, those without the score last; ``grades`` are what people have said."""
    found = [study for study in browser.studies if _wanted(study, view, browser.models, grades)]
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
    said += [f"judged {' or '.join(view.verdicts)}"] if view.verdicts else []
    said += [text.lower() for text in (DIFFER[view.differ], GRADED[view.graded]) if text != DIFFER[""]]
    said += ["with the words looked for"] if view.text.strip() else []
    return "; ".join(said)


def _badness(by: str) -> float:
    """1 where low is bad, -1 where high is bad."""
    return -1.0 if by == FAULTS else 1.0


def _as_graded(case: Case, view: View, grades: Grades) -> bool:
    """Whether a case is one of those that a view names by what people have said of it."""
    given = grades.get((case.system, case.id))
    if view.graded == "otherwise":
        return given is not None and case.judged is not None and given != case.judged.verdict
    return (given is None) == (view.graded == "not")


def _wanted(study: StudyCases, view: View, models: Sequence[str], grades: Grades) -> bool:
    case = study.cases.get(view.of)
    if case is None or (view.verdicts and verdict(case) not in view.verdicts):
        return False
    if view.graded and not _as_graded(case, view, grades):
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
    if view.differ == "verdicts" and len(set(map(verdict, said))) < 2:
        return False
    words = view.text.casefold().split()
    if not words:
        return True
    texts = " ".join([study.id, study.asked, study.reference, *(one.prediction for one in said)]).casefold()
    return all(word in texts for word in words)

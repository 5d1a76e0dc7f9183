"""The same scores for parts of the studies: sex, age, view, with and without a prior.

A difference between two parts is a hint, not a finding: parts are small and many, and nothing is tested. Below
`FEWEST` patients no interval is given, since drawing so few again says little about others. What the rows do not say of
a study puts it among "not stated"; a division of which nothing is known is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.datasets.libra import About
from engine.evaluation.statistics import Score

if TYPE_CHECKING:
    from engine.evaluation.scoring import Tally

FEWEST = 10
NOT_STATED = "not stated"
AGES = (18, 40, 65, 80)
"""Years at which a band begins."""

_SEXES = {"F": "female", "M": "male", "O": "other"}


@dataclass(frozen=True)
class Study:
    """What a study is divided by; ``has_prior`` is None where it is not known."""

    about: About
    has_prior: bool | None


@dataclass(frozen=True)
class Part:
    """A part of the studies of an evaluation with its scores. ``division`` is "sex", "age", "view" or "prior"."""

    division: str
    name: str
    studies: int
    patients: int
    scores: Mapping[str, Score]


def parts(tally: Tally, studies: Mapping[str, Study], keys: Sequence[str]) -> list[Part]:
    """Every part of the studies of ``tally`` with the scores ``keys`` that it has, division by division."""
    from engine.evaluation.scoring import Tally  # brings NLTK: a screen that names the parts must not wait for that

    found = []
    only = Tally(tally.ids, tally.owners, {key: tally.measures[key] for key in keys if key in tally.measures})
    for division, name_of in _DIVISIONS.items():
        names = {identity: name_of(studies[identity]) for identity in tally.ids if identity in studies}
        if set(names.values()) <= {NOT_STATED}:
            continue
        for name in sorted(set(names.values()), key=_place):
            part = only.of([identity for identity, own in names.items() if own == name])
            patients = len(set(part.owners))
            scores = part.scores(intervals=patients >= FEWEST)
            if patients < FEWEST:
                scores = {key: _without(score) for key, score in scores.items()}
            found.append(Part(division, name, len(part.ids), patients, scores))
    return found


def divided(study: Study) -> dict[str, str]:
    """Division -> the name of the part that a study is in."""
    return {division: name_of(study) for division, name_of in _DIVISIONS.items()}


def age_band(years: float | None) -> str:
    """The band of an age: "under 18", "18 to 39", ..., "80 and over"."""
    if years is None or years < 0:
        return NOT_STATED
    if years < AGES[0]:
        return f"under {AGES[0]}"
    begins = max(age for age in AGES if years >= age)
    return f"{begins} and over" if begins == AGES[-1] else f"{begins} to {AGES[AGES.index(begins) + 1] - 1}"


def _prior(study: Study) -> str:
    if study.has_prior is None:
        return NOT_STATED
    return "with a prior" if study.has_prior else "without a prior"


_DIVISIONS: dict[str, Callable[[Study], str]] = {
    "sex": lambda study: _SEXES.get(study.about.sex, NOT_STATED),
    "age": lambda study: age_band(study.about.age),
    "view": lambda study: study.about.view or NOT_STATED,
    "prior": _prior,
}


def _place(name: str) -> tuple[bool, bool, str]:
    """Parts in the order of their names, the youngest first and what is not stated last."""
    return name == NOT_STATED, not name.startswith("under"), name


def _without(score: Score) -> Score:
    """A score of too few patients for an interval."""
    if score.value is None:
        return score
    return replace(score, low=None, high=None, note=f"fewer than {FEWEST} patients: no interval")

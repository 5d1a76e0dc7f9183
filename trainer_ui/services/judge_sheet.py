"""What a judge said of an evaluation's short answers, as scores.json has it: its table, its tests, what to say of it.

The table is the published one: rates over the replies that can be read and over all answers, each with its count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from engine.evaluation.judge.summary import KEYS
from engine.evaluation.statistics import Difference

VALID, TOTAL = "valid_responses", "total_responses"


@dataclass(frozen=True)
class Discordance:
    """On how many questions of ``items`` only the chosen system, and only this one, was right; McNemar's exact p."""

    chosen_only: int
    this_only: int
    items: int
    p: float


@dataclass(frozen=True)
class Judged:
    """A judge's table of one system.

    Attributes:
        summary: by the names of the published table; rates from 0 to 1, None where there is nothing to divide by.
        not_judged: answers that it was not asked about, or declined.
        differences, discordances: to the chosen system, by key of a score sheet.
        sentence: whether its share of correct answers differs, or may do so by chance; "" for the chosen one.
    """

    summary: Mapping[str, float | int | None]
    not_judged: int
    differences: Mapping[str, Difference]
    discordances: Mapping[str, Discordance]
    sentence: str

    @property
    def valid(self) -> int:
        """Replies that can be read."""
        return int(self.summary.get(VALID) or 0)

    @property
    def total(self) -> int:
        """Answers put to the judge."""
        return int(self.summary.get(TOTAL) or 0)

    def count(self, rate: str, of: int) -> int:
        """How many answers a rate of the table stands for."""
        return round(float(self.summary.get(rate) or 0.0) * of)


@dataclass(frozen=True)
class Judge:
    """What a judge was and said.

    Attributes:
        name: its id.
        prompt: the sha256 of its instructions.
        caution: what must be said beside its figures.
        headline: people's grades say that it judges as they do.
        tests: how many tests its p values are corrected over.
        systems: name of a system -> what it said of that.
        graded: answers that people had graded when it was scored.
    """

    name: str
    prompt: str
    caution: str
    headline: bool
    tests: int
    systems: Mapping[str, Judged]
    graded: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What came of its comparisons."""
        return tuple(one.sentence for one in self.systems.values() if one.sentence)


def read(entry: Mapping[str, Any] | None) -> Judge | None:
    """From ``judge`` of scores.json. Raises KeyError, TypeError, ValueError where it is damaged."""
    if not entry:
        return None
    held = entry.get("calibration") or {}
    return Judge(
        name=str(entry["judge"]),
        prompt=str(entry.get("prompt_sha256") or ""),
        caution=str(entry["caution"]),
        headline=bool(entry["headline"]),
        tests=int(entry.get("tests") or 0),
        systems={str(name): _judged(one) for name, one in entry["models"].items()},
        graded=int(held.get("graded") or 0),
    )


def discordance(entry: Mapping[str, Any]) -> Discordance:
    """From ``mcnemar`` of a difference."""
    counts = [int(entry[name]) for name in ("against_only", "this_only", "items")]
    return Discordance(counts[0], counts[1], counts[2], float(entry["p"]))


def difference(entry: Mapping[str, Any]) -> Difference:
    """From a difference of scores.json; p is nan where nothing was tested."""
    low, high = (nan if end is None else float(end) for end in entry["interval"])
    return Difference(float(entry["value"]), low, high, float(entry.get("p", nan)), float(entry.get("p_holm", nan)))


def _judged(entry: Mapping[str, Any]) -> Judged:
    gains = {key: one for key, one in (entry.get("differences") or {}).items() if key in KEYS}
    return Judged(
        summary=dict(entry.get("summary") or {}),
        not_judged=int(entry.get("not_judged") or 0),
        differences={key: difference(one) for key, one in gains.items()},
        discordances={key: discordance(one["mcnemar"]) for key, one in gains.items() if one.get("mcnemar")},
        sentence=str(entry.get("sentence") or ""),
    )

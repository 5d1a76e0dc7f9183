"""Two who say something of the same things: McNemar's test of who is right, Cohen's kappa of two graders.

McNemar's test (1947) looks at the items on which two systems differ; its exact form is a sign test, so items count as
independent. Where a patient has several, the exchange by patient (statistics.py) is the test to go by, and this one
shows beside it what it rests on. Kappa (Cohen 1960) is agreement beyond what the graders' habits alone would give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb

from engine.evaluation.statistics import Measure


@dataclass(frozen=True)
class Discordance:
    """How two systems differ in what is right.

    Attributes:
        first, second: items that only the first, or only the second, has right.
        items: that count for both.
        p: two-sided, exact.
    """

    first: int
    second: int
    items: int
    p: float


def mcnemar(first: Measure, second: Measure) -> Discordance:
    """The exact test of two means of yes and no over the same studies, for those that count for both."""
    both = first.support & second.support
    one, two = (measure.rows[both, 0] > 0.5 for measure in (first, second))
    lost, won = int((one & ~two).sum()), int((~one & two).sum())
    return Discordance(lost, won, int(both.sum()), sign_test(lost, won))


def sign_test(some: int, others: int) -> float:
    """Two-sided p of a split into ``some`` and ``others`` where each side is as likely; 1 for none."""
    whole = some + others
    tail = sum(comb(whole, k) for k in range(min(some, others) + 1))
    return float(min(1.0, 2 * tail / 2**whole))


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two lists of grades; None where both only ever give one and the same, or there are none."""
    count = len(first)
    if not count:
        return None
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    ours, theirs = Counter(first), Counter(second)
    by_chance = sum(ours[grade] * theirs[grade] for grade in ours) / count**2
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)

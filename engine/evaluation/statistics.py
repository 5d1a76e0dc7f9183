"""Scores as functions of sums, so that one recipe gives every value, its interval and its comparison.

A `Measure` keeps a row of sufficient statistics per study (matches and lengths for BLEU, hits and misses for an F1)
and a function from summed rows to the score. Corpus scores that are no means (BLEU, F1) are resampled right this way:
patients are drawn with replacement, not studies, as 2000 multinomial weight vectors; two systems are compared on the
same draws and by swapping them patient by patient (sign flip), p values corrected after Holm. Knows numbers, not what
they count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
_SEED = 20240501
_CHUNK = 250


@dataclass(frozen=True, eq=False)
class Measure:
    """``rows`` float64 [studies, k] and ``combine``: sums [..., k] -> score [...] (nan where undefined).

    ``support`` [studies] marks the studies that count for this score, for the number shown beside it.
    """

    rows: Floats
    combine: Callable[[Floats], Floats]
    support: NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval, or the reason why there is none.

    ``value``, ``low`` and ``high`` are None together with a ``note``; ``studies`` counts those that took part.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    studies: int = 0
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """Second system minus first: value, 95 % interval, two-sided sign-flip p and the same after Holm's correction."""

    value: float
    low: float
    high: float
    p: float
    p_holm: float


def mean(rows: Sequence[float | None], scale: float = 100.0) -> Measure:
    """The mean over the studies whose entry is not None, times ``scale``."""
    counted = np.array([row is not None for row in rows], dtype=bool)
    values = np.array([0.0 if row is None else float(row) for row in rows])
    return Measure(np.column_stack([values, counted.astype(float)]), lambda sums: scale * ratio(sums), counted)


def touched(rows: Floats) -> NDArray[np.bool_]:
    """The studies of whose counts any is above 0."""
    return np.asarray(rows.sum(axis=1) > 0, dtype=np.bool_)


def ratio(sums: Floats) -> Floats:
    """First column over second, nan where the second is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan), dtype=np.float64)


def f1(counts: Floats) -> Floats:
    """[..., (true positives, false positives, false negatives)] -> F1, nan where all three are 0."""
    doubled = 2 * counts[..., 0]
    total = doubled + counts[..., 1] + counts[..., 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, doubled / total, np.nan), dtype=np.float64)


def nanmean(values: Floats) -> Floats:
    """Mean over the last axis without the undefined entries; nan where all are."""
    defined = np.isfinite(values)
    count = defined.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, np.where(defined, values, 0).sum(-1) / count, np.nan), dtype=np.float64)


class Patients:
    """The patients of the studies of one evaluation, and how to draw them again."""

    def __init__(self, owners: Sequence[str], seed: int = _SEED) -> None:
        """``owners`` names the patient of each study; equal seeds draw equal patients."""
        names = {name: index for index, name in enumerate(dict.fromkeys(owners))}
        self.index = np.array([names[name] for name in owners], dtype=np.int64)
        self.count = len(names)
        self._seed = seed

    def score(self, measure: Measure, *, intervals: bool = True) -> Score:
        """Value and percentile interval of one measure."""
        value = float(measure.combine(measure.rows.sum(0)))
        studies = int(measure.support.sum())
        if not np.isfinite(value):
            return Score(None, studies=studies, note="no study to count")
        if not intervals or self.count < 2:
            return Score(value, studies=studies, note="" if self.count > 1 else "one patient: no interval")
        low, high = _percentiles(self._resampled(measure))
        return Score(value, low, high, studies)

    def compare(self, first: Mapping[str, Measure], second: Mapping[str, Measure]) -> dict[str, Difference]:
        """Second minus first for every measure both have a value of; the same patients are drawn for both."""
        found: dict[str, tuple[float, float, float, float]] = {}
        for name in first:
            if name not in second:
                continue
            one, two = first[name], second[name]
            value = float(two.combine(two.rows.sum(0)) - one.combine(one.rows.sum(0)))
            if np.isfinite(value):
                low, high = _percentiles(self._resampled(two) - self._resampled(one))
                found[name] = (value, low, high, self._sign_flip(one, two, value))
        corrected = holm([entry[3] for entry in found.values()])
        return {
            name: Difference(value, low, high, p, p_holm)
            for (name, (value, low, high, p)), p_holm in zip(found.items(), corrected, strict=True)
        }

    def _resampled(self, measure: Measure) -> Floats:
        """The score of each of the draws."""
        sums = self._by_patient(measure.rows)
        generator = np.random.default_rng(self._seed)
        parts = []
        for start in range(0, RESAMPLES, _CHUNK):
            size = min(_CHUNK, RESAMPLES - start)
            weights = generator.multinomial(self.count, np.full(self.count, 1 / self.count), size=size)
            parts.append(measure.combine(weights.astype(np.float64) @ sums))
        return np.concatenate(parts)

    def _sign_flip(self, one: Measure, two: Measure, observed: float) -> float:
        """Two-sided p of the difference when each patient's two texts may as well be swapped."""
        a, b = self._by_patient(one.rows), self._by_patient(two.rows)
        generator = np.random.default_rng(self._seed + 1)
        extreme = 0
        for start in range(0, RESAMPLES, _CHUNK):
            size = min(_CHUNK, RESAMPLES - start)
            swap = generator.integers(0, 2, size=(size, self.count)).astype(np.float64)
            moved = swap @ (b - a)
            difference = two.combine(b.sum(0) - moved) - one.combine(a.sum(0) + moved)
            extreme += int((np.abs(np.nan_to_num(difference)) >= abs(observed) - 1e-12).sum())
        return (extreme + 1) / (RESAMPLES + 1)

    def _by_patient(self, rows: Floats) -> Floats:
        sums = np.zeros((self.count, rows.shape[1]))
        np.add.at(sums, self.index, rows)
        return sums


def _percentiles(values: Floats) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected

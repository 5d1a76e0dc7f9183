"""Scores as functions of sums, so that one recipe gives every value, its interval and its comparison.

A `Measure` keeps a row of sufficient statistics per study (matches and lengths for BLEU, hits and misses for an F1)
and a function from summed rows to the score. Corpus scores that are no means (BLEU, F1) are resampled right this way:
patients are drawn with replacement, not studies, as 2000 multinomial weight vectors; two systems are compared on the
same draws and by swapping them patient by patient (sign flip), p values corrected after Holm. Knows numbers, not what
they count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
_SEED = 20240501
_CHUNK = 250


@dataclass(frozen=True, eq=False)
class Measure:
    """``rows`` float64 [studies, k] and ``combine``: sums [..., k] -> score [...] (nan where undefined).

    ``support`` [studies] marks the studies that count for this score, for the number shown beside it. ``share``: each
    study says yes or no, and the score is the share of yes times ``share``; 0 for other scores.
    """

    rows: Floats
    combine: Callable[[Floats], Floats]
    support: NDArray[np.bool_]
    share: float = 0.0

    def of(self, places: Sequence[int]) -> Measure:
        """The same of some of the studies."""
        return replace(self, rows=self.rows[places], support=self.support[places])

    def among(self, places: Sequence[int], studies: int) -> Measure:
        """The same of so many ``studies``, of which those here are at ``places`` and the others do not count."""
        rows, support = np.zeros((studies, self.rows.shape[1])), np.zeros(studies, dtype=bool)
        rows[places], support[places] = self.rows, self.support
        return replace(self, rows=rows, support=support)


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
    pairs = np.column_stack([values, counted.astype(float)])
    return Measure(pairs, lambda sums: scale * ratio(sums), counted)


def share(rows: Sequence[bool | float | None], scale: float = 100.0) -> Measure:
    """The share of yes (1) among the studies that say yes or no (0), times ``scale``.

    A mean of other scores is none, even where each of them happens to be 1: that so many texts agree word for word says
    nothing of a chance by which the next one does.
    """
    return replace(mean(rows, scale), share=scale)


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

    def scores(self, measures: Mapping[str, Measure], *, intervals: bool = True) -> dict[str, Score]:
        """Value and percentile interval of each measure, all over the same draws."""
        several = intervals and self.count > 1
        drawn = self._drawn(list(measures.values())) if several else [None] * len(measures)
        return {name: self._score(measures[name], draws) for name, draws in zip(measures, drawn, strict=True)}

    def score(self, measure: Measure, *, intervals: bool = True) -> Score:
        """Value and percentile interval of one measure."""
        return self.scores({"": measure}, intervals=intervals)[""]

    def _score(self, measure: Measure, draws: Floats | None) -> Score:
        value = _value(measure)
        studies = int(measure.support.sum())
        if not np.isfinite(value):
            return Score(None, studies=studies, note="no study to count")
        if draws is None:
            return Score(value, studies=studies, note="" if self.count > 1 else "one patient: no interval")
        low, high = _percentiles(draws)
        if low < high:
            return Score(value, low, high, studies)
        return self._unvaried(measure, value, studies)

    def _unvaried(self, measure: Measure, value: float, studies: int) -> Score:
        """A score that is the same in every draw, which says nothing of how sure it is.

        Of a share that is none or all, the bound that so many patients leave open: 1 - 0.025^(1/n) (Clopper and
        Pearson 1934). Of other scores no interval.
        """
        patients = len(set(self.index[measure.support].tolist()))
        if measure.share and value in (0.0, measure.share) and patients:
            bound = measure.share * (1 - 0.025 ** (1 / patients))
            if value == 0:
                return Score(value, 0.0, bound, studies)
            return Score(value, measure.share - bound, measure.share, studies)
        return Score(value, studies=studies, note="the same in every draw: no interval")

    def compare(self, first: Mapping[str, Measure], second: Mapping[str, Measure]) -> dict[str, Difference]:
        """Second minus first for every measure both have a value of; the same patients are drawn for both."""
        pairs = {name: (first[name], second[name]) for name in first if name in second}
        values = {name: _value(two) - _value(one) for name, (one, two) in pairs.items()}
        names = [name for name in pairs if np.isfinite(values[name])]
        drawn_one, drawn_two = (self._drawn([pairs[name][side] for name in names]) for side in (0, 1))
        p_values = [self._sign_flip(*pairs[name], values[name]) for name in names]
        found = {}
        for name, one, two, p, p_holm in zip(names, drawn_one, drawn_two, p_values, holm(p_values), strict=True):
            found[name] = Difference(values[name], *_percentiles(two - one), p, p_holm)
        return found

    def _drawn(self, measures: Sequence[Measure]) -> list[Floats]:
        """Each measure's score in each of the draws; equal patients are drawn at every call."""
        if not measures:
            return []
        sums = self._by_patient(np.concatenate([measure.rows for measure in measures], axis=1))
        edges = np.cumsum([0, *(measure.rows.shape[1] for measure in measures)])
        generator = np.random.default_rng(self._seed)
        parts: list[list[Floats]] = [[] for _ in measures]
        for start in range(0, RESAMPLES, _CHUNK):
            size = min(_CHUNK, RESAMPLES - start)
            weights = generator.multinomial(self.count, np.full(self.count, 1 / self.count), size=size)
            drawn = weights.astype(np.float64) @ sums
            for number, measure in enumerate(measures):
                parts[number].append(measure.combine(drawn[:, edges[number] : edges[number + 1]]))
        return [np.concatenate(part) for part in parts]

    def _sign_flip(self, one: Measure, two: Measure, observed: float) -> float:
        """Two-sided p of the difference when each patient's two texts may as well be swapped."""
        a, b = self._by_patient(one.rows), self._by_patient(two.rows)
        generator = np.random.default_rng(self._seed + 1)
        extreme = 0
        for start in range(0, RESAMPLES, _CHUNK):
            size = min(_CHUNK, RESAMPLES - start)
            swap = generator.integers(0, 2, size=(size, self.count), dtype=np.uint8).astype(np.float64)
            moved = swap @ (b - a)
            difference = two.combine(b.sum(0) - moved) - one.combine(a.sum(0) + moved)
            extreme += int((np.abs(np.nan_to_num(difference)) >= abs(observed) - 1e-12).sum())
        return (extreme + 1) / (RESAMPLES + 1)

    def _by_patient(self, rows: Floats) -> Floats:
        sums = np.zeros((self.count, rows.shape[1]))
        np.add.at(sums, self.index, rows)
        return sums


def _value(measure: Measure) -> float:
    return float(measure.combine(measure.rows.sum(0)))


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

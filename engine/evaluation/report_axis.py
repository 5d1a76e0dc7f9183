"""The axis of a chart of differences: which ticks it has and where a value lies. Both renderers draw by it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.evaluation.report_blocks import Chart


@dataclass(frozen=True)
class Axis:
    """A horizontal axis that holds zero: ``left`` to ``right`` are the places of its first and last tick."""

    ticks: tuple[float, ...]
    left: float
    right: float

    @classmethod
    def of(cls, chart: Chart, left: float, right: float) -> Axis:
        """An axis for all intervals of a chart, with four to nine round ticks."""
        ends = [end for bar in chart.bars for end in (bar.low, bar.high, bar.value) if math.isfinite(end)]
        low, high = min([0.0, *ends]), max([0.0, *ends])
        step = _step(high - low)
        first, last = math.floor(low / step), math.ceil(high / step)
        if first == last:
            first, last = -1, 1
        return cls(tuple(step * number for number in range(first, last + 1)), left, right)

    def at(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.left + share * (self.right - self.left)

    def words(self, tick: float) -> str:
        """The label of a tick."""
        return "0" if tick == 0 else f"{tick:+g}".replace("-", "\u2212")


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that the span has four to eight steps."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 8)

"""Differences between two systems with their intervals around a line at zero, better to the right.

A mark is filled where a test says that the difference is there, hollow where not; the word stands beside it, so that
neither colour nor filling has to be seen. Described in Vega-Lite's own words, so that nothing is imported to draw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from serving.palette import ACCENT, DIM, GROUND, TEXT
from trainer_ui.theme import WARNING

ROW = 27
NAME_WIDTH, WORDS_WIDTH = 240, 95
"""Pixels for the names of scores, and for the verdicts behind the longest intervals."""

COLOURS = {
    "better": ACCENT,
    "worse": WARNING,
    "ahead": WARNING,
    "behind": DIM,
    "even": DIM,
    "unclear": DIM,
    "same": DIM,
}
"""Verdict to colour."""


@dataclass(frozen=True)
class Gain:
    """A difference turned so that more is better; ``says`` is the verdict in words, ``clear`` that a test gave it."""

    name: str
    value: float
    low: float
    high: float
    verdict: str
    says: str
    clear: bool


def show(gains: Sequence[Gain], *, of: str, against: str, key: str) -> None:
    """Draw them in their order."""
    spoken = "; ".join(f"{one.name}: {one.value:+.1f} ({one.low:+.1f} to {one.high:+.1f}), {one.says}" for one in gains)
    st.vega_lite_chart(
        described(gains, of=of, against=against),
        width="stretch",
        key=key,
        alt=f"Gain of {of} over {against} in percentage points. {spoken}",
    )


def described(gains: Sequence[Gain], *, of: str, against: str) -> dict[str, Any]:
    """The chart in Vega-Lite's words."""
    values = [{**vars(one), "shown": f"{one.value:+.1f}".replace("-", "−")} for one in gains]
    names = [one.name for one in gains]
    up = {
        "field": "name",
        "type": "nominal",
        "sort": names,
        "title": None,
        "axis": {
            "labelLimit": NAME_WIDTH,
            "labelBound": False,
            "labelFlush": False,
            "labelOverlap": False,
            "ticks": False,
            "domain": False,
            "labelPadding": 10,
        },
    }
    ticks = "datum.value == 0 ? '0' : replace(format(datum.value, '+~g'), '-', '−')"
    axis = {"gridOpacity": 0.25, "labelExpr": ticks, "tickCount": 7}
    title = f"percentage points; right of 0 {of} is better, left of it {against}"
    scale = {"nice": False, "padding": WORDS_WIDTH}
    across = {"field": "value", "type": "quantitative", "title": title, "axis": axis, "scale": scale}
    colour = {
        "field": "verdict",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
    }
    told = [
        {"field": "name", "type": "nominal", "title": "score"},
        {"field": "shown", "type": "nominal", "title": "gain"},
        {"field": "low", "type": "quantitative", "title": "from", "format": "+.1f"},
        {"field": "high", "type": "quantitative", "title": "to", "format": "+.1f"},
        {"field": "says", "type": "nominal", "title": "verdict"},
    ]
    spans = {**across, "field": "low"}
    filled = {"condition": {"test": "datum.clear", **colour}, "value": GROUND}
    return {
        "height": {"step": ROW},
        "data": {"values": values},
        "layer": [
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": TEXT, "strokeDash": [4, 3]},
                "encoding": {"x": {**across, "field": "zero"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"y": up, "x": spans, "x2": {"field": "high"}, "color": colour, "tooltip": told},
            },
            {
                "mark": {"type": "point", "size": 70, "opacity": 1, "strokeWidth": 2},
                "encoding": {
                    "y": up,
                    "x": across,
                    "stroke": colour,
                    "fill": filled,
                    "tooltip": told,
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 8, "color": TEXT, "fontSize": 11},
                "encoding": {"y": up, "x": {**across, "field": "high"}, "text": {"field": "says", "type": "nominal"}},
            },
        ],
        "config": {"axis": {"titleColor": TEXT, "labelColor": TEXT, "gridColor": DIM, "titleFontWeight": "normal"}},
    }

"""Curves as charts: axes with their names, colours that the colour-blind tell apart, and dashes besides.

The chart is described in Vega-Lite's own words, so that nothing has to be imported to draw it. Colours are Okabe and
Ito's, those that can be seen on the dark ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from serving.palette import DIM, TEXT
from trainer_ui.services.run_figures import MOST_POINTS, Points, thinned

COLOURS = ("#56b4e9", "#e69f00", "#2fb894", "#f0e442", "#e07b39", "#cc79a7", "#d3d9de", "#7f9fd6")
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [1, 0], [7, 3], [2, 2], [9, 3, 2, 3])
STAR = "M0,-1L.23,-.32L.95,-.31L.38,.12L.59,.81L0,.4L-.59,.81L-.38,.12L-.95,-.31L-.23,-.32Z"
_LEGEND = {"orient": "top", "title": None, "labelLimit": 420, "columns": 3, "symbolType": "stroke", "symbolSize": 500}
_ACROSS = {"grid": False, "tickMinStep": 1, "tickCount": 8, "format": ",d"}
_UP = {"tickCount": 5, "format": ".6~g"}
ALONE = 3
"""A curve of so few points shows them, because a line of them would hardly be seen."""


@dataclass(frozen=True)
class Line:
    """One curve; ``dots`` for one whose points are few and each of which counts."""

    name: str
    points: Points
    dots: bool = False


def show(
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    key: str,
    height: int = 300,
    stages: Sequence[tuple[str, float, float]] = (),
    best: tuple[float, float] | None = None,
) -> None:
    """Draw curves over each other; ``best`` gets a star, several ``stages`` are parted by lines with their names."""
    drawn = described([line for line in lines if line.points], x=x, y=y, height=height, stages=stages, best=best)
    st.vega_lite_chart(drawn, width="stretch", key=key, alt=f"{y} over {x}: {', '.join(line.name for line in lines)}")


def described(
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    height: int,
    stages: Sequence[tuple[str, float, float]] = (),
    best: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """The chart in Vega-Lite's words; all curves together have MOST_POINTS at most."""
    most = max(2, MOST_POINTS // max(1, len(lines)))
    values, dotted = [], []
    for line in lines:
        some = [{"x": a, "y": b, "curve": line.name} for a, b in thinned(line.points, most)]
        values += some
        dotted += some if line.dots or len(some) <= ALONE else []
    names = [line.name for line in lines]
    scale = {"domain": names, "range": [COLOURS[number % len(COLOURS)] for number in range(len(names))]}
    dashes = {"domain": names, "range": [DASHES[number % len(DASHES)] for number in range(len(names))]}
    legend = _LEGEND if len(names) > 1 else None
    across = {"field": "x", "type": "quantitative", "title": x, "scale": {"zero": True}, "axis": _ACROSS}
    up = {"field": "y", "type": "quantitative", "title": y, "scale": {"zero": False}, "axis": _UP}
    colour = {"field": "curve", "type": "nominal", "scale": scale, "legend": legend}
    told = [
        {"field": "curve", "type": "nominal", "title": "curve"},
        {"field": "x", "type": "quantitative", "title": x},
        {"field": "y", "type": "quantitative", "title": y, "format": ".4~f"},
    ]
    dash = {"field": "curve", "type": "nominal", "scale": dashes, "legend": legend}
    both = {"x": across, "y": up, "color": colour}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 1.8},
            "encoding": {**both, "strokeDash": dash},
        },
        {
            "data": {"values": values},
            "mark": {"type": "point", "opacity": 0, "size": 90},
            "encoding": {**both, "tooltip": told},
        },
    ]
    if dotted:
        layers.append(
            {
                "data": {"values": dotted},
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {**both, "tooltip": told},
            }
        )
    if best is not None:
        layers.append(
            {
                "data": {"values": [{"x": best[0], "y": best[1]}]},
                "mark": {"type": "point", "shape": STAR, "filled": True, "size": 160, "color": TEXT, "opacity": 1},
                "encoding": {"x": across, "y": up, "tooltip": [{"value": "the best so far"}]},
            }
        )
    if len(stages) > 1:
        marks = [{"x": begin, "stage": name} for name, begin, _ in stages]
        layers.append(
            {
                "data": {"values": marks},
                "mark": {"type": "rule", "color": DIM, "strokeDash": [3, 3]},
                "encoding": {"x": across},
            }
        )
        layers.append(
            {
                "data": {"values": marks},
                "mark": {"type": "text", "align": "left", "dx": 4, "dy": 8, "color": DIM},
                "encoding": {"x": across, "y": {"value": 0}, "text": {"field": "stage"}},
            }
        )
    return {"height": height, "layer": layers, "config": {"axis": {"titleColor": TEXT, "labelColor": DIM}}}

"""Counts as bars: named axes, the figure at the end of each bar, colours that the colour-blind tell apart.

Described in Vega-Lite's own words, so that nothing has to be imported to draw it. Colours are Okabe and Ito's that can
be seen on the dark ground; what they stand for is in the legend too, and in the words that screen readers say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from serving.palette import DIM, TEXT
from trainer_ui.services.set_figures import Bar

ONE = "#56b4e9"
PARTS: Mapping[str, str] = {
    "present": "#e69f00",
    "uncertain": "#f0e442",
    "denied": "#6b7680",
    "new": "#f0e442",
    "worse": "#e07b39",
    "unchanged": "#6b7680",
    "improved": "#56b4e9",
    "resolved": "#009e73",
    "kept": "#6b7680",
    "edited": "#56b4e9",
    "deleted": "#d55e00",
    "added": "#2fb894",
}
"""Part of a stacked bar to its colour."""

BAR, BAND = 22, 0.72
HEAD_ROOM = 0.12
"""Part of the scale that is left free for the figures at the ends of the bars."""

LONGEST_NAME = 190
"""Pixels of a name beside a bar."""


def across(bars: Sequence[Bar], *, of: str, count: str, key: str, parts: Sequence[str] = ()) -> None:
    """Bars from left to right, one below another; with ``parts`` each is stacked of these, in this order.

    ``of`` says what the bars are and ``count`` what is counted.
    """
    if not bars:
        st.caption("Nothing to show.")
        return
    names = list(dict.fromkeys(bar.name for bar in bars))
    drawn = lying(bars, names, of=of, count=count, parts=_present(bars, parts))
    st.vega_lite_chart(drawn, width="stretch", key=key, alt=spoken(bars, of=of, count=count))


def upright(bars: Sequence[Bar], *, of: str, count: str, key: str, height: int = 200) -> None:
    """A histogram: bars side by side in the order given."""
    if not bars:
        st.caption("Nothing to show.")
        return
    drawn = standing(bars, of=of, count=count, height=height)
    st.vega_lite_chart(drawn, width="stretch", key=key, alt=spoken(bars, of=of, count=count))


def lying(
    bars: Sequence[Bar], names: Sequence[str], *, of: str, count: str, parts: Sequence[str] = ()
) -> dict[str, Any]:
    """The chart of `across` in Vega-Lite's words."""
    totals = {name: sum(bar.count for bar in bars if bar.name == name) for name in names}
    values = [
        {"name": bar.name, "count": bar.count, "part": bar.part, "order": list(parts).index(bar.part) if parts else 0}
        for bar in bars
    ]
    up = {
        "field": "name",
        "type": "nominal",
        "sort": list(names),
        "title": None,
        "axis": {"labelLimit": LONGEST_NAME, "ticks": False, "domain": False},
    }
    right = {
        "field": "count",
        "type": "quantitative",
        "title": count,
        "scale": {"domainMax": max(1, max(totals.values()) * (1 + HEAD_ROOM)), "nice": False},
        "axis": _COUNTED,
    }
    told = [{"field": "name", "type": "nominal", "title": of}]
    told += [{"field": "part", "type": "nominal", "title": "said"}] if parts else []
    told += [{"field": "count", "type": "quantitative", "title": count, "format": ",d"}]
    colour: dict[str, Any] = {"value": ONE}
    if parts:
        scale = {"domain": list(parts), "range": [PARTS.get(part, ONE) for part in parts]}
        legend = {"orient": "top", "title": None, "symbolType": "square", "labelColor": TEXT}
        colour = {"field": "part", "type": "nominal", "scale": scale, "legend": legend}
    order = {"order": {"field": "order", "type": "quantitative"}} if parts else {}
    bar = {"type": "bar", "height": {"band": BAND}}
    ends = [{"name": name, "count": total, "label": f"{total:,}"} for name, total in totals.items()]
    return {
        "height": {"step": BAR},
        "layer": [
            {
                "data": {"values": values},
                "mark": bar,
                "encoding": {"y": up, "x": {**right, "stack": "zero"}, "color": colour, "tooltip": told, **order},
            },
            {
                "data": {"values": ends},
                "mark": {"type": "text", "align": "left", "dx": 4, "color": TEXT},
                "encoding": {"y": up, "x": {**right, "stack": None}, "text": {"field": "label", "type": "nominal"}},
            },
        ],
        "config": _LOOK,
    }


def standing(bars: Sequence[Bar], *, of: str, count: str, height: int) -> dict[str, Any]:
    """The chart of `upright` in Vega-Lite's words."""
    names = [bar.name for bar in bars]
    values = [{"name": bar.name, "count": bar.count, "label": f"{bar.count:,}" if bar.count else ""} for bar in bars]
    right = {"field": "name", "type": "ordinal", "sort": names, "title": of, "axis": {"labelAngle": 0, "ticks": False}}
    most = max(1, max(bar.count for bar in bars) * (1 + HEAD_ROOM))
    up = {
        "field": "count",
        "type": "quantitative",
        "title": count,
        "axis": _COUNTED,
        "scale": {"domainMax": most, "nice": False},
    }
    told = [
        {"field": "name", "type": "ordinal", "title": of},
        {"field": "count", "type": "quantitative", "title": count, "format": ",d"},
    ]
    return {
        "height": height,
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "bar", "width": {"band": min(0.9, 0.2 * len(bars))}, "color": ONE},
                "encoding": {"x": right, "y": up, "tooltip": told},
            },
            {
                "mark": {"type": "text", "dy": -7, "color": TEXT},
                "encoding": {"x": right, "y": up, "text": {"field": "label", "type": "nominal"}},
            },
        ],
        "config": _LOOK,
    }


def spoken(bars: Sequence[Bar], *, of: str, count: str) -> str:
    """The chart in words, for those who do not see it."""
    said = (f"{bar.name}{f', {bar.part}' if bar.part else ''}: {bar.count:,}" for bar in bars)
    return f"{count} by {of}. {'; '.join(said)}."


def _present(bars: Sequence[Bar], parts: Sequence[str]) -> list[str]:
    """The parts that occur, in the order given, and behind them any that were not foreseen."""
    there = dict.fromkeys(bar.part for bar in bars) if parts else {}
    return [part for part in parts if part in there] + [part for part in there if part not in parts]


_COUNTED = {"format": ",d", "tickMinStep": 1, "tickCount": 5, "gridOpacity": 0.35}
_LOOK = {"axis": {"titleColor": TEXT, "labelColor": TEXT, "gridColor": DIM, "titleFontWeight": "normal"}}

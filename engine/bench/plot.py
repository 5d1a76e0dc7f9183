"""The result as a picture: whole drafts as bars, engine above peer, divided into their stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

from engine.bench.report import measured_sides
from engine.bench.task import OURS, sides

WIDTH, MARGIN = 760, 24
LEFT, RIGHT = 160, 190
BAR, GAP, BETWEEN, TOP, BOTTOM = 15, 3, 16, 84, 44
FONT, BOLD = "Helvetica", "Helvetica-Bold"
FAMILY = "Helvetica, Arial, sans-serif"
FONTS = {FONT: {"family": FAMILY}, BOLD: {"family": FAMILY, "weight": "bold"}}
"""The fonts as a browser takes them."""

TITLE = "Seconds for a draft from two images"
INK, PALE, GRID = HexColor(0x1F2933), HexColor(0x5F6B7A), HexColor(0xDDE2E8)
STAGES = (("encode", 0x2F5D8A), ("prefill", 0x7FA6CC), ("decode", 0xD9A441))
"""Told apart also without colour: dark, middle, and another hue that is light."""


def svg(result: dict[str, Any]) -> str:
    """A drawing of every case that was measured on both sides, as SVG."""
    cases = [one for one in result["cases"] if measured_sides(one) and one["case"] != "second"]
    group = 2 * BAR + GAP + BETWEEN
    height = TOP + len(cases) * group + BOTTOM
    drawing = Drawing(WIDTH, height)
    drawing.add(Rect(0, 0, WIDTH, height, fillColor=HexColor(0xFFFFFF), strokeColor=None))
    _title(drawing, result, height)
    longest = max((one[who]["total_s"]["median"] for one in cases for who in sides(one["case"])), default=1.0)
    step = _step(longest)
    scale = (WIDTH - LEFT - RIGHT) / (math.ceil(longest / step) * step)
    floor = BOTTOM - 4
    for tick in range(math.ceil(longest / step) + 1):
        x = LEFT + tick * step * scale
        drawing.add(Line(x, floor, x, height - TOP + 6, strokeColor=GRID, strokeWidth=0.7))
        drawing.add(_text(x, floor - 14, f"{tick * step:g} s", anchor="middle", colour=PALE))
    for number, one in enumerate(cases):
        _case(drawing, one, height - TOP - number * group - BAR, scale)
    drawn: str = renderSVG.drawToString(drawing, fontHacks=FONTS)
    return drawn.replace("<title>...</title>", f"<title>{TITLE}</title>").replace("\t<desc>...</desc>\n", "")


def _title(drawing: Drawing, result: dict[str, Any], height: float) -> None:
    machine = result["machine"]
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    drawing.add(_text(MARGIN, height - 26, TITLE, font=BOLD, size=13))
    drawing.add(_text(MARGIN, height - 43, f"{result['size']['words']}; {where}; {result['date'][:10]}", colour=PALE))
    x: float = LEFT
    for name, colour in STAGES:
        drawing.add(Rect(x, height - 68, 10, 10, fillColor=HexColor(colour), strokeColor=None))
        drawing.add(_text(x + 15, height - 67, name))
        x += 15 + stringWidth(name, FONT, 10) + 22


def _case(drawing: Drawing, one: dict[str, Any], top: float, scale: float) -> None:
    drawing.add(_text(MARGIN, top + 3, one["case"], font=BOLD))
    drawing.add(_text(MARGIN, top - BAR - GAP + 4, one["precision"], colour=PALE))
    us, them = sides(one["case"])
    for number, who in enumerate((us, them)):
        found, y = one[who], top - number * (BAR + GAP)
        drawing.add(_text(LEFT - 8, y + 4, who, anchor="end"))
        x: float = LEFT
        for seconds, (_, colour) in zip(_stages(found), STAGES, strict=True):
            drawing.add(Rect(x, y, seconds * scale, BAR, fillColor=HexColor(colour), strokeColor=None))
            x += seconds * scale
        words = f"{found['total_s']['median']:.1f} s"
        if who == them and one["ratio"]:
            whose = "the engine's" if us == OURS else "as much"
            words += f", {one['ratio']['total_s']['median']:.1f} times {whose}"
        drawing.add(_text(x + 6, y + 4, words))


def _stages(found: dict[str, Any]) -> Sequence[float]:
    """Encode, prefill, and all that is left of the whole."""
    encode, prefill, total = (found[key]["median"] for key in ("encode_s", "prefill_s", "total_s"))
    return encode, prefill, max(0.0, total - encode - prefill)


def _text(
    x: float, y: float, words: str, *, font: str = FONT, size: float = 10, colour: Any = INK, anchor: str = "start"
) -> String:
    return String(x, y, words, fontName=font, fontSize=size, fillColor=colour, textAnchor=anchor)


def _step(longest: float) -> float:
    """Distance of the lines of the grid: 1, 2 or 5 times a power of ten, for four to ten of them."""
    power = 10.0 ** math.floor(math.log10(longest / 4))
    return next(power * times for times in (1, 2, 5, 10) if longest / (power * times) <= 8)

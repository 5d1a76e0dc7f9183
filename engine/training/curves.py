"""The curves of a run as a picture: the loss of its steps above, what the evaluations gave below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.charts.lineplots import LinePlot
from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib.colors import HexColor

from engine.training.run_folder import RunFolder

WIDTH, PLOT, MARGIN, HEAD = 760, 200, 60, 44
INK, PALE = HexColor(0x1F2933), HexColor(0x5F6B7A)
COLOURS = (0x2F5D8A, 0xD9A441, 0x5B8C5A, 0x9C4F4F, 0x7A6C9D, 0x3B9AA0, 0x8A6D3B, 0x555555)
FAMILY = "Helvetica, Arial, sans-serif"

Points = Sequence[tuple[float, float]]


def draw(folder: RunFolder) -> None:
    """Write ``curves.svg`` of a run; nothing where it has no figures yet."""
    figures = folder.figures()
    if figures:
        folder.curves.write_text(svg(figures, folder.name), encoding="utf-8")


def svg(figures: Sequence[Mapping[str, Any]], name: str) -> str:
    """The drawing. Steps of later stages follow those of earlier ones."""
    losses = series([line for line in figures if "loss" in line], ("loss",))
    scores = evaluations(figures)
    shown = [("Loss", losses)] + ([("Validation", scores)] if scores else [])
    height = HEAD + len(shown) * (PLOT + HEAD)
    drawing = Drawing(WIDTH, height)
    drawing.add(Rect(0, 0, WIDTH, height, fillColor=HexColor(0xFFFFFF), strokeColor=None))
    drawing.add(String(MARGIN, height - 28, name, fontName="Helvetica-Bold", fontSize=13, fillColor=INK))
    for number, (title, curves) in enumerate(shown):
        _plot(drawing, title, curves, height - HEAD - (number + 1) * (PLOT + HEAD) + HEAD)
    drawn: str = renderSVG.drawToString(drawing, fontHacks={"Helvetica": {"family": FAMILY}})
    return drawn.replace("<title>...</title>", f"<title>{_escaped(name)}</title>").replace("\t<desc>...</desc>\n", "")


def series(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Points]:
    """Curves by name, over the steps of all stages one after the other."""
    offsets = _offsets(lines)
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name in names:
            if isinstance(line.get(name), int | float):
                found.setdefault(name, []).append((offsets[line["stage"]] + float(line["step"]), float(line[name])))
    return {name: points for name, points in found.items() if points}


def evaluations(figures: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """The scores of the evaluations as curves; the loss is left to its own plot."""
    offsets = _offsets(figures)
    found: dict[str, list[tuple[float, float]]] = {}
    for line in figures:
        for name, value in line.get("evaluation", {}).items():
            if name != "loss":
                found.setdefault(name, []).append((offsets[line["stage"]] + float(line["step"]), float(value)))
    return dict(found)


def _offsets(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    last: dict[str, float] = {}
    for line in lines:
        last[line["stage"]] = max(last.get(line["stage"], 0.0), float(line["step"]))
    found, at = {}, 0.0
    for stage, steps in last.items():
        found[stage] = at
        at += steps
    return found


def _plot(drawing: Drawing, title: str, curves: Mapping[str, Points], bottom: float) -> None:
    chart = LinePlot()
    chart.x, chart.y, chart.width, chart.height = MARGIN, bottom, WIDTH - 2 * MARGIN - 140, PLOT - 30
    chart.data = [list(points) for points in curves.values()]
    chart.joinedLines = 1
    for axis in (chart.xValueAxis, chart.yValueAxis):
        axis.labels.fontName, axis.labels.fontSize = "Helvetica", 8
        axis.forceZero = 0
    for number in range(len(curves)):
        chart.lines[number].strokeColor = HexColor(COLOURS[number % len(COLOURS)])
        chart.lines[number].strokeWidth = 1.4
    drawing.add(chart)
    top = bottom + PLOT - 20
    drawing.add(String(MARGIN, top, title, fontName="Helvetica-Bold", fontSize=10, fillColor=INK))
    for number, name in enumerate(curves):
        y = top - 18 - 15 * number
        drawing.add(Rect(WIDTH - 190, y, 10, 10, fillColor=HexColor(COLOURS[number % len(COLOURS)]), strokeColor=None))
        drawing.add(String(WIDTH - 174, y + 1, name, fontName="Helvetica", fontSize=9, fillColor=PALE))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")

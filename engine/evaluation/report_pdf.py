"""A report as PDF: A4 across, the type of printed reports, equal bytes for equal documents.

Every page carries the research line, the title and "page x of y". All text is literal.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Group, Line, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Table as Grid

from engine.evaluation.report_axis import Axis
from engine.evaluation.report_blocks import Block, Chart, Document, Heading, Table, Text
from engine.reports import typeface
from engine.reports.typeface import BOLD, PLAIN

_INK, _GREY, _RULE, _ALERT, _MARK, _WHITE = (
    HexColor(value) for value in ("#16202a", "#5b6770", "#c9d0d6", "#9c2f12", "#1d5c8a", "#ffffff")
)
_PAGE = landscape(A4)
_SIDE, _TOP, _BOTTOM = 18 * mm, 22 * mm, 20 * mm
_WIDTH = _PAGE[0] - 2 * _SIDE

_BODY = ParagraphStyle("body", fontName=PLAIN, fontSize=9.5, leading=13.5, textColor=_INK, spaceAfter=3)
_NOTE = ParagraphStyle("note", parent=_BODY, fontSize=7.8, leading=11, textColor=_GREY)
_WARNING = ParagraphStyle(
    "warning", parent=_BODY, textColor=_ALERT, borderColor=_ALERT, borderWidth=0.7, borderPadding=4, spaceBefore=7,
    spaceAfter=8, leftIndent=5, rightIndent=5,
)  # fmt: skip
_TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=18, leading=23, textColor=_INK, alignment=TA_LEFT)
_FIRST = ParagraphStyle("first", fontName=BOLD, fontSize=13, leading=17, textColor=_INK, spaceBefore=14, spaceAfter=4)
_SECOND = ParagraphStyle("second", parent=_FIRST, fontSize=9.5, leading=13, spaceBefore=8, spaceAfter=3)
_CELL = ParagraphStyle("cell", fontName=PLAIN, fontSize=7.8, leading=10, textColor=_INK)
_HEAD = ParagraphStyle("head", parent=_CELL, fontName=BOLD)

_SHORT = 16
"""Rows of a table that is not broken over two pages."""

_STYLES = {"plain": _BODY, "note": _NOTE, "warning": _WARNING}


def to_pdf(document: Document) -> bytes:
    """The document as PDF. The same document gives the same bytes on every machine."""
    typeface.load()
    pages = _build(document, total=0)[1]  # the first pass only counts the pages
    return _build(document, total=pages)[0]


def _build(document: Document, total: int) -> tuple[bytes, int]:
    """One pass: the file, and how many pages it has."""
    stream = io.BytesIO()
    template = BaseDocTemplate(
        stream, pagesize=_PAGE, title=document.title, author="Interval", subject=document.line, creator="Interval",
        lang="en", invariant=1,
    )  # fmt: skip

    def frame(canvas: Any, _: object) -> None:
        _frame(canvas, document, total)

    column = Frame(_SIDE, _BOTTOM, _WIDTH, _PAGE[1] - _TOP - _BOTTOM, 0, 0, 0, 0)
    template.addPageTemplates([PageTemplate(frames=[column], onPage=frame)])
    story: list[Flowable] = [_paragraph(document.title, _TITLE), _paragraph(document.subtitle, _NOTE)]
    story += _story(document.blocks)
    template.build(story)
    return stream.getvalue(), int(template.page)


def _story(blocks: Sequence[Block]) -> Iterator[Flowable]:
    """Headings stay with what follows them, and what is short stays on one page."""
    headings: list[Flowable] = []
    for block in blocks:
        if isinstance(block, Heading):
            headings.append(_paragraph(block.text, _FIRST if block.level == 1 else _SECOND))
        elif isinstance(block, Table) and len(block.rows) > _SHORT:
            yield CondPageBreak(60 * mm)
            yield from (*headings, _table(block), Spacer(0, 5))
            headings = []
        else:
            yield KeepTogether([*headings, *_short(block)])
            headings = []


def _short(block: Text | Table | Chart) -> list[Flowable]:
    if isinstance(block, Text):
        return [_paragraph(block.text, _STYLES[block.style])]
    if isinstance(block, Table):
        return [_table(block), Spacer(0, 5)]
    return [_chart(block), _paragraph(block.title, _NOTE)]


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(typeface.markup(text, style.fontName), style)


def _table(table: Table) -> Grid:
    cells = [[_paragraph(cell, _HEAD) for cell in table.head]]
    cells += [[_paragraph(cell, _CELL) for cell in row] for row in table.rows]
    style = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, _INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.35, _RULE),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("VALIGN", (0, 1), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 7),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    return Grid(cells, colWidths=_widths(table), style=TableStyle(style), repeatRows=1, hAlign="LEFT")


def _widths(table: Table) -> list[float]:
    """As wide as the longest cell wants, up to a limit each, and all of them squeezed where the page is too narrow."""
    wanted = []
    for column in range(len(table.head)):
        texts = [(table.head[column], BOLD)] + [(row[column], PLAIN) for row in table.rows]
        longest = max(typeface.width(text, 7.8, font) for text, font in texts)
        words = max((typeface.width(word, 7.8, BOLD) for word in table.head[column].split()), default=0)
        head_alone = max((typeface.width(row[column], 7.8) for row in table.rows), default=0)
        wide = longest if column == 0 else max(head_alone, words, min(longest, 70))
        wanted.append(min(wide, _WIDTH * 0.6) + 9)
    total = sum(wanted)
    return wanted if total <= _WIDTH else [width * _WIDTH / total for width in wanted]


_NAMES, _CHART, _ROW, _FOOT, _HEADROOM = 190.0, 620.0, 17.0, 18.0, 8.0


def _chart(chart: Chart) -> Drawing:
    """Dots with their intervals around zero; reportlab counts upwards."""
    axis = Axis.of(chart, _NAMES, _CHART - 15)
    height = _HEADROOM + _ROW * len(chart.bars) + _FOOT
    drawing = Drawing(_CHART, height, hAlign="LEFT")
    top = height - _HEADROOM
    for tick in axis.ticks:
        at = axis.at(tick)
        drawing.add(Line(at, _FOOT, at, top + 4, strokeColor=_INK if tick == 0 else _RULE, strokeWidth=0.6))
        drawing.add(_label(at, _FOOT - 11, axis.words(tick), "middle", _GREY))
    for number, bar in enumerate(chart.bars):
        middle = top - _ROW * (number + 0.5)
        drawing.add(_label(_NAMES - 10, middle - 3, bar.label, "end", _INK))
        drawing.add(
            Line(axis.at(bar.low), middle, axis.at(bar.high), middle, strokeColor=_MARK, strokeWidth=1.4)
        )  # fmt: skip
        fill = _MARK if bar.clear else _WHITE
        drawing.add(Circle(axis.at(bar.value), middle, 3, fillColor=fill, strokeColor=_MARK, strokeWidth=1.4))
    return drawing


def _label(x: float, y: float, text: str, anchor: str, ink: HexColor) -> Group:
    """A text that begins, ends or has its middle at ``x``."""
    x -= typeface.width(text, 8) * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    label = Group()
    for font, part in typeface.runs(text):
        label.add(String(x, y, part, fontName=font, fontSize=8, fillColor=ink))
        x += typeface.width(part, 8)
    return label


def _frame(canvas: Any, document: Document, total: int) -> None:
    """What every page has."""
    width, height = _PAGE
    canvas.saveState()
    canvas.setFillColor(_INK)
    canvas.setFont(BOLD, 11)
    canvas.drawString(_SIDE, height - 14 * mm, "Interval")
    canvas.setFont(BOLD, 8)
    canvas.setFillColor(_ALERT)
    canvas.drawRightString(width - _SIDE, height - 14 * mm, document.line)
    canvas.setStrokeColor(_RULE)
    canvas.setLineWidth(0.5)
    canvas.line(_SIDE, height - 17 * mm, width - _SIDE, height - 17 * mm)
    canvas.line(_SIDE, 14 * mm, width - _SIDE, 14 * mm)
    canvas.setFont(PLAIN, 8)
    canvas.setFillColor(_GREY)
    typeface.draw(canvas, _SIDE, 9.5 * mm, document.title[:110], 8)
    canvas.setFont(PLAIN, 8)
    canvas.drawRightString(width - _SIDE, 9.5 * mm, f"Page {canvas.getPageNumber()} of {total}")
    canvas.restoreState()

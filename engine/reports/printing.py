"""A report document to a PDF: A4, one plain typeface, equal bytes for equal documents.

Chinese is printed in a font of this machine (``typeface``), so that equal bytes are made where that one is the same;
its lines break between any two characters. Every page carries the research line, whose report it is and "page x of
y"; an unsigned one carries a watermark, one that a demonstration model drafted its mark. All text is literal: markup in
a name is printed as it stands.
"""

from __future__ import annotations

import io
from functools import cache, partial
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    HRFlowable,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from engine.reports import labels, typeface
from engine.reports.document import ReportDocument, clean, person
from engine.reports.language import CHINESE, written_in
from engine.reports.lines import broken
from engine.reports.typeface import BOLD, PLAIN

_INK, _GREY, _RULE, _WASH, _ALERT = (
    HexColor(value) for value in ("#16202a", "#5b6770", "#c9d0d6", "#eceff1", "#9c2f12")
)
_LEFT, _RIGHT, _TOP, _BOTTOM = 22 * mm, 22 * mm, 25 * mm, 25 * mm
_WIDTH = A4[0] - _LEFT - _RIGHT
_FOOTER = 8

_BODY = ParagraphStyle("body", fontName=PLAIN, fontSize=10.5, leading=15.5, textColor=_INK)
_HEADING = ParagraphStyle(
    "heading", fontName=BOLD, fontSize=8.5, leading=12, textColor=_GREY, spaceBefore=11, spaceAfter=1.5
)
_TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=17, leading=21, textColor=_INK)
_STATE = ParagraphStyle("state", fontName=BOLD, fontSize=9, leading=21, textColor=_GREY, alignment=TA_RIGHT)
_UNSIGNED = ParagraphStyle("unsigned", parent=_STATE, textColor=_ALERT)
_LABEL = ParagraphStyle("label", fontName=PLAIN, fontSize=8, leading=12, textColor=_GREY)
_VALUE = ParagraphStyle("value", fontName=PLAIN, fontSize=9.5, leading=12, textColor=_INK)
_NAME = ParagraphStyle("name", parent=_VALUE, fontName=BOLD)
_SIGNER = ParagraphStyle("signer", fontName=BOLD, fontSize=10.5, leading=15, textColor=_INK)
_SMALL = ParagraphStyle("small", fontName=PLAIN, fontSize=6.8, leading=9, textColor=_GREY, splitLongWords=1)
_MARK = ParagraphStyle("mark", fontName=BOLD, fontSize=9.5, leading=13, textColor=_ALERT)
_MARK_TEXT = ParagraphStyle("mark text", parent=_MARK, fontName=PLAIN)


class _Text:
    """Turns strings into paragraphs and remembers whether a character had to be replaced."""

    def __init__(self) -> None:
        self.replaced = False

    def line(self, text: str) -> str:
        """Text for the page, not yet escaped."""
        shown, replaced = typeface.printable(text)
        self.replaced = self.replaced or replaced
        return shown

    def paragraph(self, text: str, style: ParagraphStyle) -> Paragraph:
        """A paragraph of literal text."""
        shown = self.line(text)
        return (
            _Wide(shown, style) if typeface.is_wide(shown) else Paragraph(typeface.markup(shown, style.fontName), style)
        )


class _Wide(Paragraph):  # type: ignore[misc]
    """A paragraph with Chinese in it; reportlab's own breaking of such lines lets them begin with any mark."""

    def __init__(self, text: str, style: ParagraphStyle) -> None:
        super().__init__(typeface.markup(text, style.fontName), style)
        self._literal = text
        self._measure = cache(partial(typeface.width, size=style.fontSize, font=style.fontName))

    def wrap(self, width: float, height: float) -> Any:
        """The lines for this width."""
        self.frags = self._broken(width).frags
        return super().wrap(width, height)

    def split(self, width: float, height: float) -> Any:
        """The lines that fit on the page and the others, which stay as they are."""
        return self._broken(width).split(width, height)

    def _broken(self, width: float) -> Paragraph:
        lines = broken(self._literal, width, self._measure)
        return Paragraph("<br/>".join(typeface.markup(line, self.style.fontName) for line in lines), self.style)


def to_pdf(document: ReportDocument) -> bytes:
    """The document as PDF. The same document gives the same bytes wherever it is printed with the same fonts.

    Raises:
        ResourceError: it has Chinese in it, and there is no typeface for that.
    """
    pages = _build(document, total=0)[1]  # the first pass only counts the pages
    return _build(document, total=pages)[0]


def _build(document: ReportDocument, total: int) -> tuple[bytes, int]:
    """One pass: the file, and how many pages it has."""
    text = _Text()
    story = _story(document, text)
    stream = io.BytesIO()
    template = BaseDocTemplate(
        stream,
        pagesize=A4,
        title=f"Chest radiograph report {clean(document.report_id)}",
        author="Interval",
        subject=labels.RESEARCH_LINE,
        creator="Interval",
        lang="zh" if written_in(_words(document)) == CHINESE else "en",
        invariant=1,
    )

    def frame(canvas: Any, _: object) -> None:
        _frame(canvas, document, text, total)

    column = Frame(_LEFT, _BOTTOM, _WIDTH, A4[1] - _TOP - _BOTTOM, 0, 0, 0, 0)
    template.addPageTemplates([PageTemplate(frames=[column], onPage=frame)])
    template.build(story)
    return stream.getvalue(), int(template.page)


def _words(document: ReportDocument) -> str:
    return " ".join(sentence for _, sentences in document.sections for sentence in sentences)


def _story(document: ReportDocument, text: _Text) -> list[Flowable]:
    """The flowing part of the page, top to bottom."""
    state = "SIGNED" if document.signed else labels.UNSIGNED_MARK
    head = Table(
        [[text.paragraph(document.title(), _TITLE), text.paragraph(state, _STATE if document.signed else _UNSIGNED)]],
        colWidths=[_WIDTH * 0.72, _WIDTH * 0.28],
        style=TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]),
    )
    story: list[Flowable] = [head, Spacer(0, 3), _patient_block(document, text)]
    if document.demonstration:
        story += [Spacer(0, 8), _mark(text)]
    story.append(Spacer(0, 2))
    for heading, paragraphs in document.body():
        story += [CondPageBreak(22 * mm), text.paragraph(heading.upper(), _HEADING)]
        story += [text.paragraph(paragraph, _BODY) for paragraph in paragraphs]
    story += [Spacer(0, 16), _signature(document, text)]
    story += _provenance(document, text)
    if text.replaced:
        story += [Spacer(0, 6), text.paragraph(_missing_note(), _SMALL)]
    return story


def _missing_note() -> str:
    square = typeface.MISSING
    return f"Characters that the typeface of this page does not have are shown as {square}; the text file has them."


def _patient_block(document: ReportDocument, text: _Text) -> Table:
    """Two columns of labelled values between rules."""
    rows = document.patient_rows()
    cells: list[list[Flowable]] = []
    for left, right in zip(rows[::2], rows[1::2], strict=True):
        line: list[Flowable] = []
        for label, value in (left, right):
            line += [text.paragraph(label, _LABEL), text.paragraph(value, _NAME if label == "Patient" else _VALUE)]
        cells.append(line)
    widths = [_WIDTH * share for share in (0.12, 0.40, 0.12, 0.36)]
    style = [
        ("LINEABOVE", (0, 0), (-1, 0), 0.8, _INK),
        ("LINEBELOW", (0, 0), (-1, -2), 0.4, _RULE),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, _INK),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 3.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ]
    return Table(cells, colWidths=widths, style=TableStyle(style))


def _mark(text: _Text) -> Table:
    """The box that says a demonstration model drafted this."""
    content = [text.paragraph(labels.DEMO_MARK, _MARK), text.paragraph(labels.DEMO_LINE, _MARK_TEXT)]
    style = [
        ("BOX", (0, 0), (-1, -1), 0.9, _ALERT),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
    ]
    return Table([[content]], colWidths=[_WIDTH], style=TableStyle(style))


def _signature(document: ReportDocument, text: _Text) -> Flowable:
    """Who signed, or that nobody did, kept on one page."""
    first, *rest = document.signature_lines()
    lines: list[Flowable] = [HRFlowable(width="100%", thickness=0.8, color=_INK, spaceBefore=0, spaceAfter=6)]
    lines.append(text.paragraph(first, _SIGNER if document.signed else _MARK))
    lines += [text.paragraph(line, _VALUE if index == 0 else _LABEL) for index, line in enumerate(rest)]
    return KeepTogether(lines)


def _provenance(document: ReportDocument, text: _Text) -> list[Flowable]:
    """How the text came about, in small print."""
    heading = text.paragraph(
        "HOW THIS TEXT CAME ABOUT", ParagraphStyle("origin", parent=_HEADING, fontSize=6.8, leading=9)
    )
    if document.provenance is None:
        return [Spacer(0, 8), heading, text.paragraph("Written without a model.", _SMALL)]
    cells = [
        [text.paragraph(label, _SMALL), text.paragraph(value, _SMALL)] for label, value in document.provenance.rows()
    ]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5),
    ]
    return [
        Spacer(0, 8),
        CondPageBreak(30 * mm),
        heading,
        Table(cells, colWidths=[_WIDTH * 0.13, _WIDTH * 0.87], style=TableStyle(style)),
    ]


def _frame(canvas: Any, document: ReportDocument, text: _Text, total: int) -> None:
    """What every page has: name of the program, research line, whose report, page x of y, watermark."""
    width, height = A4
    canvas.saveState()
    if not document.signed:
        _watermark(canvas, width, height)
    canvas.setFillColor(_INK)
    canvas.setFont(BOLD, 12.5)
    canvas.drawString(_LEFT, height - 17 * mm, "Interval")
    canvas.setFont(PLAIN, _FOOTER)
    canvas.setFillColor(_GREY)
    canvas.drawRightString(width - _RIGHT, height - 17 * mm, labels.RESEARCH_LINE)
    canvas.setStrokeColor(_RULE)
    canvas.setLineWidth(0.5)
    canvas.line(_LEFT, height - 20.5 * mm, width - _RIGHT, height - 20.5 * mm)
    canvas.line(_LEFT, 18 * mm, width - _RIGHT, 18 * mm)
    owner = " \u00b7 ".join(part for part in (clean(document.patient_id), person(document.patient_name)) if part)
    typeface.draw(canvas, _LEFT, 13.5 * mm, _fitted(text.line(owner or clean(document.report_id)), 50 * mm), _FOOTER)
    canvas.setFont(PLAIN, _FOOTER)
    canvas.drawRightString(width - _RIGHT, 13.5 * mm, f"Page {canvas.getPageNumber()} of {total}")
    marks = [] if document.signed else [labels.UNSIGNED_MARK]
    marks += [labels.DEMO_MARK] if document.demonstration else []
    canvas.setFont(BOLD, 8)
    canvas.setFillColor(_ALERT)
    canvas.drawCentredString(width / 2, 13.5 * mm, " \u00b7 ".join(marks))
    canvas.restoreState()


def _watermark(canvas: Any, width: float, height: float) -> None:
    canvas.saveState()
    canvas.setFillColor(_WASH)
    canvas.setFont(BOLD, 66)
    canvas.translate(width / 2, height / 2)
    canvas.rotate(52)
    canvas.drawCentredString(0, -20, labels.UNSIGNED_MARK)
    canvas.restoreState()


def _fitted(text: str, width: float) -> str:
    """``text`` cut with an ellipsis to ``width`` points in the footer's type."""
    if typeface.width(text, _FOOTER) <= width:
        return text
    while text and typeface.width(text + "\u2026", _FOOTER) > width:
        text = text[:-1]
    return text.rstrip() + "\u2026"

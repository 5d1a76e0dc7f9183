"""Tables whose cells have several lines: a figure, its interval, what is to be said of it. For reading, not sorting.

All text is escaped here and may come from anywhere. What a colour says a word says as well. A table that is wider than
its place is moved sideways with its first column in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from serving.palette import ACCENT, DIM, FIELD, GROUND, LINE, RAISED, TEXT
from trainer_ui.theme import WARNING

Tone = Literal["plain", "strong", "small", "good", "bad"]

_TONES: dict[Tone, str] = {"plain": "", "strong": "st-strong", "small": "st-small", "good": "st-good", "bad": "st-bad"}

_STYLE = f"""<style>
.studio-table {{ overflow-x: auto; margin: 0.2rem 0 0.4rem; border: 1px solid {LINE}; border-radius: 4px; }}
.studio-table table {{ border-collapse: collapse; width: 100%; font-size: 0.88rem; line-height: 1.4; color: {TEXT}; }}
.studio-table caption {{ caption-side: top; text-align: left; padding: 0.35rem 0.6rem; color: {DIM}; }}
.studio-table :is(th, td) {{ padding: 0.32rem 0.7rem; text-align: left; vertical-align: top;
  border: 0 solid {LINE}; border-bottom-width: 1px; font-weight: 400; white-space: nowrap; }}
.studio-table tr:last-child > * {{ border-bottom-width: 0; }}
.studio-table thead th {{ background: {RAISED}; font-weight: 600; vertical-align: bottom; }}
.studio-table tbody th {{ background: {GROUND}; position: sticky; left: 0; white-space: normal; min-width: 11rem;
  max-width: 17rem; border-right: 1px solid {LINE}; }}
.studio-table thead th:first-child {{ position: sticky; left: 0; z-index: 1; border-right: 1px solid {LINE}; }}
.studio-table tr.st-group th {{ background: {FIELD}; color: {DIM}; font-weight: 600; position: static;
  max-width: none; border-right: 0; }}
.studio-table td {{ font-variant-numeric: tabular-nums; }}
.studio-table td.st-wide {{ white-space: normal; min-width: 14rem; }}
.studio-table .st-strong {{ font-weight: 600; font-size: 1rem; }}
.studio-table .st-small {{ color: {DIM}; font-size: 0.78rem; font-weight: 400; }}
.studio-table .st-good {{ color: {ACCENT}; font-weight: 600; }}
.studio-table .st-bad {{ color: {WARNING}; font-weight: 600; }}
.studio-table span + span {{ margin-left: 0.3rem; }}
.studio-table details summary {{ cursor: pointer; font-weight: 600; }}
.studio-table details p {{ margin: 0.2rem 0 0.1rem; color: {DIM}; font-size: 0.8rem; }}
</style>"""


@dataclass(frozen=True)
class Line:
    """A line of a cell, or a part of one."""

    text: str
    tone: Tone = "plain"


Cell = Sequence[Line | tuple[Line, ...]]
"""Lines; several parts of one stand side by side."""


@dataclass(frozen=True)
class Row:
    """A row: its name, what is said of it in a line, what it means on demand, and a cell for each column."""

    name: str
    cells: Sequence[Cell]
    note: str = ""
    says: str = ""


@dataclass(frozen=True)
class Group:
    """A row that names those below it."""

    name: str


def show(
    head: Sequence[str | Cell], rows: Sequence[Row | Group], *, caption: str = "", wide: Sequence[int] = ()
) -> None:
    """A table; ``head`` begins with the name of the first column; the columns ``wide`` (from 1) break their lines."""
    st.html(_STYLE + html(head, rows, caption=caption, wide=wide))


def html(
    head: Sequence[str | Cell], rows: Sequence[Row | Group], *, caption: str = "", wide: Sequence[int] = ()
) -> str:
    """The table in HTML."""
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    heads = "".join(f'<th scope="col">{_cell(_lines(one))}</th>' for one in head)
    body = "".join(_row(row, len(head), wide) for row in rows)
    return (
        f'<div class="studio-table" tabindex="0"><table>{named}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def text(*lines: str) -> Cell:
    """A cell of plain lines."""
    return [Line(one) for one in lines]


def _row(row: Row | Group, columns: int, wide: Sequence[int]) -> str:
    if isinstance(row, Group):
        return f'<tr class="st-group"><th scope="rowgroup" colspan="{columns}">{escape(row.name)}</th></tr>'
    name = escape(row.name)
    if row.says:
        name = f"<details><summary>{name}</summary><p>{escape(row.says)}</p></details>"
    note = f'<div class="st-small">{escape(row.note)}</div>' if row.note else ""
    cells = "".join(
        f"<td{' class=st-wide' if number in wide else ''}>{_cell(cell)}</td>"
        for number, cell in enumerate(row.cells, 1)
    )
    return f'<tr><th scope="row">{name}{note}</th>{cells}</tr>'


def _lines(head: str | Cell) -> Cell:
    return [Line(head)] if isinstance(head, str) else head


def _cell(lines: Cell) -> str:
    return "".join(f"<div>{_parts(line if isinstance(line, tuple) else (line,))}</div>" for line in lines)


def _parts(parts: Sequence[Line]) -> str:
    return " ".join(
        f'<span class="{_TONES[part.tone]}">{escape(part.text)}</span>' if _TONES[part.tone] else escape(part.text)
        for part in parts
    )

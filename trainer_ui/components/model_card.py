"""A model card drawn from its Markdown: headings, paragraphs, lists, tables. Nothing of it reaches the page as markup.

Cards come with models from anywhere. What stands in one is shown as text: no HTML, no links, no pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import streamlit as st
import yaml

from trainer_ui.components import tables
from trainer_ui.components.words import literal

Kind = Literal["heading", "list", "table", "code", "text"]

_RULE = re.compile(r"^\|?[\s:|-]+\|?$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_EMPHASIS = re.compile(r"\*\*|`")


@dataclass(frozen=True)
class Block:
    """A part of a card: its lines, cleaned of what marks its kind; of a table, its cells are still in the lines."""

    kind: Kind
    lines: tuple[str, ...]


def show(text: str) -> None:
    """The card; what stands in its head comes first, in small letters."""
    head, body = parted(text)
    if head:
        st.caption(literal(" · ".join(head)))
    for block in blocks(body):
        if block.kind == "heading":
            st.markdown(f"##### {literal(block.lines[0])}")
        elif block.kind == "list":
            st.markdown("\n".join(f"- {literal(line)}" for line in block.lines))
        elif block.kind == "code":
            st.code("\n".join(block.lines), language=None, wrap_lines=True)
        elif block.kind == "table":
            _table(block.lines)
        else:
            st.markdown(literal(" ".join(block.lines)))


def parted(text: str) -> tuple[list[str], str]:
    """What a card's head says (YAML between two lines of dashes), a line for each, and the rest."""
    if not text.startswith("---\n"):
        return [], text
    head, found, body = text[4:].partition("\n---\n")
    if not found:
        return [], text
    try:
        said = yaml.safe_load(head)
    except (yaml.YAMLError, RecursionError, ValueError):
        return [], body
    return ([f"{key}: {_told(value)}" for key, value in said.items()] if isinstance(said, dict) else []), body


def blocks(text: str) -> Iterator[Block]:
    """The parts of a card in their order."""
    kind: Kind = "text"
    lines: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        found = _kind(line, fenced)
        if line.startswith("```"):
            fenced = not fenced
            found, line = "code", ""
        if (found != kind or not line.strip() or found == "heading") and not (fenced and kind == "code"):
            if any(lines):
                yield Block(kind, tuple(filter(None, lines)))
            kind, lines = found, []
        if found == "list" and lines and not _ITEM.match(line):
            lines[-1] += f" {_clean(line)}"
        else:
            lines.append(line if found == "code" else _clean(line))
    if any(lines):
        yield Block(kind, tuple(filter(None, lines)))


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _kind(line: str, fenced: bool) -> Kind:
    if fenced:
        return "code"
    if line.startswith("#"):
        return "heading"
    if line.startswith("|"):
        return "table"
    return "list" if _ITEM.match(line) or line.startswith("  ") else "text"


def _clean(line: str) -> str:
    return _EMPHASIS.sub("", _ITEM.sub("", line.strip().lstrip("#").strip(), count=1))


def _table(lines: tuple[str, ...]) -> None:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not _RULE.match(line)]
    if rows:
        width = max(map(len, rows))
        head, *rest = [row + [""] * (width - len(row)) for row in rows]
        tables.show(head, [tables.Row(row[0], [tables.text(cell) for cell in row[1:]]) for row in rest])

"""What a report is made of: headings, paragraphs, tables and charts, in an order. Knows nothing of what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Heading:
    """A heading; ``level`` 1 or 2."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Text:
    """A paragraph; a "warning" must not be overlooked, a "note" is small."""

    text: str
    style: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Table:
    """``rows`` have a name first and then a cell for each column after ``head[0]``."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Bar:
    """A value with its interval; ``clear``: a test says that it is not 0."""

    label: str
    value: float
    low: float
    high: float
    clear: bool


@dataclass(frozen=True)
class Chart:
    """Differences with their intervals around a line at zero."""

    title: str
    bars: tuple[Bar, ...]


Block = Heading | Text | Table | Chart


@dataclass(frozen=True)
class Document:
    """A report: ``line`` stands on every page, ``blocks`` follow each other."""

    title: str
    subtitle: str
    line: str
    blocks: tuple[Block, ...]

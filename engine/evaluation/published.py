"""Figures that others have published, with their sources: context for a report, never something measured here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Table:
    """One source. ``rows`` begin with the model's name and follow ``columns``; "" where nothing is published."""

    title: str
    source: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Published:
    """All tables, and the sentence that must stand above them."""

    note: str
    tables: tuple[Table, ...]


@cache
def published() -> Published:
    """What is known, from published.json beside this file."""
    content = json.loads((files("engine.evaluation") / "published.json").read_text(encoding="utf-8"))
    tables = [
        Table(one["title"], one["source"], tuple(one["columns"]), tuple(tuple(row) for row in one["rows"]))
        for one in content["tables"]
    ]
    return Published(str(content["note"]), tuple(tables))

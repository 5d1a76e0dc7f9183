"""Figures that others have published, with their sources: context for a report, never something measured here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Table:
    """One source. ``rows`` begin with the model's name and follow ``columns``; "" where nothing is published.

    ``task`` is what was answered: "report" or "vqa".
    """

    title: str
    source: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    task: str = "report"


@dataclass(frozen=True)
class Published:
    """All tables, and the sentence that must stand above them."""

    note: str
    tables: tuple[Table, ...]

    def of(self, task: str) -> tuple[Table, ...]:
        """The tables of a task."""
        return tuple(table for table in self.tables if table.task == task)


@cache
def published() -> Published:
    """What is known, from published.json beside this file."""
    content = json.loads((files("engine.evaluation") / "published.json").read_text(encoding="utf-8"))
    tables = [
        Table(
            one["title"],
            one["source"],
            tuple(one["columns"]),
            tuple(map(tuple, one["rows"])),
            one.get("task", "report"),
        )
        for one in content["tables"]
    ]
    return Published(str(content["note"]), tuple(tables))

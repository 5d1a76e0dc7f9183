"""The rows of a data file as they stand, faults and all: for checking what `libra` would refuse.

Nothing raises for what a file holds. A line that is no JSON, bytes that are no UTF-8 and keys given twice are kept
beside the rows that can be read. Knows JSON, not what a row must hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.datasets.layouts import identified

Form = Literal["training", "evaluation"]
Fault = tuple[int, str, str]
"""Row (0: the file as a whole), kind and reason."""

NO_FORM = "format"
NOT_JSON = "not-json"
NOT_UTF8 = "not-utf8"
KEY_TWICE = "key-twice"


class Record(dict[str, Any]):
    """An object of a JSON text, with the keys that it gave more than once."""

    twice: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawFile:
    """What a file holds. ``rows`` are numbered as `libra` numbers them: objects from 1, or lines."""

    form: Form
    rows: tuple[tuple[int, object], ...]
    faults: tuple[Fault, ...]


def read_raw(file: Path) -> RawFile:
    """Read a training file (JSON or JSON Lines) or an evaluation file; which one it is, its rows say.

    Raises:
        OSError: the file cannot be read.
    """
    data = file.read_bytes()
    faults: list[Fault] = []
    if file.suffix.lower() == ".jsonl":
        rows = list(_lines(data, faults))
    else:
        rows = list(enumerate(_listed(_decoded(data, 0, faults), faults), 1))
    form: Form = "evaluation" if sum(map(_asks, rows)) * 2 > len(rows) else "training"
    if form == "evaluation" and file.suffix.lower() != ".jsonl":
        faults.append((0, NO_FORM, "questions are read from JSON Lines: one object a line, in a file named .jsonl"))
    if not rows and not faults:
        faults.append((0, NO_FORM, "the file holds no rows"))
    faults.extend(
        (number, KEY_TWICE, f"the key '{key}' is given twice; the last one counts")
        for number, row in rows
        for key in _twice(row)
    )
    if form == "training":
        rows = [(number, identified(row, number)) for number, row in rows]
    return RawFile(form, tuple(rows), tuple(faults))


def _asks(row: tuple[int, object]) -> bool:
    return isinstance(row[1], dict) and "question_id" in row[1]


def _twice(value: object) -> Iterator[str]:
    """Keys given twice in a row or in one of its turns."""
    if isinstance(value, Record):
        yield from value.twice
        for each in value.values():
            yield from _twice(each)
    elif isinstance(value, list):
        for each in value:
            yield from _twice(each)


def _lines(data: bytes, faults: list[Fault]) -> Iterator[tuple[int, object]]:
    """The lines that hold JSON."""
    for number, line in enumerate(data.split(b"\n"), 1):
        text = _decoded(line, number, faults)
        if text.strip():
            try:
                yield number, _parsed(text)
            except (ValueError, RecursionError) as error:
                faults.append((number, NOT_JSON, f"not a line of JSON{_where(error)}"))


def _listed(text: str, faults: list[Fault]) -> list[object]:
    try:
        document = _parsed(text)
    except (ValueError, RecursionError) as error:
        faults.append((0, NOT_JSON, f"not a JSON file{_where(error)}"))
        return []
    if isinstance(document, list):
        return document
    faults.append((0, NO_FORM, "a training file holds a list of samples"))
    return []


def _parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_record)


def _record(pairs: list[tuple[str, Any]]) -> Record:
    record = Record(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        record.twice = tuple(name for name in record if names.count(name) > 1)
    return record


def _decoded(data: bytes, number: int, faults: list[Fault]) -> str:
    """The text; what is no UTF-8 in it becomes U+FFFD, so that the rest can be checked as well."""
    encoding = "utf-8-sig" if number <= 1 else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = "" if number else f" in line {line}"
        faults.append((number, NOT_UTF8, f"not text in UTF-8: byte {data[error.start]:#04x}{where}"))
        return data.decode(encoding, "replace")


def _where(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return ": it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return ": it holds a number that is too long"
    place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
    return f" ({place}: {error.msg[:1].lower()}{error.msg[1:]})"

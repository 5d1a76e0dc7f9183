"""The rows of a data file, any of them at once, however large the file is.

A file is read through once. What is kept of a row is where it begins and what it is filtered by, not its text: some
megabytes for a file of hundreds. A row is read and checked when it is asked for; one that breaks the format is given
with what is wrong with it. Rows are numbered as ``engine.datasets.libra`` numbers them. Opens no image.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from engine.datasets import layouts, rules
from engine.datasets.libra import Question, TrainingSample, as_question, as_sample
from engine.datasets.rows import Form as Raw
from engine.errors import InputError
from trainer_ui.services.datasets import DataFile, Form

Case = TrainingSample | Question

PICTURES = (".png", ".jpg", ".jpeg")
"""Endings of image files that are told without decoding them."""

_BETWEEN = re.compile(r"[ \t\r\n]*(?:,[ \t\r\n]*)?")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Row:
    """One row. ``case`` is None where ``faults`` say why it cannot be used; ``id`` is "" if it has none."""

    number: int
    id: str
    case: Case | None
    faults: tuple[str, ...] = ()


@dataclass(eq=False)
class RowIndex:
    """Where the rows of a file are.

    Attributes:
        images: folder that image paths are relative to.
        stamp: size and time of the file when it was read.
        numbers, offsets, lengths: of each row, in bytes.
        priors: whether a row has two different images.
        views: of each row, "" where it is not said.
        decoded: image files that only the reader of DICOM can tell of.
        broken: "" or where the file goes wrong; the rows behind that are not known.
    """

    path: Path
    images: Path
    form: Form
    stamp: tuple[int, int]
    numbers: array[int] = field(default_factory=lambda: array("L"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    lengths: array[int] = field(default_factory=lambda: array("L"))
    priors: bytearray = field(default_factory=bytearray)
    views: list[str] = field(default_factory=list)
    decoded: int = 0
    broken: str = ""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def named_views(self) -> tuple[str, ...]:
        """Views that occur, the commonest first."""
        return tuple(name for name, _ in Counter(self.views).most_common() if name)

    def place(self, number: int) -> int | None:
        """The place of the row of this number."""
        at = bisect_left(self.numbers, number)
        return at if at < len(self) and self.numbers[at] == number else None

    def read(self, places: Sequence[int]) -> tuple[Row, ...]:
        """Rows by their places. Raises InputError where the file has changed or is gone."""
        return tuple(self._row(place, raw) for place, raw in self._raw(places))

    def _raw(self, places: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        try:
            if _stamp(self.path) != self.stamp:
                raise InputError(f"{self.path.name} has changed meanwhile. Reload the page.")
            with self.path.open("rb") as file:
                for place in places:
                    file.seek(self.offsets[place])
                    yield place, file.read(self.lengths[place])
        except OSError as cause:
            raise InputError(f"{self.path.name} can no longer be read.") from cause

    def _row(self, place: int, raw: bytes) -> Row:
        number = self.numbers[place]
        try:
            row = layouts.identified(json.loads(raw.decode("utf-8", "replace")), number)
        except (ValueError, RecursionError):
            return Row(number, "", None, ("not a line of JSON",))
        form: Raw = "training" if self.form == "training" else "evaluation"
        name = rules.identity(row, form) if isinstance(row, dict) else ""
        try:
            read = as_sample if self.form == "training" else as_question
            return Row(number, name, read(row, self.images))
        except ValueError as fault:
            found = tuple(reason for _, reason in rules.of_row(row, form))
            return Row(number, name, None, found or (str(fault),))


def index(file: DataFile, images: Path) -> RowIndex:
    """The rows of a file; read once as long as it stays as it is. Raises InputError where it cannot be read."""
    try:
        return _indexed(file.path, images, file.form, _stamp(file.path))
    except OSError as cause:
        raise InputError(f"{file.path.name} can no longer be read.") from cause


@lru_cache(maxsize=16)
def find(rows: RowIndex, text: str = "", prior: bool | None = None, view: str = "") -> Sequence[int]:
    """Places of the rows that fit: ``text`` occurs in a question, an answer or an id, in capitals or not.

    Raises InputError where the file has changed or is gone.
    """
    places: Sequence[int] = range(len(rows))
    if prior is not None or view:
        places = [
            place
            for place in places
            if (prior is None or bool(rows.priors[place]) == prior) and (not view or rows.views[place] == view)
        ]
    wanted = text.strip().casefold()
    if not wanted:
        return places
    found = []
    for place, raw in rows._raw(places):
        if _may_hold(raw, wanted):
            row = rows._row(place, raw)
            if any(wanted in said.casefold() for said in (row.id, *texts(row.case))):
                found.append(place)
    return found


def _may_hold(raw: bytes, wanted: str) -> bool:
    """Whether a row need be read to be searched: most are told by their bytes, which is much faster."""
    if b"\\u" in raw:
        return True
    plain = json.dumps(wanted, ensure_ascii=False)[1:-1]
    return plain.encode() in raw.lower() if raw.isascii() else plain in raw.decode("utf-8", "replace").casefold()


def texts(case: Case | None) -> tuple[str, ...]:
    """All that is asked and said in a row."""
    if isinstance(case, TrainingSample):
        return tuple(text for turn in case.turns for text in turn)
    return (case.text, case.reference or "") if case is not None else ()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4)
def _indexed(path: Path, images: Path, form: Form, stamp: tuple[int, int]) -> RowIndex:
    rows = RowIndex(path, images, form, stamp)
    data = path.read_bytes()
    kept: dict[str, str] = {}
    try:
        for number, start, end, row in _lines(data) if path.suffix == ".jsonl" else _members(data):
            named = rules.image_names(row)
            view = _view(row)
            rows.numbers.append(number)
            rows.offsets.append(start)
            rows.lengths.append(end - start)
            rows.priors.append(len(named) == 2 and named[0] != named[1])
            rows.views.append(kept.setdefault(view, view))
            rows.decoded += sum(not name.lower().endswith(PICTURES) for name in named)
    except (ValueError, RecursionError):
        rows.broken = f"The file goes wrong after row {len(rows):,}."
    return rows


def _lines(data: bytes) -> Iterator[tuple[int, int, int, object]]:
    """Number, beginning, end and object of each line; a line that is no JSON is one that says nothing."""
    start = len(_BOM) if data.startswith(_BOM) else 0
    number = 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if data[start:end].strip():
            try:
                row = json.loads(data[start:end].decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                row = None
            yield number, start, end, row
        start = end + 1


def _members(data: bytes) -> Iterator[tuple[int, int, int, object]]:
    """Number, beginning, end and object of each member of a list. Raises ValueError where it goes wrong.

    Bytes are read as one character each: what JSON is made of is ASCII, so that places in text and in bytes agree.
    """
    text = data.decode("latin-1")
    place = text.index("[") + 1
    decoder = json.JSONDecoder()
    number = 0
    while True:
        between = _BETWEEN.match(text, place)
        place = between.end() if between is not None else place
        if text[place : place + 1] == "]":
            return
        row, end = decoder.raw_decode(text, place)
        number += 1
        yield number, place, end, row
        place = end


def _view(row: object) -> str:
    value = (row.get("view") or row.get("ViewPosition") or "") if isinstance(row, dict) else ""
    return value.strip().upper()[:20] if isinstance(value, str) else ""

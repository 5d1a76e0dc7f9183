"""Comma-separated tables, plain or compressed with gzip, read row by row, and what is wrong in them gathered.

A file is recognised as gzip by its first bytes, not by its name. Knows no particular table.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.errors import DatasetError

OFTEN = 2000
"""Rows between two words on how far a file has been read."""

_GZIP = b"\x1f\x8b"
_NUMBER = re.compile(r"([0-9]{1,18})(?:\.0*)?")


class Faults:
    """What is wrong in the rows of one file; raised together, so that it can be mended in one go."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: list[tuple[int, str]] = []

    def add(self, row: int, reason: str) -> None:
        """Remember what is wrong in a row."""
        self._rows.append((row, reason))

    def settle(self) -> None:
        """Go on only if nothing was wrong.

        Raises:
            DatasetError: with every row and reason.
        """
        if self._rows:
            message = f"{len(self._rows)} rows of '{self._file.name}' cannot be used."
            raise DatasetError(message, tuple(sorted(self._rows)))


Told = Callable[[int, int], None]
"""Told how far a file has been read: bytes, as it lies on the disk, and their total."""


@contextmanager
def open_text(file: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """A text file in UTF-8, uncompressed on the way where it is gzip, and how many of its bytes have been read."""
    with file.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        stream = io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if packed else raw, encoding="utf-8-sig", newline="")
        yield stream, raw.tell


def read_rows(
    file: Path,
    columns: tuple[str, ...],
    faults: Faults,
    *,
    optional: tuple[str, ...] = (),
    progress: Told | None = None,
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Row number (the header is row 1) and the values of ``columns`` and ``optional``, in this order.

    Values are stripped; those of an optional column that the table lacks are "". Blank rows are passed over.

    Args:
        file: the table.
        columns: what it must have.
        faults: told of rows that have too few or too many values.
        optional: what it may have.
        progress: told now and then how far the file has been read.

    Raises:
        DatasetError: no such table, a column is missing, the file is damaged or cut off.
    """
    try:
        size = file.stat().st_size
        with open_text(file) as (stream, position):
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise DatasetError(f"'{file.name}' has no column {', '.join(missing)}. Is it the right table?")
            places = [header.index(name) if name in header else -1 for name in columns + optional]
            for number, values in enumerate(reader, 2):
                if progress is not None and number % OFTEN == 0:
                    progress(position(), size)
                if not values:
                    continue
                if len(values) != len(header):
                    faults.add(number, f"{len(values)} values instead of {len(header)}")
                    continue
                yield number, tuple(values[place].strip() if place >= 0 else "" for place in places)
    except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as cause:
        raise DatasetError(f"'{file.name}' is damaged or ends too early. Download it again.") from cause
    except UnicodeDecodeError as cause:
        raise DatasetError(f"'{file.name}' is not a text file in UTF-8.") from cause


def whole_number(text: str) -> str:
    """The digits of a number that a program may have written as "123.0"; "" if it is none."""
    found = _NUMBER.fullmatch(text)
    return found[1] if found else ""

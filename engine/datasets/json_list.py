"""A JSON list of objects read one by one, whatever the size of the file; plain or compressed with gzip.

Knows no particular data set.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.datasets.tables import OFTEN, Faults, Told, open_text
from engine.errors import DatasetError

CHUNK = 1 << 20
LARGEST = 16 << 20
"""Characters: of one reading, and of the largest object."""

_SPACE = " \t\r\n"


def is_list(file: Path) -> bool:
    """Whether the file begins as a JSON list does.

    Raises:
        DatasetError: it is no text.
    """
    try:
        with open_text(file) as (stream, _):
            return stream.read(CHUNK).lstrip(_SPACE).startswith("[")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as cause:
        raise DatasetError(f"'{file.name}' is damaged or not a text file in UTF-8.") from cause


def read_list(file: Path, faults: Faults, progress: Told | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Place in the list (from 1) and object.

    Args:
        file: the list.
        faults: told of members that are no objects.
        progress: told now and then how far the file has been read.

    Raises:
        DatasetError: not a list, or damaged or cut off.
    """
    number = 0
    try:
        size = file.stat().st_size
        for number, (member, position) in enumerate(_members(file), 1):
            if progress is not None and number % OFTEN == 0:
                progress(position, size)
            if isinstance(member, dict):
                yield number, member
            else:
                faults.add(number, "not an object")
    except (json.JSONDecodeError, RecursionError) as cause:
        message = f"'{file.name}' is not a whole JSON list: it breaks off or goes wrong after {number} objects."
        raise DatasetError(message) from cause
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as cause:
        raise DatasetError(f"'{file.name}' is damaged or not a text file in UTF-8.") from cause


def _members(file: Path) -> Iterator[tuple[object, int]]:
    """Each member, and how many bytes of the file have been read."""
    decoder = json.JSONDecoder()
    with open_text(file) as (stream, position):
        buffer, place = _more(stream.read, "", 0)
        if buffer[place : place + 1] != "[":
            raise json.JSONDecodeError("no list", buffer, place)
        place += 1
        first = True
        while True:
            buffer, place = _more(stream.read, buffer, place)
            if buffer[place : place + 1] == "]":
                return
            if not first:
                if buffer[place : place + 1] != ",":
                    raise json.JSONDecodeError("no comma", buffer, place)
                buffer, place = _more(stream.read, buffer, place + 1)
            first = False
            while True:
                try:
                    member, end = decoder.raw_decode(buffer, place)
                except json.JSONDecodeError:
                    end = len(buffer)
                    member = None
                # What ends with the buffer may go on behind it.
                if end < len(buffer):
                    break
                added = stream.read(CHUNK)
                buffer, place = buffer[place:] + added, 0
                if not added or len(buffer) > LARGEST:
                    raise json.JSONDecodeError("a member without an end", buffer[:100], 0)
            yield member, position()
            place = end


def _more(read: Callable[[int], str], buffer: str, place: int) -> tuple[str, int]:
    """The buffer and the place of the next character that is no space, after reading more if need be."""
    while True:
        while place < len(buffer) and buffer[place] in _SPACE:
            place += 1
        if place < len(buffer):
            return buffer, place
        buffer, place = read(CHUNK), 0
        if not buffer:
            raise json.JSONDecodeError("the list has no end", "", 0)

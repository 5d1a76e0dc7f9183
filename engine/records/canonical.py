"""One spelling for what is hashed, and text that SQLite keeps exactly.

Canonical JSON: keys sorted, no blanks, UTF-8, no NaN. Two equal values always give the same bytes, so that a hash made
today can be made again in ten years. This module knows neither tables nor reports.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from engine.errors import RecordsError, UsageError

LONGEST_TEXT = 200_000  # characters of one field; a report has some 2 000
LONGEST_NAME = 1_000


def canonical(value: object) -> str:
    """``value`` as canonical JSON. Raises UsageError for what JSON cannot hold, NaN included."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError("A setting or result of the draft cannot be stored because it is not plain data.") from error


def parsed(text: str) -> Any:
    """The value that ``canonical`` wrote. Raises RecordsError for what it cannot have written."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordsError(
            "A record of the history is damaged and cannot be read. `python launch.py doctor` shows what is affected."
        ) from error


def sha256(text: str) -> str:
    """The SHA-256 of ``text`` in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def tidy(text: str) -> str:
    """``text`` with what SQLite cannot keep exactly (NUL, halves of surrogate pairs) shown as U+FFFD."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def field(text: str, what: str, longest: int = LONGEST_TEXT) -> str:
    """``text`` ready to be stored. Raises UsageError if it is longer than ``longest`` characters."""
    if len(text) > longest:
        raise UsageError(f"The {what} is longer than {longest} characters; please shorten it.")
    return tidy(text)


def cut(text: str) -> str:
    """A value out of a file's header, ready to be stored: files may say anything, so it is shortened, not refused."""
    return tidy(text[:LONGEST_NAME])

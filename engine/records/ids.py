"""Names and times of records: ULIDs that only grow, and UTC times written so that text order is time order.

Why ULIDs and not UUIDv7: 26 characters without hyphens that a person can read aloud, sortable as text, no more code.
The order of records never rests on them or on the clock: it is the number of the event that made the change.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

Clock = Callable[[], datetime]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as in the ULID specification
_RANDOM_BITS = 80


def utc_now() -> datetime:
    """The system's time as an aware datetime in UTC."""
    return datetime.now(UTC)


class Ulids:
    """Makes ULIDs: 48 bits of milliseconds, 80 random bits. Each is greater than the last, whatever the clock does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        milliseconds = int(self._clock().timestamp() * 1000)
        with self._lock:
            value = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            self._last = value = max(value, self._last + 1)
        return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def stamp(moment: datetime) -> str:
    """``moment`` (aware) as UTC text of fixed width, such as 2026-03-01T09:30:00.000000Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The aware datetime that ``stamp`` wrote."""
    return datetime.fromisoformat(text)


def optional_moment(text: str | None) -> datetime | None:
    """As ``moment``; also reads a time without a zone as the scanner wrote it. None stays None."""
    return None if text is None else datetime.fromisoformat(text)


def optional_date(text: str | None) -> date | None:
    """A date in ISO form, or None."""
    return None if text is None else date.fromisoformat(text)

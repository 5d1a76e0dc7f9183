"""Dates in a text: moved where they can be read for certain, taken away where they cannot.

A date that says its year and cannot be read in two ways is written anew, in its own form, so many days away; intervals
stay. "3/4/2019" may be March or April, "12 March" says no year: what is left of such a date would be right for one
reading and tell too much for the other, so it becomes BLANK. So does a year alone, and the date of birth always.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

BLANK = "___"
"""What stands for something taken away, as in MIMIC-CXR."""

_MONTHS = (
    "january february march april may june july august september october november december".split()
)  # fmt: skip
_MONTH = "|".join(name for month in _MONTHS for name in (month, month[:3])) + "|sept"
_NUMBERS = re.compile(r"(?<![\w/.-])(\d{1,4})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_COMPACT = re.compile(r"(?<![\w.])((?:19|20)\d{2})(\d{2})(\d{2})(?!\w)")
_DAY_FIRST = re.compile(
    rf"(?<!\w)(\d{{1,2}})(st|nd|rd|th)?([\s-]+(?:of\s+)?)({_MONTH})\b(\.?,?[\s-]+)(\d{{4}})(?!\w)", re.I
)
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\b(\.?\s+)(\d{{1,2}})(st|nd|rd|th)?(,?\s+)(\d{{4}})(?!\w)", re.I)
_PARTIAL = (
    # A month with a day or a year beside it; "may" and "march" are months where they begin with a capital.
    re.compile(
        r"(?<!\w)\d{1,2}(?:st|nd|rd|th)?[\s-]+(?:of\s+)?(?!may\b|march\b|mar\b)"
        rf"(?:(?i:{_MONTH}))\b\.?(?:[\s,-]+(?:'?\d{{2}}|\d{{4}})(?!\w|\.\d))?"
    ),
    re.compile(
        rf"\b(?!may\b|march\b|mar\b)(?:(?i:{_MONTH}))\b\.?[\s,]+(?:\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?)(?![\w]|\.\d)"
    ),
    re.compile(r"(?<![\w/.])(?:0?[1-9]|1[0-2])/(?:19|20)\d{2}(?![\w/])"),
    re.compile(r"(?P<kept>\b(?i:on|from|of|since|dated|until)\s+)\d{1,2}[/.]\d{1,2}(?![\w/]|\.\d|\s*(?:cm|mm)\b)"),
    re.compile(r"(?<![\w./-])(?:19|20)\d{2}(?!\s*(?:m[lLm]|cc|HU|cGy|mg|mAs|h\b|hours|hrs)|[\w/-]|\.\d)"),
)

Count = Callable[[str], None]
Reading = tuple[date | None, Callable[[date], str]]
"""A day (None: there is no such day), and how another one is written in the same form."""

Read = Callable[[re.Match[str]], list[Reading]]


def hold(text: str, days: int, born: date | None, count: Count) -> tuple[str, list[str]]:
    """The text with every date blanked or, moved by ``days``, held: a private character in its place.

    Nothing that is looked for afterwards is found in a held date; `release` puts them back. ``count`` hears
    "date moved" or "date" for each. ``born`` is blanked in every form that can be read as it. The text holds no
    private characters (U+E000 and on) itself.
    """
    moved: list[str] = []
    for pattern, read in _WHOLE:
        text = pattern.sub(partial(_held, moved, partial(_moved, read, days, born, count)), text)
    for pattern in _PARTIAL:
        text = pattern.sub(lambda match: (match.groupdict().get("kept") or "") + _blanked(count), text)
    return text, moved


def release(text: str, moved: list[str]) -> str:
    """The text with the held dates in their places."""
    return "".join(moved[ord(c) - _FIRST] if _FIRST <= ord(c) < _FIRST + len(moved) else c for c in text)


_FIRST, _MOST = 0xE000, 1000
"""The first private character that holds the place of a date, and how many there are."""


def _held(moved: list[str], write: Callable[[re.Match[str]], str], match: re.Match[str]) -> str:
    written = write(match)
    if written == BLANK or len(moved) >= _MOST:
        return BLANK
    moved.append(written)
    return chr(_FIRST + len(moved) - 1)


def _moved(read: Read, days: int, born: date | None, count: Count, match: re.Match[str]) -> str:
    readings = [(day, write) for day, write in read(match) if day is not None]
    if len({day for day, _ in readings}) != 1 or readings[0][0] == born:
        return _blanked(count)
    day, write = readings[0]
    try:
        shifted = write(day + timedelta(days=days))
    except OverflowError:
        return _blanked(count)
    count("date moved")
    return shifted


def _blanked(count: Count) -> str:
    count("date")
    return BLANK


def _day(year: str, month: int, day: str) -> date | None:
    try:
        return date(int(year), month, int(day))
    except ValueError:
        return None


def _numbers(match: re.Match[str]) -> list[Reading]:
    """Year first, day first and month first; a year of two digits belongs to no century for certain."""
    first, mark, second, third = match.groups()
    two = "{:02}" if len(first) == 2 and len(second) == 2 else "{}"
    found: list[Reading] = []
    if len(first) == 4 and len(third) == 2:
        found.append((_day(first, int(second), third), lambda new: f"{new:%Y}{mark}{new:%m}{mark}{new:%d}"))
    if len(first) <= 2 and len(third) == 4:
        by_day = f"{two}{mark}{two}{mark}{{:04}}"
        found.append((_day(third, int(second), first), lambda new: by_day.format(new.day, new.month, new.year)))
        found.append((_day(third, int(first), second), lambda new: by_day.format(new.month, new.day, new.year)))
    return found


def _compact(match: re.Match[str]) -> list[Reading]:
    year, month, day = match.groups()
    return [(_day(year, int(month), day), lambda new: f"{new:%Y%m%d}")]


def _day_first(match: re.Match[str]) -> list[Reading]:
    number, ending, gap, month, comma, year = match.groups()

    def write(new: date) -> str:
        return f"{new.day}{_ending(ending, new)}{gap}{_like(month, new)}{comma}{new.year}"

    return [(_day(year, _month(month), number), write)]


def _month_first(match: re.Match[str]) -> list[Reading]:
    month, gap, number, ending, comma, year = match.groups()

    def write(new: date) -> str:
        return f"{_like(month, new)}{gap}{new.day}{_ending(ending, new)}{comma}{new.year}"

    return [(_day(year, _month(month), number), write)]


def _month(name: str) -> int:
    return 1 + next(number for number, month in enumerate(_MONTHS) if month.startswith(name.casefold()[:3]))


def _like(written: str, new: date) -> str:
    """The month of ``new``, as long and in such letters as the one it stands for."""
    name = _MONTHS[new.month - 1]
    if written.casefold() not in _MONTHS:
        name = name[:3]
    return name.upper() if written.isupper() else name.capitalize() if written[0].isupper() else name


def _ending(written: str | None, new: date) -> str:
    if written is None:
        return ""
    return "th" if 10 < new.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(new.day % 10, "th")


_WHOLE: tuple[tuple[re.Pattern[str], Read], ...] = (
    (_NUMBERS, _numbers),
    (_COMPACT, _compact),
    (_DAY_FIRST, _day_first),
    (_MONTH_FIRST, _month_first),
)

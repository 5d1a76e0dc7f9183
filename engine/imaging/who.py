"""Who an image shows, and when it was made: patient, identifiers and dates of a data set.

Text has been decoded by pydicom for the file's SpecificCharacterSet (ISO 2022 included); here it is only tidied.
Nothing is made up: what a file does not say stays empty, and a date that de-identification wrote is called unreliable.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from engine.imaging import tags
from engine.imaging.text import tidy
from engine.imaging.types import Patient

__all__ = ["acquired", "patient", "uid"]

EARLIEST_YEAR = 1920
"""Dates before this (1900-01-01, 1901-01-01) are what de-identification writes, not when a radiograph was made."""

_DATES = (
    ("StudyDate", "StudyTime", "study date"),
    ("AcquisitionDate", "AcquisitionTime", "acquisition date"),
    ("ContentDate", "ContentTime", "content date"),
    ("SeriesDate", "SeriesTime", "series date"),
)


def patient(ds: Dataset) -> Patient:
    """The patient module; the name reads "Family, Given Middle (other scripts)"."""
    return Patient(
        id=tags.text(ds, "PatientID", 64),
        issuer=tags.text(ds, "IssuerOfPatientID", 64),
        name=_name(tags.value(ds, "PatientName")),
        birth_date=_date(tags.text(ds, "PatientBirthDate")),
        sex=tags.text(ds, "PatientSex", 16).upper(),
    )


def _name(found: Any) -> str:
    if found is None:
        return ""
    try:
        groups = [str(found.alphabetic), str(found.ideographic)] if isinstance(found, PersonName) else [str(found)]
    except (UnicodeError, LookupError, ValueError, AttributeError):
        return ""
    readable = [_readable(tidy(group, 200)) for group in groups]
    first, *others = [each for each in readable if each] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def _readable(group: str) -> str:
    """Family^Given^Middle^Prefix^Suffix as "Family, Prefix Given Middle Suffix" (PS3.5 6.2.1.2)."""
    family, given, middle, prefix, suffix, *_ = [part.strip() for part in group.split("^")] + [""] * 5
    rest = " ".join(part for part in (prefix, given, middle, suffix) if part)
    return f"{family}, {rest}" if family and rest else family or rest


def uid(ds: Dataset, keyword: str) -> str:
    """A UID, or an empty string for anything that is none."""
    found = tags.text(ds, keyword, 128)
    return found if re.fullmatch(r"[0-9]+(\.[0-9]+)*", found) and len(found) <= 64 else ""


def acquired(ds: Dataset) -> tuple[datetime | None, str, bool]:
    """When the image was made, what that rests on in words, and whether intervals may be computed from it.

    The first that the file has of study, acquisition, content and series date, then AcquisitionDateTime.
    """
    for date_keyword, time_keyword, words in _DATES:
        day = _date(tags.text(ds, date_keyword))
        if day is not None:
            seconds = _time(tags.text(ds, time_keyword))
            if seconds is None:
                return datetime(day.year, day.month, day.day), f"{words}, no time", _reliable(day)
            return datetime(day.year, day.month, day.day, *seconds), words, _reliable(day)
    stamp = tags.text(ds, "AcquisitionDateTime")
    day = _date(stamp[:8])
    if day is not None:
        seconds = _time(re.split(r"[+-]", stamp[8:])[0]) or (0, 0, 0)
        return datetime(day.year, day.month, day.day, *seconds), "acquisition date and time", _reliable(day)
    return None, "no date in the file", False


def _reliable(day: date) -> bool:
    return day.year >= EARLIEST_YEAR


def _date(text: str) -> date | None:
    """A DA value, also in the old form 1993.08.22 and in ISO form; None for anything else."""
    match = re.fullmatch(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})", text)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _time(text: str) -> tuple[int, int, int] | None:
    """Hour, minute and second of a TM value: HH, HHMM, HHMMSS with a fraction, or with colons."""
    match = re.fullmatch(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.\d*)?", text)
    if not match:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    return (hour, minute, min(second, 59)) if hour < 24 and minute < 60 and second <= 60 else None

"""Patients, dates and images in the words of the screen. Pure functions of engine values."""

from __future__ import annotations

from datetime import date, datetime

from engine.imaging.types import Image, Patient, View
from engine.reports import labels

NOT_IDENTIFIED = "not identified"
DEMONSTRATION = f"{labels.DEMO_MARK.capitalize()}: trained on synthetic images, it has never seen a patient."
SEXES = {"F": "female", "M": "male", "O": "other"}


def name(dicom: str) -> str:
    """ "Phantom^Test^^Dr" as "Phantom, Test"; only the alphabetic group of a DICOM name."""
    family, _, given = dicom.split("=")[0].partition("^")
    first = given.split("^")[0].strip()
    return f"{family.strip()}, {first}" if family.strip() and first else family.strip() or first


def patient(who: Patient, on: datetime | None = None) -> str:
    """One line: name, age on the day of the study, sex, id."""
    if not who.id:
        return f"Patient {NOT_IDENTIFIED}"
    parts = [name(who.name) or "(no name)"]
    if who.birth_date is not None:
        day = on.date() if on is not None else date.today()
        years = day.year - who.birth_date.year - ((day.month, day.day) < (who.birth_date.month, who.birth_date.day))
        if 0 <= years < 130:
            parts.append(f"{years} y")
        parts.append(f"born {who.birth_date.isoformat()}")
    if who.sex:
        parts.append(SEXES.get(who.sex.upper(), who.sex))
    parts.append(f"ID {who.id}")
    return " · ".join(parts)


def patient_short(who: Patient) -> str:
    """Name and id, for a button."""
    if not who.id:
        return f"the pictures that are {NOT_IDENTIFIED}"
    called = name(who.name)
    return f"{called} (ID {who.id})" if called and called != who.id else f"ID {who.id}"


def when(image: Image) -> str:
    """The study's date and time, with its doubt."""
    if image.acquired is None:
        return "date unknown"
    words = image.acquired.strftime("%Y-%m-%d %H:%M") if image.acquired.time() != datetime.min.time() else ""
    words = words or image.acquired.strftime("%Y-%m-%d")
    return words if image.date_reliable else f"{words} (date not reliable)"


def view(image: Image) -> str:
    """ "PA", "AP", "lateral" or "view unknown"; a slice of CT has no view."""
    if image.modality == "CT":
        return "slice"
    return {View.LATERAL: "lateral", View.UNKNOWN: "view unknown"}.get(image.view, image.view.value)


def title(image: Image) -> str:
    """ "PA of 2026-03-02 10:20"; a plain picture by its file name until somebody says more."""
    if image.acquired is None and image.view is View.UNKNOWN:
        return image.source
    return f"{view(image)} of {when(image)}"

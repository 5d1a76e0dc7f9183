"""The tables of MIMIC-CXR-JPG and MIMIC-IV as values: films, their split, their patients; and where their files lie.

    mimic-cxr-2.0.0-metadata.csv[.gz]     dicom_id, subject_id, study_id, ViewPosition, StudyDate, StudyTime, ...
    mimic-cxr-2.0.0-split.csv[.gz]        dicom_id, study_id, subject_id, split
    patients.csv[.gz]  (MIMIC-IV)         subject_id, gender, anchor_age, anchor_year, ...
    files/p10/p10000032/s50414267/<dicom_id>.jpg      and the report: files/p10/p10000032/s50414267.txt

StudyTime is a number there, HHMMSS.fff without leading zeros: 3014.5 is half past midnight. Blank views are taken from
the view code. Identifiers become parts of paths, so nothing but letters, digits and hyphens passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from sys import intern

from engine.datasets.tables import Faults, read_rows, whole_number

SPLITS = ("train", "validate", "test")
FRONTAL = ("AP", "PA")
LATERAL = ("LATERAL", "LL", "RL", "XTABLE LATERAL")

_VIEWS = {
    "postero-anterior": "PA",
    "antero-posterior": "AP",
    "lateral": "LATERAL",
    "left lateral": "LATERAL",
    "right lateral": "LATERAL",
}
_SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(("valid", "val", "validation"), "validate")
_DICOM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_OLDEST = 91
"""What MIMIC-IV gives as the age of everybody over 89."""


@dataclass(frozen=True, slots=True)
class Film:
    """One image.

    Attributes:
        dicom, patient, study: identifiers; the numbers without "p" and "s".
        view: ViewPosition in capitals, else what the view code says; "" where neither says anything.
        coded: whether the view was taken from the view code.
        day: StudyDate; None where it cannot be read.
        second: of the day, from StudyTime; None where it cannot be read.
        row: place in the table.
    """

    dicom: str
    patient: str
    study: str
    view: str
    coded: bool
    day: date | None
    second: float | None
    row: int

    @property
    def image(self) -> str:
        """The image's path without its ending."""
        return f"{folder_of(self.patient)}/s{self.study}/{self.dicom}"

    @property
    def report(self) -> str:
        """The report's path."""
        return f"{folder_of(self.patient)}/s{self.study}.txt"


@dataclass(frozen=True, slots=True)
class Patient:
    """Sex ("M", "F" or "") and the age in one year, from which all other ages follow."""

    sex: str
    age: int
    year: int

    def age_in(self, year: int) -> int | None:
        """Years in another year; None before birth. Ages over 89 are all published as 91 and stay so."""
        age = _OLDEST if self.age >= _OLDEST else self.age + year - self.year
        return age if age >= 0 else None


def folder_of(patient: str) -> str:
    """The folder of a patient below the root of images or reports."""
    return f"files/p{patient[:2]}/p{patient}"


def is_dicom(text: str) -> bool:
    """Whether a text is an image's identifier, and so fit for a path."""
    return _DICOM.fullmatch(text) is not None


def root(folder: Path) -> Path:
    """The folder that holds ``files``, where the user named it or ``files`` itself."""
    return folder.parent if folder.name == "files" and not (folder / "files").is_dir() else folder


def view_of(position: str, code: str) -> str:
    """The view in capitals, from ViewPosition, else from the meaning of the view code."""
    return intern(position.upper() or _VIEWS.get(code.lower(), ""))


def read_films(file: Path) -> list[Film]:
    """All images of the metadata table, in its order.

    Raises:
        DatasetError: the table cannot be read, or rows lack an identifier or repeat one; all are listed.
    """
    faults = Faults(file)
    films: list[Film] = []
    seen: set[str] = set()
    columns = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
    for number, values in read_rows(file, columns, faults, optional=("ViewCodeSequence_CodeMeaning",)):
        dicom, subject, study, position, day, time, code = values
        patient, study = whole_number(subject), whole_number(study)
        if not is_dicom(dicom) or not patient or not study:
            faults.add(number, "dicom_id, subject_id or study_id is missing or no identifier")
        elif dicom in seen:
            faults.add(number, "the dicom_id of an earlier row again")
        else:
            seen.add(dicom)
            view = view_of(position, code)
            coded = bool(view) and not position
            films.append(
                Film(dicom, intern(patient), intern(study), view, coded, read_day(day), read_second(time), number)
            )
    faults.settle()
    return films


def read_splits(file: Path) -> dict[str, str]:
    """Image -> "train", "validate" or "test".

    Raises:
        DatasetError: the table cannot be read, or holds other splits; all rows are listed.
    """
    faults = Faults(file)
    splits: dict[str, str] = {}
    for number, (dicom, split) in read_rows(file, ("dicom_id", "split"), faults):
        name = split_name(split)
        if not dicom or not name:
            faults.add(number, "dicom_id is missing" if not dicom else "split is none of train, validate, test")
        else:
            splits[dicom] = name
    faults.settle()
    return splits


def split_name(text: str) -> str:
    """One of `SPLITS`, from the names that published tables use; "" for any other."""
    return _SPLIT_NAMES.get(text.strip().lower(), "")


def read_patients(file: Path) -> dict[str, Patient]:
    """Patient -> sex and age.

    Raises:
        DatasetError: the table cannot be read or its rows hold no numbers; all are listed.
    """
    faults = Faults(file)
    patients: dict[str, Patient] = {}
    columns = ("subject_id", "gender", "anchor_age", "anchor_year")
    for number, (subject, gender, age, year) in read_rows(file, columns, faults):
        numbers = whole_number(subject), whole_number(age), whole_number(year)
        if not all(numbers):
            faults.add(number, "subject_id, anchor_age or anchor_year is missing or no number")
            continue
        sex = gender.upper() if gender.upper() in ("M", "F") else ""
        patients[numbers[0]] = Patient(sex, int(numbers[1]), int(numbers[2]))
    faults.settle()
    return patients


def read_day(text: str) -> date | None:
    """A StudyDate (YYYYMMDD, perhaps written as a decimal number); None where it is no date."""
    digits = whole_number(text)
    if len(digits) != 8:
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def read_second(text: str) -> float | None:
    """Seconds since midnight of a StudyTime (HHMMSS.fff without its leading zeros); None where it is no time."""
    whole, _, fraction = text.partition(".")
    if not re.fullmatch(r"[0-9]{1,6}", whole) or not re.fullmatch(r"[0-9]*", fraction):
        return None
    digits = whole.zfill(6)
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def in_order(film: Film) -> tuple[int, bool, date, bool, float, int]:
    """The key by which films are sorted: patient, date, time, place in the table; what is unknown comes last."""
    day, second = film.day, film.second
    return (int(film.patient), day is None, day or date.min, second is None, second or 0.0, film.row)

"""What a row of a training or evaluation file must be, rule by rule; and what many rows must be together.

Every rule is looked at, also where an earlier one is broken. A fault is (kind, reason); the reason says what is wrong
in the row's own words (roles, numbers, positions) and quotes neither report nor identifier. Rules here look at rows
alone, never at an image file.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from engine.datasets import layouts
from engine.datasets.layouts import Said
from engine.datasets.libra import IMAGE_TEXT, Question, TrainingSample
from engine.datasets.rows import Form

Found = tuple[str, str]
Case = TrainingSample | Question

LONGEST_WORDS = 1000
"""Words of a whole conversation from which it may be longer than 2048 tokens, the length published models were
trained with: report English has 1.5 to 2 tokens a word."""

REPEATED_ROWS = 20
REPEATED_SHARE = 0.05
REPEATED_WORDS = 5
"""An answer of so many words is repeated too often when so many rows, and this share of all, have it."""

_SEXES = ("M", "F", "O", "")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:(?!\\)")
_CURRENT_DATE = ("date", "study_date", "StudyDate")
_PRIOR_DATE = ("prior_date", "prior_study_date", "PriorStudyDate")


def of_row(row: object, form: Form) -> Iterator[Found]:
    """Everything that is wrong with one row by itself."""
    if not isinstance(row, dict):
        yield "not-an-object", "the row is not an object with keys"
        return
    key = "id" if form == "training" else "question_id"
    if not identity(row, form):
        yield "no-id", f"'{key}' is missing, or neither a text nor a number"
    if form == "training":
        said = layouts.read(row)
        yield from _images(said.images, said.layout.images)
        yield from said.refused()
        yield from _conversation(said)
    else:
        yield from _images(row.get("image"))
        yield from _question(row)
    yield from _about(row)


def identity(row: Mapping[str, Any], form: Form) -> str:
    """The row's id as text; "" where it has none that can be used."""
    value = row.get("id" if form == "training" else "question_id")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _images(value: object, key: str = "image") -> Iterator[Found]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        yield "no-image", f"'{key}' is missing; it is a path, or a list of current and prior"
        return
    if len(names) > 2:
        yield "too-many-images", f"{len(names)} images; there can be a current one and a prior"
    for name in names:
        if not isinstance(name, str) or not name:
            yield "no-image", f"'{key}' holds something that is not a path"
        elif _SCHEME.match(name):
            yield "image-path", "the image is an address; images must be files"
        elif "\0" in name:
            yield "image-path", "the image's name holds a null character"
        elif ".." in Path(name).parts and not Path(name).is_absolute():
            yield "image-path", "the image's path climbs out of its folder with '..'"


def image_names(row: object) -> tuple[str, ...]:
    """The images that a row of any form names, as far as they are texts; how many it names tells whether all are."""
    value = layouts.read(row).images if isinstance(row, dict) else None
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(name for name in names if isinstance(name, str))


def image_paths(row: object, folder: Path) -> tuple[Path, ...]:
    """The images of a row whose names can be used, whatever else is wrong with it; () for any other."""
    value = layouts.read(row).images if isinstance(row, dict) else None
    if any(_images(value)):
        return ()
    return tuple(folder / name for name in image_names(row))


def _conversation(said: Said) -> Iterator[Found]:
    layout, turns = said.layout, said.turns
    if not isinstance(turns, list) or not turns:
        yield "no-conversation", f"'{layout.messages}' is missing or empty"
        return
    roles = layout.user, layout.assistant
    speakers = [turn.get(layout.role) if isinstance(turn, dict) else None for turn in turns]
    if speakers[0] != layout.user:
        yield "first-turn", f"the first turn is from {_named(speakers[0])}, and must be from '{layout.user}'"
    for number, speaker in enumerate(speakers[1:], 2):
        expected = roles[(number - 1) % 2]
        if speaker not in roles:
            both = f"'{layout.user}' and '{layout.assistant}'"
            yield "roles", f"turn {number} is from {_named(speaker)}; the roles are {both}, in turns"
        elif speaker != expected:
            yield "roles", f"turn {number} is from '{speaker}' and must be from '{expected}'"
    if layout.assistant not in speakers:
        yield "no-answer", f"no turn is from '{layout.assistant}': there is nothing to learn"
    elif len(turns) % 2:
        yield "no-answer", "the last question has no answer"
    yield from _values(turns, said)


def _values(turns: Sequence[object], said: Said) -> Iterator[Found]:
    layout = said.layout
    for number, turn in enumerate(turns, 1):
        value = turn.get(layout.content) if isinstance(turn, dict) else None
        kind, what = ("empty-question", "question") if number % 2 else ("empty-answer", "answer")
        if not isinstance(value, str):
            yield kind, f"turn {number} has no text"
            continue
        if not value.strip():
            yield kind, f"the {what} in turn {number} is empty"
        if number == 1:
            yield from _first_marks(value, said)
        elif IMAGE_TEXT in value:
            yield "image-marks", f"turn {number} holds {IMAGE_TEXT}; only the first turn may"
        if layout.each and any(mark in value for mark in layouts.MEDIA):
            yield "media", f"turn {number} holds {' or '.join(layouts.MEDIA)}"


def _first_marks(value: str, said: Said) -> Iterator[Found]:
    """Whether the first turn holds as many <image> as its layout wants."""
    marks, images = value.count(IMAGE_TEXT), said.images if isinstance(said.images, list) else [said.images]
    if not said.layout.each:
        if marks != 1:
            both = "; one stands for current and prior" if marks == 2 else ""
            yield "image-marks", f"the first turn holds {marks} {IMAGE_TEXT} and must hold one{both}"
    elif marks != len(images):
        yield "image-marks", f"the first turn holds {marks} {IMAGE_TEXT} for {len(images)} images; each has one"
    elif marks:
        try:
            layouts.question(value)
        except ValueError as fault:
            yield "image-marks", str(fault)


def _named(speaker: object) -> str:
    return f"'{speaker[:20]}'" if isinstance(speaker, str) else "nobody"


def _question(row: Mapping[str, Any]) -> Iterator[Found]:
    text, reference = row.get("text"), row.get("reference")
    if not isinstance(text, str) or not text.strip():
        yield "empty-question", "'text', the question, is missing or empty"
    if reference is None:
        return
    if not isinstance(reference, str):
        yield "bad-value", "'reference' is not a text"
    elif not reference.strip():
        yield "empty-reference", "'reference' is empty: nothing can be scored against it"


def _about(row: Mapping[str, Any]) -> Iterator[Found]:
    for keys in (("patient", "subject_id"), ("study", "study_id"), ("view", "ViewPosition"), ("sex",), ("age",)):
        value = _first(row, keys)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            yield "bad-value", f"'{keys[0]}' is neither a text nor a number"
    for key in ("question_type", "answer_type"):
        if row.get(key) is not None and not isinstance(row[key], str):
            yield "bad-value", f"'{key}' is not a text"
    sex, age = row.get("sex"), row.get("age")
    if isinstance(sex, str) and sex.strip().upper()[:1] not in _SEXES:
        yield "odd-value", "'sex' is none of M, F and O"
    if isinstance(age, str | int | float) and not isinstance(age, bool) and str(age).strip():
        try:
            years = float(age)
        except ValueError:
            yield "bad-value", "'age' is not a number of years"
            return
        if not math.isfinite(years):
            yield "bad-value", "'age' is not a number of years"
        elif not 0 <= years <= 120:
            yield "odd-value", "'age' is not an age in years"


def _first(row: Mapping[str, Any], keys: Iterable[str]) -> object:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def words(case: Case) -> int:
    """Words of the whole conversation."""
    texts = (text for turn in case.turns for text in turn) if isinstance(case, TrainingSample) else (case.text,)
    return sum(len(text.split()) for text in texts)


def answers(case: Case) -> tuple[str, ...]:
    """What is said about the images: the answers of a sample, the reference of a question where there is one."""
    if isinstance(case, TrainingSample):
        return tuple(answer for _, answer in case.turns)
    return (case.reference,) if case.reference else ()


def plain(text: str) -> str:
    """Words alone, lower case: two answers that differ in white space and marks are the same."""
    return " ".join(re.findall(r"\w+", text.casefold()))


@dataclass(frozen=True)
class Dated:
    """A row's number, its case, and the dates it states of its current image and its prior."""

    number: int
    case: Case
    current: date | None = None
    prior: date | None = None


def dates(row: Mapping[str, Any]) -> tuple[date | None, date | None]:
    """When current and prior were made, where the row says so (``date``, ``prior_date`` or MIMIC's ``StudyDate``)."""
    return _date(_first(row, _CURRENT_DATE)), _date(_first(row, _PRIOR_DATE))


def _date(value: object) -> date | None:
    match = re.match(r"(\d{4})-?(\d{2})-?(\d{2})", str(value)) if isinstance(value, str | int) else None
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def of_rows(rows: Sequence[Dated], same: Mapping[Path, Path]) -> Iterator[tuple[int, str, str]]:
    """Everything that is wrong between rows: (row, kind, reason). ``same`` joins images that are the same."""
    yield from _patients(rows)
    yield from _shared_images(rows, same)
    yield from _order(rows, same)
    yield from _repeated(rows)


def _patients(rows: Sequence[Dated]) -> Iterator[tuple[int, str, str]]:
    nameless = sum(not row.case.about.patient for row in rows)
    if nameless:
        some = "no row names" if nameless == len(rows) else f"{nameless} of {len(rows)} rows do not name"
        yield 0, "no-patient", f"{some} the patient: splitting and leakage by patient cannot be checked for them"
    first: dict[str, tuple[int, str]] = {}
    told: set[str] = set()
    for row in rows:
        about = row.case.about
        if about.patient and about.sex in ("M", "F"):
            number, sex = first.setdefault(about.patient, (row.number, about.sex))
            if sex != about.sex and about.patient not in told:
                told.add(about.patient)
                yield row.number, "two-sexes", f"the patient of row {number}, there with another sex"


def _shared_images(rows: Sequence[Dated], same: Mapping[Path, Path]) -> Iterator[tuple[int, str, str]]:
    owner: dict[Path, tuple[int, str]] = {}
    told: set[tuple[Path, str]] = set()
    for row in rows:
        images = [same.get(image, image) for image in row.case.images]
        if len(images) == 2 and images[0] == images[1]:
            yield row.number, "same-image", "current and prior are the same image: there is nothing to compare"
        patient = row.case.about.patient
        for image in dict.fromkeys(images) if patient else ():
            number, other = owner.setdefault(image, (row.number, patient))
            if other != patient and (image, patient) not in told:
                told.add((image, patient))
                yield row.number, "image-of-two", f"an image of row {number}, there of another patient"


def _order(rows: Sequence[Dated], same: Mapping[Path, Path]) -> Iterator[tuple[int, str, str]]:
    made: dict[Path, date] = {}
    for row in rows:
        for image, when in zip(row.case.images, (row.current, row.prior), strict=False):
            if when is not None:
                made.setdefault(same.get(image, image), when)
    for row in rows:
        if len(row.case.images) < 2:
            continue
        elsewhere = [made.get(same.get(image, image)) for image in row.case.images]
        current, prior = row.current or elsewhere[0], row.prior or elsewhere[1]
        if current is not None and prior is not None and prior > current:
            yield row.number, "prior-after", "the prior was made after the current image"


def _repeated(rows: Sequence[Dated]) -> Iterator[tuple[int, str, str]]:
    places: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for answer in {plain(text) for text in answers(row.case)}:
            places[answer].append(row.number)
    often = max(REPEATED_ROWS, math.ceil(REPEATED_SHARE * len(rows)))
    counts = Counter({answer: len(found) for answer, found in places.items()})
    for answer, count in counts.most_common():
        if count < often:
            return
        if len(answer.split()) >= REPEATED_WORDS:
            share = f"{100 * count / len(rows):.0f} %"
            yield places[answer][0], "answer-repeated", f"{count} rows ({share}) have the same answer as this one"

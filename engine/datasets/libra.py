"""Libra's data files: training samples (JSON or JSON Lines), questions and answers (JSON Lines).

    [{"id", "image": path | [current, prior], "conversations": [{"from": "human" | "gpt", "value"}, ...]}]
    {"question_id", "image": path | [current, prior], "text", "reference"?}
    {"question_id", "prompt", "text", "answer_id", "model_id", "metadata"}

Samples and questions may also say whom they are about: "patient", "study", "view", "sex", "age" (`About`), of what
kind the question is ("question_type"), whether its answer is open or closed ("answer_type") and what was reported of
the prior ("prior_report"). Libra's own code passes over these keys.

Training files in LLaMA-Factory's sharegpt and alpaca forms are read as well (`layouts`), and everything that reads
samples takes them. Their <image> are put before the first question, one for all images, as Libra has it.

Everything wrong in a file is reported at once, row by row (`DatasetError.rows`); what is returned is valid. Image paths
are relative to a folder of the caller's choice (by default the file's own) and never leave it; addresses are refused.
This module opens no image and knows no model.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.datasets import layouts
from engine.datasets.layouts import Layout
from engine.errors import DatasetError

IMAGE_TEXT = layouts.IMAGE_TEXT
MARKER = f"{IMAGE_TEXT}\n"
"""How the first question of a training sample begins."""

FINDINGS = "Provide a detailed description of the findings in the radiology image."
"""Libra's question for the findings, and what a draft is asked for; sets that are made here teach it."""

IN_CHINESE = "请用简体中文书写。"
"""What a draft in Chinese is asked for besides, on a line of its own."""

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
Row = TypeVar("Row")


@dataclass(frozen=True)
class About:
    """Whom and what a row is about, as far as the file says; "" and None where it does not.

    Attributes:
        patient, study: pseudonymous identifiers; what is split and resampled goes by ``patient``.
        view: of the current image, as DICOM's View Position (PA, AP, LATERAL, ...).
        sex: "M", "F" or "O", as DICOM's Patient's Sex.
        age: in years at the time of the current image.
    """

    patient: str = ""
    study: str = ""
    view: str = ""
    sex: str = ""
    age: float | None = None

    def keys(self) -> dict[str, Any]:
        """What is known, by the keys it is written under."""
        return {name: value for name, value in vars(self).items() if value not in ("", None)}


UNSAID = About()


@dataclass(frozen=True)
class TrainingSample:
    """One conversation about one image or two (current, then prior). ``turns`` are (question, answer) pairs.

    ``kind`` is what sort of question it is, as its data set names it, ``prior_report`` what was reported of the prior,
    ``form`` its "answer_type"; "" where that is not said.
    """

    id: str
    images: tuple[Path, ...]
    turns: tuple[tuple[str, str], ...]
    about: About = UNSAID
    kind: str = ""
    prior_report: str = ""
    form: str = ""


@dataclass(frozen=True)
class Question:
    """One evaluation question about one image or two.

    ``reference`` is the true answer where the file has one; ``form`` is its "answer_type" as it stands ("CLOSED").
    """

    id: str
    images: tuple[Path, ...]
    text: str
    reference: str | None = None
    about: About = UNSAID
    kind: str = ""
    prior_report: str = ""
    form: str = ""


@dataclass(frozen=True)
class Reference:
    """The true text of one study.

    ``has_prior`` is None where the file does not say; ``kind`` and ``form`` are the question's. ``question`` is its
    text and ``image`` the name of its (current) image, "" where the file holds answers alone.
    """

    text: str
    about: About = UNSAID
    has_prior: bool | None = None
    kind: str = ""
    form: str = ""
    question: str = ""
    image: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer as evaluation writes it.

    ``metadata`` is free; scores read ``prior`` from it: what the model was shown, "true", "dummy" (the current image
    again) or "none".
    """

    question_id: str
    prompt: str
    text: str
    answer_id: str
    model_id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """The answer as one line of JSON, keys in Libra's order, with its line end."""
        return (
            json.dumps(
                {
                    "question_id": self.question_id,
                    "prompt": self.prompt,
                    "text": self.text,
                    "answer_id": self.answer_id,
                    "model_id": self.model_id,
                    "metadata": dict(self.metadata),
                },
                ensure_ascii=False,
            )
            + "\n"
        )


def read_training(
    file: Path,
    images: Path | None = None,
    *,
    layout: Layout | None = None,
    system: layouts.Settled = "refuse",
) -> list[TrainingSample]:
    """The samples of a training or validation file, in its order; those of LLaMA-Factory's forms may lack an id.

    Args:
        file: a JSON list of samples, or one sample a line where its name ends in ".jsonl".
        images: the folder image paths are relative to; the file's own folder if None.
        layout: the names its rows use, where they are known; else each row tells its own.
        system: what becomes of system messages.

    Raises:
        DatasetError: the file is not such a list, or some of its rows break the format (all of them are named).
    """
    folder = images or file.parent
    rows = _lines(file) if file.suffix.lower() == ".jsonl" else enumerate(_listed(file), 1)
    named = ((number, layouts.settled(layouts.identified(row, number, layout), layout, system)) for number, row in rows)
    return _collect(file, named, lambda row: as_sample(row, folder, layout), lambda sample: sample.id)


def read_questions(file: Path, images: Path | None = None) -> list[Question]:
    """The questions of an evaluation file, in its order. Arguments and errors as for `read_training`."""
    folder = images or file.parent
    return _collect(file, _lines(file), lambda row: as_question(row, folder), lambda question: question.id)


def read_references(file: Path) -> dict[str, Reference]:
    """Question id -> true text, from a question file or from an answer file that serves as reference.

    Libra keeps the truth under ``reference`` beside the question, or under ``text`` in a file of its own: ``reference``
    is taken where a row has it, else ``text``. A row may name its ``patient`` (or ``subject_id``).

    Raises:
        DatasetError: rows without an id or a text, ids given twice.
    """
    return dict(_collect(file, _lines(file), _reference, lambda pair: pair[0]))


def read_answers(file: Path) -> dict[str, Answer]:
    """Question id -> answer. ``prompt``, ``answer_id``, ``model_id`` and ``metadata`` may be missing.

    Raises:
        DatasetError: rows without an id or a text, or ids answered twice.
    """
    answers = _collect(file, _lines(file), _answer, lambda answer: answer.question_id)
    return {answer.question_id: answer for answer in answers}


def write_training(file: Path, samples: Iterable[TrainingSample], *, relative_to: Path | None = None) -> None:
    """Write a training file; image paths are written relative to ``relative_to`` (the file's folder by default)."""
    folder = relative_to or file.parent
    document = [training_row(sample, folder) for sample in samples]
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_questions(file: Path, questions: Iterable[Question], *, relative_to: Path | None = None) -> None:
    """Write an evaluation file, one question a line; paths as in `write_training`."""
    folder = relative_to or file.parent
    with file.open("w", encoding="utf-8") as stream:
        for question in questions:
            stream.write(json.dumps(question_row(question, folder), ensure_ascii=False) + "\n")


def training_row(sample: TrainingSample, folder: Path) -> dict[str, Any]:
    """A sample as an object of a training file, its images relative to ``folder``."""
    conversation = [
        {"from": speaker, "value": value}
        for turn in sample.turns
        for speaker, value in zip(("human", "gpt"), turn, strict=True)
    ]
    names = image_names(sample.images, folder)
    row = {"id": sample.id, "image": names[0] if len(names) == 1 else names, "conversations": conversation}
    return row | further_keys(sample)


def question_row(question: Question, folder: Path) -> dict[str, Any]:
    """A question as an object of an evaluation file, its images relative to ``folder``."""
    names = image_names(question.images, folder)
    row: dict[str, Any] = {
        "question_id": question.id,
        "image": names[0] if len(names) == 1 else names,
        "text": question.text,
    }
    if question.reference is not None:
        row["reference"] = question.reference
    return row | further_keys(question)


def image_names(images: Sequence[Path], folder: Path) -> list[str]:
    """Images as files name them: relative to ``folder``, with slashes."""
    return [os.path.relpath(image, folder).replace(os.sep, "/") for image in images]


def further_keys(row: TrainingSample | Question) -> dict[str, Any]:
    """The keys that a row has only where something is said under them."""
    said = (("answer_type", row.form), ("question_type", row.kind), ("prior_report", row.prior_report))
    return row.about.keys() | {key: text for key, text in said if text}


def _listed(file: Path) -> list[object]:
    """The rows of a JSON file that holds a list."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as cause:
        raise DatasetError(f"'{file.name}' is not a JSON file.") from cause
    if not isinstance(document, list):
        raise DatasetError(f"'{file.name}' must hold a list of samples.")
    return document


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    """(line number, parsed row) of a JSON Lines file; a line that is no JSON is given as the error it raised."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DatasetError(f"'{file.name}' is not a text file in UTF-8.") from cause
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                yield number, error


def _collect(
    file: Path,
    rows: Iterable[tuple[int, object]],
    read: Callable[[object], Row],
    identity: Callable[[Row], str],
) -> list[Row]:
    """Read every row, gather every fault, and refuse ids that appear twice."""
    found: list[Row] = []
    seen: dict[str, int] = {}
    faults: list[tuple[int, str]] = []
    for number, row in rows:
        try:
            if isinstance(row, Exception):
                raise ValueError("not a line of JSON")
            value = read(row)
            name = identity(value)
            if name in seen:
                raise ValueError(f"the id of row {seen[name]} again")
            seen[name] = number
            found.append(value)
        except ValueError as fault:
            faults.append((number, str(fault)))
    if faults:
        raise DatasetError(f"{len(faults)} of the rows of '{file.name}' cannot be used.", tuple(faults))
    if not found:
        raise DatasetError(f"'{file.name}' holds no rows.")
    return found


def _object(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("not an object")
    return row


def _identity(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"'{key}' is missing")
    return str(value)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'{key}' must be a text")
    return value


def _images(value: object, folder: Path, key: str = "image") -> tuple[Path, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not 1 <= len(names) <= 2 or not all(map(_named, names)):
        raise ValueError(f"'{key}' must be a path or a list of one or two paths")
    return tuple(inside(folder, name) for name in names)


def inside(folder: Path, name: str) -> Path:
    """The path of an image below ``folder``; absolute ones are as they are. ValueError for addresses and climbing."""
    if _SCHEME.match(name) and not re.match(r"^[A-Za-z]:[\\/]", name):
        raise ValueError("an image must be a file, not an address")
    if "\0" in name:
        raise ValueError("an image name with a null character")
    path = Path(name)
    if path.is_absolute():
        return path
    if ".." in path.parts:
        raise ValueError("an image path must not climb out of its folder")
    return folder / path


def _about(record: Mapping[str, Any]) -> About:
    """Whom a row is about; MIMIC-CXR's own names of the keys are understood as well."""

    def said(*keys: str) -> str:
        value = next((record[key] for key in keys if record.get(key) is not None), "")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"'{keys[0]}' must be a text or a number")
        return str(value).strip()

    age = said("age")
    try:
        years = float(age) if age else None
    except ValueError:
        raise ValueError("'age' must be a number of years") from None
    return About(
        patient=said("patient", "subject_id"),
        study=said("study", "study_id"),
        view=said("view", "ViewPosition").upper(),
        sex=said("sex").upper()[:1],
        age=years,
    )


def _prior_report(record: Mapping[str, Any]) -> str:
    return _optional(record, "prior_report").strip()


def _kind(record: Mapping[str, Any]) -> str:
    return _optional(record, "question_type")


def _optional(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"'{key}' must be a text")
    return value or ""


def as_sample(row: object, folder: Path, layout: Layout | None = None) -> TrainingSample:
    """The sample that a parsed row states, its images below ``folder``. Raises ValueError with the first fault."""
    record = _object(row)
    said = layouts.read(record, layout)
    layout, turns = said.layout, said.turns
    for _, reason in said.refused():
        raise ValueError(reason)
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise ValueError(f"'{layout.messages}' must be pairs of a {layout.user} and a {layout.assistant} turn")
    values: list[str] = []
    for position, turn in enumerate(turns):
        speaker = (layout.user, layout.assistant)[position % 2]
        if not isinstance(turn, dict) or turn.get(layout.role) != speaker:
            raise ValueError(f"turn {position + 1} must be from '{speaker}'")
        values.append(_text(turn, layout.content))
    images = _images(said.images, folder, layout.images)
    marks = layout.marks(len(images))
    if values[0].count(IMAGE_TEXT) != marks or any(IMAGE_TEXT in value for value in values[1:]):
        raise ValueError(f"the first {layout.user} turn, and only it, must hold {_marks(marks, layout)}")
    if layout.each:
        if any(mark in value for mark in layouts.MEDIA for value in values):
            raise ValueError(f"a turn holds {' or '.join(layouts.MEDIA)}")
        values[0] = MARKER + layouts.question(values[0])
    pairs = tuple(zip(values[::2], values[1::2], strict=True))
    further = _about(record), _kind(record), _prior_report(record), _optional(record, "answer_type")
    return TrainingSample(_identity(record, "id"), images, pairs, *further)


def _marks(marks: int, layout: Layout) -> str:
    return f"{marks} {IMAGE_TEXT}, one for each image" if layout.each else f"one {IMAGE_TEXT}"


def as_question(row: object, folder: Path) -> Question:
    """The question that a parsed row states, its images below ``folder``. Raises ValueError with the first fault."""
    record = _object(row)
    reference = record.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise ValueError("'reference' must be a text")
    identity, text = _identity(record, "question_id"), _text(record, "text")
    said = _about(record), _kind(record), _prior_report(record), _optional(record, "answer_type")
    return Question(identity, _images(record.get("image"), folder), text, reference, *said)


def _reference(row: object) -> tuple[str, Reference]:
    record = _object(row)
    text = record.get("reference", record.get("text"))
    if not isinstance(text, str):
        raise ValueError("neither 'reference' nor 'text' holds a text")
    image = record.get("image")
    pair = None if image is None else isinstance(image, list) and len(image) == 2 and image[0] != image[1]
    question = record.get("text") if "reference" in record else ""
    current = image[0] if isinstance(image, list) and image else image
    asked = [value if isinstance(value, str) else "" for value in (question, current)]
    said = _kind(record), _optional(record, "answer_type"), *asked
    return _identity(record, "question_id"), Reference(text, _about(record), pair, *said)


def _answer(row: object) -> Answer:
    record = _object(row)
    text = record.get("text")
    if not isinstance(text, str):
        raise ValueError("'text' must be a text")
    metadata = record.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError("'metadata' must be an object")
    identity = _identity(record, "question_id")
    words = {key: str(record.get(key) or "") for key in ("prompt", "answer_id", "model_id")}
    return Answer(identity, words["prompt"], text, words["answer_id"], words["model_id"], metadata or {})


def _named(name: object) -> bool:
    return isinstance(name, str) and name != ""

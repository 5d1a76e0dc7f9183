"""Questions about MIMIC-CXR's images made into Libra's files: Medical-Diff-VQA and MIMIC-CXR-VQA.

    mimic_pair_questions.csv   study_id, subject_id, ref_id, question_type, question, answer, split
    train.json, valid.json, test.json   [{"split", "subject_id", "study_id", "image_id", "question", "semantic_type",
                               "content_type", "answer": ["yes"] | ["effusion", "edema"] | [], ...}, ...]

Medical-Diff-VQA names studies. A difference question gets the image of the study and that of its reference study; all
others get one image. Which image stands for a study is said by ``mimic_all.csv``, which comes with the data set, or
found in MIMIC-CXR-JPG's metadata by the rule it was made with: the first frontal image, else the first. MIMIC-CXR-VQA
names images. An empty answer there is "no" to a question that asks whether, else "none"; several are joined by commas.

The kind of a question is kept: "difference", "presence", ... or "verify/presence", "query/anatomy", ... Rows are read
one by one. What breaks the format is refused with its row; what is not there is counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.datasets.json_list import is_list, read_list
from engine.datasets.libra import IMAGE_TEXT, MARKER, About, TrainingSample
from engine.datasets.mimic.tables import FRONTAL, folder_of, is_dicom, root, split_name, view_of
from engine.datasets.split_files import SplitFiles, Tally
from engine.datasets.tables import Faults, Told, read_rows, whole_number
from engine.datasets.turns import MIXED, MOST
from engine.errors import DatasetError, InputError, UsageError

DIFFERENCE = "difference"

_MEGABYTE = 1_000_000

READ = "questions read"
NO_STUDY = "left out: study not in the table of studies"
NO_REFERENCE = "left out: reference study not in the table of studies"
NO_IMAGE = "left out: image file missing"
NO_ANSWER = "left out: no answer"
MARKED = "left out: text holds <image>"
WRITTEN = "questions written"
SAMPLES = "  in samples"
PAIRED = "  with two images"
MIXED_PATIENTS = "note: patients in more than one split"
ORDER = (READ, NO_STUDY, NO_REFERENCE, NO_IMAGE, NO_ANSWER, MARKED, MIXED_PATIENTS, WRITTEN, PAIRED, SAMPLES)
"""The ends a question can come to, in the order of the table; the kinds follow."""


@dataclass(frozen=True, slots=True)
class StudyImage:
    """The image that stands for a study. ``name`` is its path without its ending."""

    name: str
    patient: str
    view: str


@dataclass(frozen=True)
class Studies:
    """The image of each study, and the view of every image, as far as a table says."""

    images: Mapping[str, StudyImage]
    views: Mapping[str, str]


@dataclass(frozen=True)
class Converted:
    """What came of it: the counts, and all that ``preparation.json`` holds."""

    tally: Tally
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class _Asked:
    """One question as its data set has it. ``images`` are paths without ending; ``missing`` says why there are none."""

    id: str
    split: str
    about: About
    images: tuple[str, ...]
    question: str
    answer: str
    kind: str
    missing: str = ""


def convert(
    questions: Iterable[Path],
    images: Path,
    output: Path,
    *,
    studies: Path | None = None,
    turns: int = 1,
    ending: str = ".jpg",
    progress: Told | None = None,
) -> Converted:
    """Write train.json, validate.json, test.jsonl and preparation.json into ``output``.

    Args:
        questions: files of either data set; a list in JSON is MIMIC-CXR-VQA, a table Medical-Diff-VQA.
        images: the folder of MIMIC-CXR-JPG, which holds ``files``.
        output: a folder without such files.
        studies: ``mimic_all.csv`` or the metadata table; by default looked for beside the questions and in ``images``.
        turns: up to so many questions about the same images become one training sample; test questions stay single.
        ending: of the image files.
        progress: called with the megabytes of the files read and their total.

    Raises:
        DatasetError: files that cannot be used (all rows are listed), nothing to write.
        InputError: no images in their folder.
        UsageError: two files of one name, a number of turns, an output folder that holds such files.
    """
    files = list(questions)
    if not 1 <= turns <= MOST:
        raise UsageError(f"The number of turns must lie between 1 and {MOST}.")
    if len({_stem(file) for file in files}) != len(files):
        raise UsageError("Two files of questions have the same name: their questions could not be told apart.")
    folder = root(images)
    if not (folder / "files").is_dir():
        raise InputError(f"'{images.name}' holds no folder 'files' with images.")
    lists = {file: is_list(file) for file in files}
    table = studies or _table_beside([file.parent for file in files], folder)
    if table is None and not all(lists.values()):
        raise UsageError("Name the table that says which image stands for a study: mimic_all.csv, with --studies.")
    known = read_studies(table) if table else Studies({}, {})
    tally = Tally()
    with SplitFiles(output, folder) as out:
        writer = _Writer(out, folder, ending, turns, tally)
        told = _Megabytes(files, progress)
        for file in files:
            faults = Faults(file)
            read = _read_list_questions if lists[file] else _read_pair_questions
            for asked in read(file, known, faults, told):
                writer.take(asked)
            faults.settle()
            told.next()
        writer.finish()
        if not tally.of(WRITTEN):
            raise DatasetError(f"None of the questions can be used:\n{tally.table(ORDER)}")
        choice = {"turns": turns, "ending": ending}
        summary = out.summarise([*files, *([table] if table else [])], choice, tally)
    return Converted(tally, summary)


def read_studies(file: Path) -> Studies:
    """Which image stands for each study: the first frontal one, else the first.

    Raises:
        DatasetError: no such table, or rows without identifiers; all are listed.
    """
    faults = Faults(file)
    images: dict[str, StudyImage] = {}
    views: dict[str, str] = {}
    optional = ("ViewPosition", "ViewCodeSequence_CodeMeaning", "view")
    for number, values in read_rows(file, ("study_id", "subject_id", "dicom_id"), faults, optional=optional):
        study, patient, dicom, position, code, view = values
        study, patient = whole_number(study), whole_number(patient)
        if not study or not patient or not is_dicom(dicom):
            faults.add(number, "study_id, subject_id or dicom_id is missing or no identifier")
            continue
        views[dicom] = view_of(position, code or view)
        before = images.get(study)
        if before is None or (before.view not in FRONTAL and views[dicom] in FRONTAL):
            images[study] = StudyImage(f"{folder_of(patient)}/s{study}/{dicom}", patient, views[dicom])
    faults.settle()
    return Studies(images, views)


def _stem(file: Path) -> str:
    return file.name.split(".")[0]


def _table_beside(folders: Iterable[Path], images: Path) -> Path | None:
    for folder in folders:
        for name in ("mimic_all.csv", "mimic_all.csv.gz"):
            if (folder / name).is_file():
                return folder / name
    found = sorted(images.glob("mimic-cxr-*-metadata.csv*"))
    return found[-1] if found else None


def _read_pair_questions(file: Path, studies: Studies, faults: Faults, told: Told) -> Iterator[_Asked]:
    """The questions of Medical-Diff-VQA."""
    columns = ("study_id", "ref_id", "question_type", "question", "answer", "split")
    for row, (study, reference, kind, question, answer, split) in read_rows(file, columns, faults, progress=told):
        name, study = split_name(split), whole_number(study)
        wrong = (
            ("study_id is missing or no number", not study),
            ("question is missing", not question),
            ("question_type is missing", not kind),
            ("split is none of train, val, test", not name),
        )
        reasons = [reason for reason, holds in wrong if holds]
        if reasons:
            faults.add(row, ", ".join(reasons))
            continue
        shown = [studies.images.get(study)]
        if kind == DIFFERENCE:
            shown.append(studies.images.get(whole_number(reference)))
        current = shown[0]
        yield _Asked(
            id=f"{_stem(file)}-{row}",
            split=name,
            about=About(current.patient, study, current.view) if current else About(),
            images=tuple(image.name for image in shown if image is not None),
            question=question,
            answer=answer,
            kind=kind,
            missing=NO_STUDY if current is None else NO_REFERENCE if None in shown else "",
        )


def _read_list_questions(file: Path, studies: Studies, faults: Faults, told: Told) -> Iterator[_Asked]:
    """The questions of MIMIC-CXR-VQA."""
    for row, record in read_list(file, faults, told):
        try:
            yield _list_question(f"{_stem(file)}-{row}", record, studies)
        except ValueError as fault:
            faults.add(row, str(fault))


def _list_question(name: str, record: Mapping[str, Any], studies: Studies) -> _Asked:
    def said(key: str) -> str:
        value = record.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise ValueError(f"'{key}' is missing")
        return str(value).strip()

    patient, study, dicom = whole_number(said("subject_id")), whole_number(said("study_id")), said("image_id")
    if not patient or not study or not is_dicom(dicom):
        raise ValueError("'subject_id', 'study_id' or 'image_id' is no identifier")
    split = split_name(said("split"))
    if not split:
        raise ValueError("'split' is none of train, valid, test")
    semantic = said("semantic_type")
    return _Asked(
        id=name,
        split=split,
        about=About(patient, study, studies.views.get(dicom, "")),
        images=(f"{folder_of(patient)}/s{study}/{dicom}",),
        question=said("question"),
        answer=_answer(record.get("answer"), semantic),
        kind=f"{semantic}/{said('content_type')}",
    )


def _answer(value: object, semantic: str) -> str:
    """The words of an answer that is a list, or already a text."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError("'answer' must be a list of texts; the files without answers are not the data set itself")
    if not words:
        return "no" if semantic == "verify" else "none"
    return ", ".join(word.strip() for word in words)


class _Megabytes:
    """Adds up how far several files have been read."""

    def __init__(self, files: list[Path], progress: Told | None) -> None:
        self._sizes = [file.stat().st_size for file in files]
        self._progress, self._current = progress, 0

    def __call__(self, done: int, _: int) -> None:
        if self._progress is not None:
            read = sum(self._sizes[: self._current]) + done
            self._progress(read // _MEGABYTE, sum(self._sizes) // _MEGABYTE)

    def next(self) -> None:
        """The current file has been read."""
        self._current += 1
        self(0, 0)


class _Writer:
    """Writes questions, gathers those about the same images on request, and counts what becomes of each."""

    def __init__(self, files: SplitFiles, folder: Path, ending: str, turns: int, tally: Tally) -> None:
        self._files, self._folder, self._ending, self._turns, self._tally = files, folder, ending, turns, tally
        self._waiting: dict[tuple[str, tuple[str, ...]], list[_Asked]] = {}
        self._there: dict[str, bool] = {}
        self._splits: dict[str, set[str]] = {}

    def take(self, asked: _Asked) -> None:
        """Write a question, or keep it until there are as many about its images as make a sample."""
        split = asked.split
        self._tally.add(READ, split)
        reason = self._reason(asked)
        if reason:
            self._tally.add(reason, split)
            return
        self._tally.add(WRITTEN, split)
        self._tally.add(f"    {asked.kind}", split)
        self._splits.setdefault(asked.about.patient, set()).add(split)
        if len(asked.images) > 1:
            self._tally.add(PAIRED, split)
        if self._turns == 1 or split == "test":
            self._write([asked])
            return
        waiting = self._waiting.setdefault((split, asked.images), [])
        waiting.append(asked)
        if len(waiting) == self._turns:
            self._write(self._waiting.pop((split, asked.images)))

    def finish(self) -> None:
        """Write what still waits for more questions, and say whether the splits share patients."""
        for asked in self._waiting.values():
            self._write(asked)
        self._waiting.clear()
        mixed = sum(len(splits) > 1 for splits in self._splits.values())
        if mixed:
            self._tally.add(MIXED_PATIENTS, count=mixed)

    def _reason(self, asked: _Asked) -> str:
        """Why a question is left out; "" if it is not."""
        if asked.missing:
            return asked.missing
        if not asked.answer:
            return NO_ANSWER
        if IMAGE_TEXT in asked.question + asked.answer:
            return MARKED
        return "" if all(map(self._is_there, asked.images)) else NO_IMAGE

    def _is_there(self, name: str) -> bool:
        # Dozens of questions are asked about an image.
        if name not in self._there:
            self._there[name] = self._path(name).is_file()
        return self._there[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{self._ending}"

    def _write(self, questions: list[_Asked]) -> None:
        first = questions[0]
        turns = [(asked.question, asked.answer) for asked in questions]
        turns[0] = (MARKER + turns[0][0], turns[0][1])
        kinds = {asked.kind for asked in questions}
        sample = TrainingSample(
            id=first.id,
            images=tuple(map(self._path, first.images)),
            turns=tuple(turns),
            about=first.about,
            kind=first.kind if len(kinds) == 1 else MIXED,
        )
        self._tally.add(SAMPLES, first.split)
        self._files.write(first.split, sample)

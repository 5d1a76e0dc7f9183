"""Signed reports as files: a training set in Libra's format, its questions alone, what was changed, and a manifest.

    train.json        question as it was put, answer as it was signed
    questions.jsonl   the same questions without the answers
    changes.jsonl     row by row what was changed, and dates, moved
    manifest.json     how many, what was left out and why, what was taken away, corrections by model
    images/*.png      8 bits, as the viewer shows them and the models see them

The folder appears whole or not at all. Which row is which report is in `Made` alone: that belongs to the history.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine import paths
from engine.datasets.libra import IMAGE_TEXT, About, Question, TrainingSample, write_questions, write_training
from engine.datasets.signed.burned_in import text_lines
from engine.datasets.signed.corrections import tallied
from engine.datasets.signed.history import Choice, LeftOut, Signed, age_at, signed_reports
from engine.datasets.signed.patterns import OLDEST
from engine.datasets.signed.pseudonyms import Pseudonyms
from engine.datasets.signed.questions import question
from engine.datasets.signed.residue import left
from engine.datasets.signed.scrubbing import Scrubbed, scrub
from engine.drafting.question import INSTRUCTIONS, OWN_WORDING
from engine.errors import DatasetError, RecordsError, UnreadableFile, UsageError
from engine.imaging import Reader, to_pil
from engine.records import Records, StoredImage

FORMAT = "interval-from-signed-1"

NO_IMAGE = "an image can no longer be read"
NO_ANSWER = "nothing is left of its text"
BURNED_IN = "there may be text in an image"
REMAINS = "it would still hold"
NOT_ENGLISH = "its words are not English, and dates and names are only told in English"

METHOD = (
    "Patients, studies, images and rows are called by keyed hashes (HMAC-SHA-256) whose key stays with the history. "
    "Dates that can be read for certain are moved by one number of days for each patient, all others are taken away. "
    f"Names, identifiers and what is written like them became '___'; ages from {OLDEST} on are {OLDEST}. Rows in which "
    "something known of the patient was left were not written, nor were texts in other scripts than Latin. Images are "
    "pixels alone, without headers. This is not a proof that nobody can be recognised: read it before it "
    "leaves the hospital."
)

_HEADERS = r"FINDINGS|IMPRESSION|INDICATION|HISTORY|COMPARISON|TECHNIQUE|CONCLUSION|RECOMMENDATION"
_HEADER = re.compile(rf"(?<!\w)({_HEADERS}|{_HEADERS.title()})S?\s*:\s*")
_GREEK_SIGN = re.compile("(?<![\u0370-\u03ff])[\u0370-\u03ff](?![\u0370-\u03ff])")


@dataclass(frozen=True)
class Made:
    """What was written: rows by name, with the report each comes from, and what was left out.

    ``suspected`` are reports whose images may have text in them, whether they were taken or not.
    """

    output: Path
    rows: dict[str, str]
    left_out: tuple[LeftOut, ...]
    suspected: tuple[str, ...]
    manifest: dict[str, Any]


@dataclass
class _Work:
    """What has come together so far."""

    folder: Path
    samples: list[TrainingSample] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    written: list[Signed] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    suspected: list[str] = field(default_factory=list)
    looked: dict[str, tuple[Path, bool]] = field(default_factory=dict)


class _Refused(Exception):
    """A report that does not become a row; the text is the reason."""


def write_set(
    records: Records,
    output: Path,
    choice: Choice,
    *,
    secret: bytes,
    now: datetime,
    application: str,
    progress: Callable[[int, int], None] | None = None,
) -> Made:
    """Write the signed reports of ``records`` into the folder ``output``.

    Args:
        records: a history; opened for reading is enough.
        output: a folder that is not there, or empty.
        choice: which reports.
        secret: of the data folder, see `pseudonyms.load_secret`.
        now: goes into the manifest, as a day.
        application: name and version, for the manifest.
        progress: called with the reports done and their total.

    Raises:
        UsageError: ``output`` is taken.
        DatasetError: no signed report can be used; the message says why.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"'{output.name}' is there already and not empty. Choose another folder.")
    paths.ensure(output.parent)
    names = Pseudonyms(secret)
    left_out: list[LeftOut] = []
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        reader = stack.enter_context(Reader())
        (folder / "images").mkdir()
        work = _Work(folder)
        total, reports = signed_reports(records, choice)
        for done, report in enumerate(reports, 1):
            if isinstance(report, LeftOut):
                left_out.append(report)
            else:
                try:
                    _add(work, report, choice, names, records, reader)
                except _Refused as refused:
                    left_out.append(LeftOut(report.detail.report.id, str(refused)))
            if progress is not None:
                progress(done, total)
        if not work.samples:
            raise DatasetError(_nothing(total, left_out))
        manifest = _finish(work, choice, total, left_out, now, application)
        if output.exists():
            output.rmdir()
        folder.rename(output)
    return Made(output, work.rows, tuple(left_out), tuple(work.suspected), manifest)


def _add(work: _Work, report: Signed, choice: Choice, names: Pseudonyms, records: Records, reader: Reader) -> None:
    """Make one report a row, or raise `_Refused`; nothing is kept of one that is refused."""
    detail, known = report.detail, report.known
    patient = detail.patient
    days = names.days(patient.issuer, patient.id)
    asked = scrub(question(detail), known, days)
    answer = scrub(section_of(report.signature.text, detail.report.section), known, days)
    if _foreign(asked.text) or _foreign(answer.text):
        raise _Refused(NOT_ENGLISH)
    if not re.search(r"\w", answer.text.replace("_", "")):
        raise _Refused(NO_ANSWER)
    remains = left(f"{asked.text}\n{answer.text}", known)
    if remains:
        raise _Refused(f"{REMAINS} {remains[0]}")
    images = [detail.current] + ([detail.prior] if detail.prior is not None else [])
    files = [_image(work, image, choice, names, records, reader, detail.report.id) for image in images]
    name = names.row(detail.report.id)
    work.rows[name] = detail.report.id
    age = age_at(known.born, detail.current.acquired)
    about = About(
        patient=names.patient(patient.issuer, patient.id),
        study=names.study(detail.current.study),
        view="" if detail.current.view == "UNKNOWN" else detail.current.view,
        sex=patient.sex.upper()[:1] if patient.sex.upper()[:1] in ("F", "M", "O") else "",
        age=None if age is None else float(min(age, int(OLDEST))),
    )
    turn = (f"{IMAGE_TEXT}\n{asked.text}", answer.text)
    work.samples.append(TrainingSample(name, tuple(files), (turn,), about))
    work.taken += _sum((asked, answer))
    work.written.append(report)
    work.changes.append(_changes(name, report, timedelta(days=days)))


def _foreign(text: str) -> bool:
    """Whether there is a word of another script than Latin in it, beside those that ask for the language.

    Names of a script whose words nobody here can tell apart would stay unseen. A Greek letter by itself is a sign.
    """
    for wording in (INSTRUCTIONS, *OWN_WORDING.values()):
        for words in wording.values():
            text = text.replace(words, "")
    return any(map(_of_another_script, filter(str.isalpha, _GREEK_SIGN.sub("", text))))


def _of_another_script(letter: str) -> bool:
    return letter > "\xff" and not unicodedata.name(letter, "").startswith("LATIN")


def _sum(texts: Sequence[Scrubbed]) -> Counter[str]:
    return sum((text.taken for text in texts), Counter())


def _image(
    work: _Work, stored: StoredImage, choice: Choice, names: Pseudonyms, records: Records, reader: Reader, report: str
) -> Path:
    """The picture of a stored image in the set, written when it is first needed."""
    if stored.sha256 not in work.looked:
        try:
            image = reader.read(records.image_file(stored.sha256), "image")
        except (UnreadableFile, RecordsError) as cause:
            raise _Refused(NO_IMAGE) from cause
        picture = to_pil(image)
        text = any("burned into" in note for note in image.notes) or bool(text_lines(picture))
        file = work.folder / "images" / f"{names.image(stored.sha256)}.png"
        if choice.burned_in or not text:
            picture.save(file, "PNG")
        work.looked[stored.sha256] = file, text
    file, text = work.looked[stored.sha256]
    if text and report not in work.suspected:
        work.suspected.append(report)
    if text and not choice.burned_in:
        raise _Refused(BURNED_IN)
    return file


def section_of(text: str, section: str) -> str:
    """The section of a signed text: what stands behind its header, up to the next one; all where there are none."""
    pieces = _HEADER.split(text)
    before, rest = pieces[0], list(zip(pieces[1::2], pieces[2::2], strict=True))
    named = [words for header, words in rest if header.casefold() == section]
    return " ".join((named[0] if named else before if rest and before.strip() else text).split())


def _changes(name: str, report: Signed, shift: timedelta) -> dict[str, Any]:
    """What was changed in a row, with the days of its images, moved."""
    detail, made = report.detail, report.correction
    days = [
        (image.acquired + shift).date() if image is not None and image.acquired and image.date_reliable else None
        for image in (detail.current, detail.prior)
    ]
    return {
        "id": name,
        "model": made.model,
        "model_sha256": made.sha256,
        "demonstration": detail.report.demonstration,
        "sentences": asdict(made.sentences),
        "findings": [{"finding": finding, "done": done} for finding, done in made.findings],
        "changes": [{"finding": f, "drafted": before, "signed": after} for f, before, after in made.changes],
        "date": days[0].isoformat() if days[0] else None,
        "prior_date": days[1].isoformat() if days[1] else None,
    }


def _finish(
    work: _Work, choice: Choice, total: int, left_out: Sequence[LeftOut], now: datetime, application: str
) -> dict[str, Any]:
    """Order rows by their names (their order in the history is a date, too), write the files; the manifest."""
    folder = work.folder
    work.samples.sort(key=lambda sample: sample.id)
    work.changes.sort(key=lambda row: str(row["id"]))
    used = {image for sample in work.samples for image in sample.images}
    for file in (folder / "images").iterdir():
        if file not in used:
            file.unlink()
    write_training(folder / "train.json", work.samples)
    write_questions(folder / "questions.jsonl", map(_question, work.samples))
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in work.changes)
    (folder / "changes.jsonl").write_text("".join(lines), encoding="utf-8")
    manifest = {
        "format": FORMAT,
        "made": now.date().isoformat(),
        "application": application,
        "section": choice.section,
        "min_changes": choice.min_changes,
        "signed_since": choice.since.isoformat() if choice.since else None,
        "signed_reports": total,
        "rows": len(work.samples),
        "patients": len({sample.about.patient for sample in work.samples}),
        "images": len(used),
        "with_prior": sum(len(sample.images) == 2 for sample in work.samples),
        "drafted_by_demonstration": sum(report.detail.report.demonstration for report in work.written),
        "left_out": dict(Counter(each.reason for each in left_out).most_common()),
        "images_that_may_hold_text": {"reports": len(work.suspected), "taken": choice.burned_in},
        "taken_from_texts": dict(work.taken.most_common()),
        "corrections": tallied(report.correction for report in work.written),
        "method": METHOD,
        "files": {name: _hash(folder / name) for name in ("train.json", "questions.jsonl", "changes.jsonl")},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _question(sample: TrainingSample) -> Question:
    text = sample.turns[0][0].replace(IMAGE_TEXT, "").strip()
    return Question(sample.id, sample.images, text, None, sample.about)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _nothing(total: int, left_out: Sequence[LeftOut]) -> str:
    if not total:
        return "The history holds no signed report of this time. Sign reports in the viewer first."
    reasons = Counter(each.reason for each in left_out).most_common()
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return f"None of the {total} signed reports can be used: {told}."


def write_key(folder: Path, made: Made, now: datetime) -> Path:
    """Write which row is which report into ``folder``, readable by this user alone; it belongs to the history.

    Returns the file, named after the set and the time.
    """
    document = {
        "set": made.output.name,
        "rows": made.rows,
        "left_out": [asdict(each) for each in made.left_out],
        "may_hold_text": list(made.suspected),
    }
    file = paths.ensure(folder) / f"{made.output.name}-{now:%Y%m%dT%H%M%S}.json"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False, indent=1)
    return file

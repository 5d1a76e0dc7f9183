"""A data file checked before anything runs: every fault of every row at once, with row, kind and reason.

An *error* is a row that cannot be trained on or asked, and with it the whole file: `libra` refuses it, or training
would stop at it. A *warning* is a row that can, and probably should not. What `libra` accepts and what has no error
here are the same rows: each row is also put through its reader.

Images are looked at side by side, their heads and ends; with ``decode`` every pixel is read. What a token is only a
model knows: ``lengths`` may count them, else words are.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.datasets import rules
from engine.datasets.libra import TrainingSample, as_question, as_sample
from engine.datasets.pictures import Look, look
from engine.datasets.rows import Form, read_raw
from engine.datasets.rules import Case, Dated
from engine.datasets.sameness import same_files

Severity = Literal["error", "warning"]

WARNINGS = frozenset(
    "key-twice long-text odd-value empty-reference no-patient two-sexes same-image image-of-two prior-after "
    "answer-repeated image-form".split()
)
"""Kinds of issue that are warnings; all others are errors."""

KINDS: Mapping[str, str] = {
    "format": "not a file of this form",
    "not-utf8": "text that is not UTF-8",
    "not-json": "not JSON",
    "not-an-object": "a row that is no object",
    "no-id": "no id",
    "id-twice": "an id given twice",
    "no-image": "no image named",
    "too-many-images": "more than two images",
    "image-path": "an image path that climbs, or an address",
    "image-missing": "an image that is not there",
    "image-empty": "an empty image file",
    "image-not-an-image": "a file that is no image",
    "image-damaged": "a damaged image",
    "two-patients": "current and prior of two patients",
    "no-conversation": "no conversation",
    "first-turn": "a first turn that is not the human's",
    "roles": "wrong roles",
    "no-answer": "no answer",
    "empty-answer": "an empty answer",
    "empty-question": "an empty question",
    "image-marks": "another number of <image> in the first turn than images",
    "system": "a system message",
    "media": "more than texts and images",
    "bad-value": "a value of the wrong kind",
    "too-long": "longer than the model's limit",
    "image-form": "an image that only our own training reads",
    "key-twice": "a key given twice",
    "long-text": "an overlong text",
    "odd-value": "an odd value",
    "empty-reference": "an empty reference",
    "no-patient": "rows without a patient",
    "two-sexes": "a patient with two sexes",
    "same-image": "the same image as current and prior",
    "image-of-two": "an image of two patients",
    "prior-after": "a prior made after the current image",
    "answer-repeated": "one answer for very many rows",
}
"""Every kind of issue in words, errors first."""


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong. ``row`` counts as `libra` does (0: the file as a whole); ``id`` is "" if it has none."""

    row: int
    id: str
    severity: Severity
    kind: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """A file after checking.

    Attributes:
        rows: of the file, readable or not.
        images: distinct image files it names; ``decoded`` says whether their pixels were read.
        issues: by row.
        cases, numbers: the rows that `libra` can read, and their numbers.
    """

    file: Path
    form: Form
    rows: int
    images: int
    decoded: bool
    issues: tuple[Issue, ...]
    cases: tuple[Case, ...]
    numbers: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(issue.severity == "error" for issue in self.issues)

    def counts(self) -> dict[str, int]:
        """Kind -> how many issues, in the order of `KINDS`."""
        found = Counter(issue.kind for issue in self.issues)
        return {kind: found[kind] for kind in KINDS if kind in found}

    def to_json(self) -> dict[str, Any]:
        """All but the rows themselves as plain values."""
        return {
            "file": str(self.file),
            "form": self.form,
            "rows": self.rows,
            "readable": len(self.cases),
            "images": self.images,
            "decoded": self.decoded,
            "errors": sum(issue.severity == "error" for issue in self.issues),
            "warnings": sum(issue.severity == "warning" for issue in self.issues),
            "counts": self.counts(),
            "issues": [vars(issue) for issue in self.issues],
        }


def check(
    file: Path,
    images: Path | None = None,
    *,
    decode: bool = False,
    lengths: Callable[[TrainingSample], int] | None = None,
    limit: int | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Check a training file (JSON, JSON Lines) or an evaluation file; which one it is, its rows say.

    Args:
        images: folder that image paths are relative to; the file's own if None.
        decode: read every pixel of every image, not only heads and ends.
        lengths: how many tokens a sample has, by the tokenizer of the model that will learn from it.
        limit: the most of them the model takes; longer samples are errors.
        workers: images looked at at once.
        progress: called with the images done and their total.

    Raises:
        OSError: the file itself cannot be read.
    """
    raw = read_raw(file)
    folder = images or file.parent
    found: list[tuple[int, str, str]] = list(raw.faults)
    names: dict[int, str] = {}
    rows: list[Dated] = []
    named: dict[int, tuple[Path, ...]] = {}
    first: dict[str, int] = {}
    for number, row in raw.rows:
        faults = list(rules.of_row(row, raw.form))
        if isinstance(row, dict) and (name := rules.identity(row, raw.form)):
            names[number] = name
            if first.setdefault(name, number) != number:
                faults.append(("id-twice", f"the id of row {first[name]} again"))
        found += [(number, kind, reason) for kind, reason in faults]
        named[number] = rules.image_paths(row, folder)
        try:
            case: Case = as_sample(row, folder) if raw.form == "training" else as_question(row, folder)
        except ValueError as fault:
            if all(kind in WARNINGS for kind, _ in faults):
                found.append((number, "format", str(fault)))
        else:
            current, prior = rules.dates(row) if isinstance(row, dict) else (None, None)
            rows.append(Dated(number, case, current, prior))
    seen = look((image for some in named.values() for image in some), decode=decode, workers=workers, progress=progress)
    rows = [_with_dates(row, seen) for row in rows]
    found += _of_images(named, seen, raw.form)
    found += _of_lengths(rows, lengths, limit)
    found += rules.of_rows(rows, _same(seen))
    issues = (
        Issue(number, names.get(number, ""), "warning" if kind in WARNINGS else "error", kind, reason)
        for number, kind, reason in found
    )
    return Checked(
        file=file,
        form=raw.form,
        rows=len(raw.rows) + sum(kind == "not-json" and number > 0 for number, kind, _ in raw.faults),
        images=len(seen),
        decoded=decode,
        issues=tuple(sorted(issues, key=lambda issue: issue.row)),
        cases=tuple(row.case for row in rows),
        numbers=tuple(row.number for row in rows),
    )


def _same(seen: Mapping[Path, Look]) -> dict[Path, Path]:
    """Images that are the same: by their bytes, and by their pixels where those were read."""
    same = same_files(path for path, found in seen.items() if not found.fault)
    first: dict[str, Path] = {}
    return {
        path: first.setdefault(found.pixels, same[path]) if found.pixels else same.get(path, path)
        for path, found in seen.items()
    }


def _with_dates(row: Dated, seen: Mapping[Path, Look]) -> Dated:
    """What the row itself does not say of its dates, from DICOM files that do."""
    stated = (row.current, row.prior)
    made = [seen[image].acquired for image in row.case.images] + [None]
    current, prior = (said or (when.date() if when else None) for said, when in zip(stated, made[:2], strict=True))
    return Dated(row.number, row.case, current, prior)


def _of_images(
    named: Mapping[int, tuple[Path, ...]], seen: Mapping[Path, Look], form: Form
) -> Iterator[tuple[int, str, str]]:
    for number, images in named.items():
        for role, image in zip(("current", "prior"), images, strict=False):
            found = seen[image]
            which = f"{role} image" if len(images) == 2 else "image"
            if found.fault:
                kind = "image-" + found.fault
                yield number, kind, f"{found.reason.replace('the image', f'the {which}', 1)}: {image.name}"
            elif form == "training" and found.form == "DICOM":
                yield (
                    number,
                    "image-form",
                    f"the {which} is a DICOM file, which LLaMA-Factory does not read: {image.name}",
                )
            elif form == "training" and found.bits > 8:
                yield (
                    number,
                    "image-form",
                    f"the {which} has 16 bits, which LLaMA-Factory cuts off at 255: {image.name}",
                )
        patients = {seen[image].patient for image in images} - {""}
        if len(patients) > 1:
            yield number, "two-patients", "current and prior are DICOM files of two patients"


def _of_lengths(
    rows: list[Dated], lengths: Callable[[TrainingSample], int] | None, limit: int | None
) -> Iterator[tuple[int, str, str]]:
    for row in rows:
        words = rules.words(row.case)
        if lengths is not None and limit is not None and isinstance(row.case, TrainingSample):
            tokens = lengths(row.case)
            if tokens > limit:
                yield row.number, "too-long", f"{tokens} tokens; the model takes {limit}, and the end would be lost"
        elif words > rules.LONGEST_WORDS:
            yield row.number, "long-text", f"{words} words; the end may be cut off in training"


def write_csv(file: Path, checked: Checked) -> None:
    """Write the issues as a table. A cell that a spreadsheet would take for a formula is quoted with an apostrophe."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row", "id", "severity", "kind", "reason"])
        for issue in checked.issues:
            writer.writerow([issue.row, _safe(issue.id), issue.severity, issue.kind, _safe(issue.reason)])


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell

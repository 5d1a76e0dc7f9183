"""What two data files have in common and must not: patients, studies, images, reports nearly word for word.

Looked for at once where both files are small, else by a job that leaves its report with those of the checks.
"""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.datasets.checking import check
from engine.datasets.leakage import PEOPLE, compare
from engine.jobs import queue
from engine.jobs.job import Job
from trainer_ui.services import check_results, row_index
from trainer_ui.services.opened_set import Opened

LITTLE_PICTURES = 200
"""Images of both files that are decoded while the user waits."""

KEPT = 8

KINDS: Mapping[str, str] = {
    "patient": "the same patient",
    "study": "the same study",
    "image": "the same image file",
    "pixels": "the same image, saved anew",
    "text": "nearly the same report",
}
"""Kinds of what is shared, in words; the last one alone need not mean the same person."""


@dataclass(frozen=True)
class Shared:
    """One thing that both files hold, with the rows of each; ``similarity`` is of two texts, 0 to 1."""

    kind: str
    words: str
    here: tuple[int, ...]
    there: tuple[int, ...]
    similarity: float | None


@dataclass(frozen=True)
class Found:
    """Everything two files share.

    Attributes:
        counts: kind, its words and how many, in the order of KINDS.
        people: whether the same person is in both.
        common: rows of each whose wording very many patients have, which is no leakage by itself.
        pixels: whether images were compared by what they show.
        errors_there: the other file has rows that cannot be used and were not compared.
    """

    shared: tuple[Shared, ...]
    counts: tuple[tuple[str, str, int], ...]
    people: bool
    common: tuple[int, int]
    pixels: bool
    errors_there: bool


def small(one: Opened, other: Opened, *, pixels: bool) -> bool:
    """Whether comparing takes a moment only. Raises InputError where a file cannot be read."""
    if not (check_results.small(one) and check_results.small(other)):
        return False
    rows = sum(len(row_index.index(each.file, each.images)) for each in (one, other))
    return not pixels or 2 * rows <= LITTLE_PICTURES


def known(one: Opened, other: Opened, *, pixels: bool) -> Found | None:
    """What was found in the two files as they are now; None where they were not compared so."""
    report = report_file(one, other, pixels=pixels)
    if (kept := _kept.get(str(report))) is not None:
        return kept
    result = check_results.from_report(report)
    return read(result.leakage[0]) if result is not None and result.leakage else None


def now(one: Opened, other: Opened, *, pixels: bool) -> Found:
    """Compare while the caller waits. Raises OSError and DatasetError."""
    first, second = (check(each.file.path, each.images) for each in (one, other))
    told = compare(first.cases, second.cases, pixels=pixels).to_json(first.numbers, second.numbers)
    key = str(report_file(one, other, pixels=pixels))
    _kept[key] = read(told | {"errors_in_second": not second.ok})
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return _kept[key]


def begin(one: Opened, other: Opened, *, pixels: bool) -> Job:
    """Compare by a job."""
    report = report_file(one, other, pixels=pixels)
    with contextlib.suppress(OSError):
        report.unlink()
    words = [
        *("data", "validate", str(one.file.path), "--images", str(one.images), "--report", str(report)),
        *("--against", str(other.file.path), "--against-images", str(other.images)),
    ]
    title = f"Hold {one.name} against {other.name}"
    return queue.add("validate", title, [*words, *([] if pixels else ["--no-pixels"])])


def under_way(one: Opened, other: Opened, *, pixels: bool) -> Job | None:
    """The latest job that compares them so, unless it is done."""
    return check_results.under_way([report_file(one, other, pixels=pixels)])


def report_file(one: Opened, other: Opened, *, pixels: bool) -> Path:
    """Where a job leaves what it finds in the two files as they are."""
    return check_results.report_file(one, other, pixels=pixels)


def read(told: Mapping[str, Any]) -> Found:
    """What ``leakage.Leakage.to_json`` writes. Raises KeyError and TypeError for what is none."""
    shared = tuple(
        Shared(
            kind=str(each["kind"]),
            words=KINDS.get(each["kind"], str(each["kind"])),
            here=tuple(map(int, each["first"])),
            there=tuple(map(int, each["second"])),
            similarity=each["similarity"],
        )
        for each in told["shared"]
    )
    counts = Counter(each.kind for each in shared)
    return Found(
        shared=shared,
        counts=tuple((kind, words, counts[kind]) for kind, words in KINDS.items()),
        people=any(each.kind in PEOPLE for each in shared),
        common=(int(told["common_texts"]["first"]), int(told["common_texts"]["second"])),
        pixels=bool(told["pixels_compared"]),
        errors_there=bool(told.get("errors_in_second")),
    )


_kept: OrderedDict[str, Found] = OrderedDict()

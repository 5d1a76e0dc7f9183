"""Data sets from the viewer's history: how many signed reports there are, the job that makes a set, what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from engine import paths
from engine.datasets.signed.writing import FORMAT
from engine.errors import NotFound, UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from engine.records import Records
from trainer_ui.services import datasets

MANIFEST = "manifest.json"
KEYS = "deidentified"
"""Folder in the data folder that says which row is which report; it stays with the history."""

SENTENCES = ("kept", "edited", "deleted", "added")
Section = Literal["findings", "impression"]


@dataclass(frozen=True)
class Wanted:
    """Which signed reports become a set; ``looked_at``: somebody has looked at the images that may hold text."""

    name: str
    section: Section = "findings"
    since: date | None = None
    min_changes: int = 0
    looked_at: bool = False


@dataclass(frozen=True)
class Tally:
    """What clinicians changed in the drafts of one model.

    Attributes:
        untouched: reports signed as they were drafted.
        sentences: kept, edited, deleted, added.
        findings: (finding, what was done, reports), those corrected most first.
        changes: (drafted, signed, finding, reports), likewise.
    """

    model: str
    reports: int
    untouched: int
    sentences: tuple[tuple[str, int], ...]
    findings: tuple[tuple[str, str, int], ...]
    changes: tuple[tuple[str, str, str, int], ...]


@dataclass(frozen=True)
class Made:
    """A set of signed reports, as its manifest tells.

    Attributes:
        left_out: (reason, reports), the commonest first; ``taken_away`` (kind, places in texts) likewise.
        may_hold_text: reports with images in which there may be text; ``text_taken`` whether they are in the set.
        demonstration: rows drafted by a model that knows nothing of patients.
        everything, models: corrections in all and model by model.
    """

    day: str
    section: str
    signed: int
    rows: int
    patients: int
    images: int
    with_prior: int
    demonstration: int
    left_out: tuple[tuple[str, int], ...]
    taken_away: tuple[tuple[str, int], ...]
    may_hold_text: int
    text_taken: bool
    reading: str
    method: str
    everything: Tally
    models: tuple[Tally, ...]


@dataclass(frozen=True)
class Suspect:
    """A report of the history to be looked at, by what the viewer's history finds it by."""

    accession: str
    day: str
    view: str


def signed_reports(since: date | None = None) -> int:
    """Signed reports of the history; 0 where there is no history yet. Raises RecordsError for one that is damaged."""
    files = [paths.home() / name for name in ("history.db", "history.db-wal")]
    return _counted(paths.home(), since, tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files))


@lru_cache(maxsize=8)
def _counted(home: Path, since: date | None, changed: tuple[int, ...]) -> int:
    """Opening a history checks all of it, which takes time: once as long as it stays as it is."""
    try:
        with Records.open(home, read_only=True) as records:
            return records.search(state="signed", since=since, limit=1).total
    except NotFound:
        return 0


def begin(wanted: Wanted) -> Job:
    """Make a set by a job. Raises UsageError for a name or a number that cannot be, or where nothing is signed."""
    if wanted.min_changes < 0:
        raise UsageError("The number of changed sentences is 0 or larger.")
    if not signed_reports(wanted.since):
        raise UsageError("The history holds no signed report of this time. Sign reports in the viewer first.")
    folder = datasets.fresh(wanted.name)
    words = [
        *("data", "from-signed", "--output", str(folder), "--section", wanted.section),
        *("--min-changes", str(wanted.min_changes)),
        *(("--since", wanted.since.isoformat()) if wanted.since is not None else ()),
        *(("--images-looked-at",) if wanted.looked_at else ()),
    ]
    return queue.add("signed", f"Make {folder.name} of signed reports", words, folder)


def made(folder: Path) -> Made | None:
    """What came of it; None where the folder holds no set of signed reports."""
    told = _object(folder / MANIFEST)
    return _made(told) if told.get("format") == FORMAT else None


def may_hold_text(name: str) -> tuple[Suspect, ...]:
    """The reports whose images are to be looked at before this set is made again. Raises RecordsError."""
    folder = paths.home() / KEYS
    keys = sorted(folder.glob("*.json"), key=lambda key: key.stat().st_mtime, reverse=True) if folder.is_dir() else []
    told = (found for key in keys if (found := _object(key)).get("set") == name)
    reports = next(told, {}).get("may_hold_text", ())
    if not reports:
        return ()
    with Records.open(paths.home(), read_only=True) as records:
        return tuple(_suspect(records, str(report)) for report in reports)


def _suspect(records: Records, report: str) -> Suspect:
    detail = records.report(report)
    made = detail.current.acquired
    view = "" if detail.current.view == "UNKNOWN" else detail.current.view
    return Suspect(detail.accession, made.strftime("%Y-%m-%d") if made is not None else "", view)


def _object(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _made(told: Mapping[str, Any]) -> Made:
    text, corrections = told["images_that_may_hold_text"], told["corrections"]
    return Made(
        day=str(told["made"]),
        section=str(told["section"]),
        signed=int(told["signed_reports"]),
        rows=int(told["rows"]),
        patients=int(told["patients"]),
        images=int(told["images"]),
        with_prior=int(told["with_prior"]),
        demonstration=int(told["drafted_by_demonstration"]),
        left_out=_ranked(told["left_out"]),
        taken_away=_ranked(told["taken_from_texts"]),
        may_hold_text=int(text["reports"]),
        text_taken=bool(text["taken"]),
        reading=str(corrections["reading"]),
        method=str(told["method"]),
        everything=_tally(corrections["all"]),
        models=tuple(map(_tally, corrections["models"])),
    )


def _tally(told: Mapping[str, Any]) -> Tally:
    findings = [(finding, done, int(n)) for finding, how in told["findings"].items() for done, n in how.items()]
    changes = [
        (*change.split(" -> ", 1), finding, int(n))
        for change, how in told["changes"].items()
        for finding, n in how.items()
    ]
    return Tally(
        model=str(told["model"]),
        reports=int(told["reports"]),
        untouched=int(told["untouched"]),
        sentences=tuple((name, int(told["sentences"][name])) for name in SENTENCES),
        findings=tuple(sorted(findings, key=lambda each: -each[-1])),
        changes=tuple(sorted(changes, key=lambda each: -each[-1])),
    )


def _ranked(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((name, int(count)) for name, count in counts.items()), key=lambda each: -each[1]))

"""What ``data validate`` finds in a data file: looked for at once where the file is small, else by a job.

A job leaves its report under ``home()/studio/checks``, where every studio finds it; what was looked for at once is kept
in memory. Both are for a file as it is: once that has changed, it counts as not checked.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine import paths
from engine.datasets.checking import KINDS, check
from engine.datasets.describing import describe
from engine.errors import InputError
from engine.jobs import queue
from engine.jobs.job import Job, State
from trainer_ui.services import row_index
from trainer_ui.services.opened_set import Opened

LITTLE_ROWS = 1000
LITTLE_DECODED = 20
"""So many rows, and among their images so many DICOM files, are looked at while the user waits: some seconds."""

PIXELS_AT_ONCE = 100
"""Rows of which every pixel is read while the user waits."""

KEPT = 8

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong; ``row`` 0 is the file as a whole, ``words`` say the kind."""

    row: int
    id: str
    severity: str
    kind: str
    words: str
    reason: str


@dataclass(frozen=True)
class Result:
    """A file after its check.

    Attributes:
        rows, readable: of the file, and those that can be used.
        images: distinct files; ``decoded`` says whether every pixel was read.
        kinds: kind, its words, severity and how many issues, errors first.
        description: the set in figures, as ``engine.datasets.describing`` writes it.
        leakage: what it shares with another file, where it was held against one.
    """

    rows: int
    readable: int
    images: int
    decoded: bool
    errors: int
    warnings: int
    kinds: tuple[tuple[str, str, str, int], ...]
    issues: tuple[Issue, ...]
    description: Mapping[str, Any]
    leakage: tuple[Mapping[str, Any], ...] = ()


def small(one: Opened) -> bool:
    """Whether the check takes a moment only. Raises InputError where the file cannot be read."""
    if one.file.rows > LITTLE_ROWS:
        return False
    return row_index.index(one.file, one.images).decoded <= LITTLE_DECODED


def known(one: Opened) -> Result | None:
    """What was found in the file as it is now, by the most thorough check; None where there was none."""
    for pixels in (True, False):
        if (kept := _kept.get(_key(one, pixels))) is not None:
            _kept.move_to_end(_key(one, pixels))
            return kept
        if (found := from_report(report_file(one, pixels=pixels))) is not None:
            return found
    return None


def now(one: Opened, *, pixels: bool = False, progress: Told | None = None) -> Result:
    """Check while the caller waits; ``progress`` is told of the images. Raises OSError and InputError."""
    checked = check(one.file.path, one.images, decode=pixels, progress=progress)
    document = checked.to_json() | {"description": describe(checked.cases).to_json(), "leakage": []}
    key = _key(one, pixels)
    _kept[key] = read(json.loads(json.dumps(document)))  # as a report is read, to the last tuple
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return _kept[key]


def begin(one: Opened, *, pixels: bool = False) -> Job:
    """Check by a job; what was found before is forgotten."""
    report = report_file(one, pixels=pixels)
    forget(one)
    words = ["data", "validate", str(one.file.path), "--images", str(one.images), "--report", str(report)]
    return queue.add("validate", f"Check {one.name}", [*words, *(["--decode"] if pixels else [])])


def forget(one: Opened) -> None:
    """Count the file as not checked."""
    for pixels in (True, False):
        _kept.pop(_key(one, pixels), None)
    for old in checks().glob(f"{_place(one)}-*.json"):
        with contextlib.suppress(OSError):
            old.unlink()


def under_way(reports: Iterable[Path]) -> Job | None:
    """The latest job that writes one of these reports, unless it is done."""
    names = {str(report) for report in reports}
    latest = max((job for job in queue.jobs() if names & set(job.words)), key=lambda job: job.made, default=None)
    return latest if latest is not None and latest.state is not State.DONE else None


def reports(one: Opened) -> tuple[Path, ...]:
    """Where jobs leave what they find in the file as it is."""
    return report_file(one, pixels=False), report_file(one, pixels=True)


def report_file(one: Opened, against: Opened | None = None, *, pixels: bool) -> Path:
    """Where a job leaves what it finds in the file as it is now, by itself or held ``against`` another."""
    end = f"{_stamp(one)}{'-pixels' if pixels else ''}.json"
    if against is None:
        return checks() / f"{_place(one)}-{end}"
    return checks() / f"pair-{_place(one)}-{_place(against)}-{_stamp(against)}-{end}"


def checks() -> Path:
    """The folder of the reports. Not created here."""
    return paths.home() / "studio" / "checks"


def from_report(report: Path) -> Result | None:
    """What a job has found; None where it has left nothing. Raises InputError for what is no report."""
    try:
        return _reported(report, report.stat().st_mtime_ns)
    except OSError:
        return None


def read(document: Mapping[str, Any]) -> Result:
    """A report's object as a result. Raises KeyError, TypeError and ValueError for what is none."""
    issues = tuple(
        Issue(
            row=int(each["row"]),
            id=str(each["id"]),
            severity=str(each["severity"]),
            kind=str(each["kind"]),
            words=KINDS.get(each["kind"], str(each["kind"])),
            reason=str(each["reason"]),
        )
        for each in document["issues"]
    )
    severities = {issue.kind: issue.severity for issue in issues}
    counts = Counter(issue.kind for issue in issues)
    ranked = sorted(counts, key=lambda kind: (severities[kind] != "error", -counts[kind]))
    return Result(
        rows=int(document["rows"]),
        readable=int(document["readable"]),
        images=int(document["images"]),
        decoded=bool(document["decoded"]),
        errors=sum(issue.severity == "error" for issue in issues),
        warnings=sum(issue.severity == "warning" for issue in issues),
        kinds=tuple((kind, KINDS.get(kind, kind), severities[kind], counts[kind]) for kind in ranked),
        issues=issues,
        description=document["description"],
        leakage=tuple(document.get("leakage", ())),
    )


def chosen(result: Result, *, kinds: Iterable[str] = (), text: str = "") -> tuple[Issue, ...]:
    """The issues of some kinds (of all without any) whose id or reason holds ``text``, in capitals or not."""
    wanted, some = text.strip().casefold(), set(kinds)
    return tuple(
        issue
        for issue in result.issues
        if (not some or issue.kind in some)
        and (not wanted or wanted in issue.id.casefold() or wanted in issue.reason.casefold())
    )


def as_csv(issues: Iterable[Issue]) -> str:
    """A table for a spreadsheet; a cell that it would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["row", "id", "severity", "kind", "reason"])
    for issue in issues:
        writer.writerow([issue.row, _cell(issue.id), issue.severity, issue.kind, _cell(issue.reason)])
    return out.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


_kept: OrderedDict[tuple[str, str, bool], Result] = OrderedDict()


def _key(one: Opened, pixels: bool) -> tuple[str, str, bool]:
    return _place(one), _stamp(one), pixels


def _place(one: Opened) -> str:
    """Which file it is, and where its images are: fit for a file's name."""
    return hashlib.sha256(f"{one.file.path}\0{one.images}".encode()).hexdigest()[:16]


def _stamp(one: Opened) -> str:
    """The file as it is."""
    return f"{one.file.size:x}-{round(one.file.written * 1e6):x}"


@lru_cache(maxsize=KEPT)
def _reported(report: Path, changed: int) -> Result:
    """Raises OSError and InputError."""
    try:
        return read(json.loads(report.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise InputError("What the check has found cannot be read. Check the file again.") from cause

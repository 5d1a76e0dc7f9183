"""The history list: which reports, in which order, page by page.

Order is newest change first, by the number of the event that made it, whatever the clock says. First the rows of the
page are found in narrow indexes, then only those are joined with their words. Times of the filters are those of the
last change.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from sqlite_utils import Database

from engine.errors import UsageError
from engine.records import fulltext
from engine.records.ids import moment, optional_moment, stamp
from engine.records.types import STATES, Page, State, Summary

LARGEST_PAGE = 500

_PAGE = """
SELECT r.id, r.state, r.patient, r.prior, r.demonstration, r.updated_at, r.signed_at,
       s.patient_name, s.patient_id, s.accession, s.indication, substr(s.text, 1, 300) AS text,
       i.acquired, i.view, coalesce(g.name, '') AS signer
FROM report r
JOIN report_search s ON s.row = r.row
JOIN image i ON i.sha256 = r.current AND i.study = r.current_study
LEFT JOIN signature g ON g.report = r.id
WHERE r.row IN ({places}) ORDER BY r.changed DESC
"""


def search(
    db: Database,
    query: str,
    *,
    state: State | None,
    patient: str | None,
    since: date | datetime | None,
    until: date | datetime | None,
    limit: int,
    offset: int,
) -> Page:
    """One page of the reports that fit. Raises UsageError for an impossible state, limit or offset."""
    if state is not None and state not in STATES:
        raise UsageError(f"There is no report state of that name; choose one of {', '.join(STATES)}.")
    if not 0 < limit <= LARGEST_PAGE or not 0 <= offset < 1 << 62:
        raise UsageError(f"A page of the history has 1 to {LARGEST_PAGE} rows and begins at row 0 or later.")
    conditions: list[str] = []
    parameters: list[str] = []
    wanted, words = fulltext.condition(query)
    filters: tuple[tuple[str, str | None], ...] = (
        ("state = ?", state),
        ("patient = ?", patient),
        ("updated_at >= ?", _bound(since, 0) if since else None),
        ("updated_at < ?", _bound(until, 1) if until else None),
    )
    for condition, value in filters:
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    if wanted:
        conditions.append(wanted)
        parameters += words
    where = " WHERE " + " AND ".join(conditions) if conditions else ""
    total = int(db.execute(f"SELECT count(*) FROM report{where}", parameters).fetchone()[0])
    if offset >= total:
        return Page((), total)
    found = db.execute(
        f"SELECT row FROM report{where} ORDER BY changed DESC LIMIT ? OFFSET ?", [*parameters, limit, offset]
    )
    places = ", ".join(str(int(row)) for (row,) in found)
    return Page(tuple(_summary(row) for row in db.query(_PAGE.format(places=places))), total)


def _bound(day: date | datetime, days: int) -> str:
    """The stored form of a moment, or of the beginning of the day ``days`` after a date, in this machine's zone.

    Years in which nobody used this program need no zone, and system calls for zones fail in some of them.
    """
    if not 1980 <= day.year <= 9000:
        return "0" if day.year < 1980 else "9"
    return stamp(day if isinstance(day, datetime) else datetime.combine(day, time.min) + timedelta(days=days))


def _summary(row: dict[str, object]) -> Summary:
    return Summary(
        report_id=str(row["id"]),
        state=row["state"],  # type: ignore[arg-type]
        patient_key=str(row["patient"]),
        patient_name=str(row["patient_name"]),
        patient_id=str(row["patient_id"]),
        accession=str(row["accession"]),
        study_date=optional_moment(row["acquired"]),  # type: ignore[arg-type]
        view=str(row["view"]),
        has_prior=row["prior"] is not None,
        demonstration=bool(row["demonstration"]),
        indication=str(row["indication"]),
        text=str(row["text"]),
        updated_at=moment(str(row["updated_at"])),
        signed_at=optional_moment(row["signed_at"]),  # type: ignore[arg-type]
        signer=str(row["signer"]),
    )

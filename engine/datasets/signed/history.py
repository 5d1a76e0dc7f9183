"""Which reports of a history become rows, and what the history knows of their patients.

Only what is signed, and only if the signature still holds: the words, drafts and images are then those that somebody
approved. Of several signed reports of the same comparison and section the last one counts, for a signed report is
amended by a new one. Reads the history, never writes it; a history in use may be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from engine.datasets.signed.corrections import Correction, correction
from engine.datasets.signed.identifiers import Known, name_parts
from engine.drafting.question import SECTIONS
from engine.errors import UsageError
from engine.records import Records, ReportDetail, Revision, Signature, Summary

PAGE = 200

REPLACED = "a later report of the same comparison was signed"
UNSOUND = "its signature does not hold"
NAMELESS = "its images are not identified"
OTHER_SECTION = "it is another section than was asked for"
FEW_CHANGES = "fewer sentences were changed than was asked for"


@dataclass(frozen=True)
class Choice:
    """Which reports are taken.

    Attributes:
        since: signed on this day or later.
        min_changes: at least so many sentences edited, deleted or added.
        section: "findings" or "impression".
        burned_in: whether images that may have text in them are taken: only after somebody has looked at them.

    Raises UsageError for an unknown section or a negative number.
    """

    since: date | None = None
    min_changes: int = 0
    section: str = "findings"
    burned_in: bool = False

    def __post_init__(self) -> None:
        if self.section not in SECTIONS or self.min_changes < 0:
            raise UsageError(f"The section is one of {', '.join(SECTIONS)}, and the number of changes not negative.")


@dataclass(frozen=True)
class Signed:
    """A signed report that may become a row."""

    detail: ReportDetail
    revision: Revision
    signature: Signature
    correction: Correction
    known: Known


@dataclass(frozen=True)
class LeftOut:
    """A signed report that does not become a row, and why; the reason names nobody."""

    report: str
    reason: str


def signed_reports(records: Records, choice: Choice) -> tuple[int, Iterator[Signed | LeftOut]]:
    """How many signed reports there are to look at, and each of them, the newest first."""
    signers = frozenset(summary.signer for summary in _summaries(records, None))
    found = {summary.report_id: summary for summary in _summaries(records, choice.since)}
    return len(found), _each(records, list(found), choice, signers)


def _each(records: Records, reports: list[str], choice: Choice, signers: frozenset[str]) -> Iterator[Signed | LeftOut]:
    seen: set[tuple[str, str, str | None, str]] = set()
    for report_id in reports:
        detail = records.report(report_id)
        report, signature = detail.report, detail.signature
        comparison = (report.patient_key, report.current_sha256, report.prior_sha256, report.section)
        replaced = comparison in seen
        seen.add(comparison)
        revision = next((r for r in detail.revisions if signature is not None and r.number == signature.revision), None)
        if signature is None or revision is None or not records.verify_signature(report_id).ok:
            yield LeftOut(report_id, UNSOUND)
            continue
        made = correction(detail, revision)
        reasons = (
            (replaced, REPLACED),
            (not detail.patient.known, NAMELESS),
            (report.section != choice.section, OTHER_SECTION),
            (made.sentences.changes < choice.min_changes, FEW_CHANGES),
        )
        reason = next((words for true, words in reasons if true), None)
        if reason is None:
            yield Signed(detail, revision, signature, made, _known(records, detail, signers))
        else:
            yield LeftOut(report_id, reason)


def _summaries(records: Records, since: date | None) -> Iterator[Summary]:
    """Every signed report once; one that is signed meanwhile may push another onto the next page."""
    seen: set[str] = set()
    offset = 0
    while page := records.search(state="signed", since=since, limit=PAGE, offset=offset).rows:
        yield from (row for row in page if row.report_id not in seen)
        seen.update(row.report_id for row in page)
        offset += len(page)


def _known(records: Records, detail: ReportDetail, signers: frozenset[str]) -> Known:
    """What the history knows of the patient, as signed and as it is now, and of everybody who signs here."""
    studies = records.patient_studies(detail.report.patient_key)
    patients = [detail.patient, *(study.patient for study in studies)]
    numbers = {patient.id for patient in patients} | {detail.accession}
    numbers |= {value for study in studies for value in (study.accession, study.uid) if not value.startswith("sha256:")}
    numbers |= {image.sop_uid for study in studies for image in study.images}
    accounts = {revision.who for revision in detail.revisions}
    return Known(
        names=name_parts(*(patient.name for patient in patients)),
        people=name_parts(*signers) | frozenset(who for who in accounts if who.isalpha() and len(who) > 3),
        numbers=frozenset(number for number in numbers if number),
        born=next((patient.birth_date for patient in patients if patient.birth_date), None),
    )


def age_at(born: date | None, when: datetime | None) -> int | None:
    """Whole years at the time of an image; None where one of the two is not known or they do not fit."""
    if born is None or when is None:
        return None
    years = when.year - born.year - ((when.month, when.day) < (born.month, born.day))
    return years if 0 <= years < 130 else None

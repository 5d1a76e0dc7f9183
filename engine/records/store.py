"""The history: patients, studies, drafts, revisions, signatures and everything that happened to them.

Every method that writes is one transaction with its event; when it returns, the change is on the disk, and when it
raises, nothing has changed (a refused change to a signed report is itself recorded). Methods may be called from any
thread. A second process is refused. Nothing here knows how a draft is made, or any screen.
"""

from __future__ import annotations

import getpass
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlite_utils import Database

from engine.errors import RecordsError, SignedIsFinal, UsageError
from engine.records import answers, catalogue, doctor, phrases, reports, rows, signing
from engine.records import log as event_log
from engine.records import search as history_list
from engine.records.database import HistoryFile, copy_name
from engine.records.faults import SIGNED_SENTENCE, translated
from engine.records.files import FileStore
from engine.records.ids import Clock, Ulids, utc_now
from engine.records.lock import FolderLock
from engine.records.types import (
    AnswerRow,
    DraftRow,
    Event,
    Fault,
    LogCheck,
    NewDraft,
    Outcome,
    Page,
    Report,
    ReportDetail,
    Revision,
    Scalar,
    Sentence,
    Signature,
    SignatureCheck,
    State,
    StoredImage,
    StoredStudy,
)

if TYPE_CHECKING:
    from engine.imaging.types import Patient, Study

log = logging.getLogger(__name__)

BACKUP_EVERY = timedelta(hours=1)
BACKUPS_KEPT = 7


class Records:
    """The history of one data folder. Made by ``open``; a context manager."""

    def __init__(
        self, home: Path, history: HistoryFile, lock: FolderLock | None, clock: Clock, who: str, application: str
    ) -> None:
        self.home = home
        self._history = history
        self._lock = lock
        self._author = event_log.Author(who, application, clock, Ulids(clock))
        self._files = FileStore(home / "files")
        self._backups = home / "backups"

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        read_only: bool = False,
        who: str | None = None,
        application: str = "Interval",
        clock: Clock = utc_now,
    ) -> Self:
        """Open the history in ``home``, making it on first use.

        ``who`` is the account named in the event log (default: of the operating system), ``application`` the name and
        version named there and in signatures. With ``read_only`` nothing is written, no lock is taken, and another
        process may be using the folder. Raises RecordsError where the folder is in use, cannot be written, or holds a
        database that is damaged, foreign or newer; ResourceError for a full disk; NotFound with ``read_only`` where
        there is no history.
        """
        home = home.resolve()
        lock = None
        if not read_only:
            with translated():
                home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FolderLock(home / "interval.lock")
        try:
            path = home / "history.db"
            if not path.exists() and not read_only and _was_used(home):
                raise RecordsError(
                    "The history database is missing, although this data folder has been used. Put the newest copy "
                    "from its folder 'backups' back as 'history.db', or choose another folder with INTERVAL_HOME."
                )
            history = HistoryFile(path, home / "backups", clock, read_only=read_only)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return cls(home, history, lock, clock, who if who is not None else _account(), application)

    def close(self) -> None:
        """Close the database and give the folder back. Calling it again does nothing."""
        self._history.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Studies

    def add_study(self, study: Study, files: Mapping[str, Path]) -> str:
        """Keep ``study``, its patient and images, and copies of the ``files`` (sha256 to path); return its key.

        Doing it again changes nothing; saying more about the same files (who, when, which view) is added. Raises
        RecordsError if a file is gone or changed since it was read, ResourceError for a full disk, UsageError for an
        image whose file is neither given nor stored.
        """
        with self._history.lock:  # so that collecting orphans never sees a file whose row is still to come
            if not study.images:
                raise UsageError("A study without images cannot be kept.")
            for image in study.images:
                if image.sha256 in files:
                    self._files.add(image.sha256, files[image.sha256])
                elif self._files.state(image.sha256) != "ok":
                    raise UsageError("An image cannot be kept without its file. Open the file again.")
            with self._history.writing() as db:
                key, changed = catalogue.add(db, study, self._author.new_id)
                if changed:
                    self._author.append(db, "C", "study-filed", key, {"images": len(study.images)})
        return key

    def patient_studies(self, patient_key: str) -> tuple[StoredStudy, ...]:
        """The patient's studies with their images, newest first; empty for an unknown key."""
        with self._history.reading() as db:
            return rows.studies(db, patient_key, self._files)

    def stored_studies(self, patient: Patient) -> tuple[StoredStudy, ...]:
        """As ``patient_studies``, for a patient as a file names it: by issuer and id, never by name."""
        with self._history.reading() as db:
            key = catalogue.find_patient(db, patient.issuer, patient.id)
            return () if key is None else rows.studies(db, key, self._files)

    def image(self, sha256: str) -> StoredImage:
        """What is known of an image. Raises NotFound."""
        with self._history.reading() as db:
            return rows.image_of(db, sha256, None, self._files)

    def image_file(self, sha256: str) -> Path:
        """The stored copy of an image's file, checked. Raises NotFound, or RecordsError if it is missing or damaged."""
        return self._files.checked(self.image(sha256).sha256)

    # Reports

    def new_report(self, current_sha256: str, prior_sha256: str | None, indication: str, section: str) -> Report:
        """Begin a report on stored images, in state "draft", without a revision.

        The patient is whom the current image was last said to be of. Raises NotFound for an image that is not stored,
        PatientMismatch for images of two known, different patients.
        """
        with self._history.writing() as db:
            return reports.begin(db, self._author, current_sha256, prior_sha256, indication, section)

    def save_draft(self, report_id: str, draft: NewDraft, sentences: Sequence[str]) -> DraftRow:
        """Keep ``draft`` and, as the newest revision, its ``sentences`` (the text as the caller splits it), unreviewed.

        Nothing is overwritten: earlier drafts and revisions stay. Raises NotFound, SignedIsFinal, and UsageError for
        settings, checks or timings that are not JSON values.
        """
        with self._changing(report_id, "draft-saved") as (db, report):
            return reports.keep_draft(db, self._author, report, draft, sentences)

    def save_revision(
        self, report_id: str, sentences: Sequence[Sentence], *, based_on: int, indication: str | None = None
    ) -> Revision:
        """Add a revision on top of ``based_on``, the number of the newest one the caller has seen.

        Saving what is saved already adds nothing and returns the newest revision. ``indication`` None keeps it. Raises
        Conflict, SignedIsFinal, NotFound, and UsageError for a sentence that is not what its origin says.
        """
        with self._changing(report_id, "revision-saved") as (db, report):
            return reports.revise(db, self._author, report, sentences, based_on, indication)

    def sign(self, report_id: str, *, name: str, based_on: int) -> Signature:
        """Sign the newest revision, which must be ``based_on``, and freeze the report for good.

        Raises UsageError for a blank name or an empty report, NotReviewed while a sentence is undecided, Conflict,
        SignedIsFinal, NotFound, and PatientMismatch if the images were said to be of two patients meanwhile.
        """
        with self._changing(report_id, "signed") as (db, report):
            return reports.sign(db, self._author, self._files, report, name, based_on)

    def record_event(
        self,
        kind: str,
        subject_id: str,
        detail: Mapping[str, Scalar] | None = None,
        *,
        action: str = "E",
        outcome: Outcome = "success",
    ) -> Event:
        """Add to the log something that happened outside: an export, an opening. ``detail`` must hold no patient data.

        ``action`` is FHIR's C, R, U, D or E.
        """
        with self._history.writing() as db:
            return self._author.append(db, action, kind, subject_id, detail, outcome)

    def report(self, report_id: str) -> ReportDetail:
        """The report with patient, images, drafts, revisions, signature and events. Raises NotFound."""
        with self._history.reading() as db:
            return reports.detail(db, self._files, report_id)

    def phrases(self, report_id: str) -> tuple[str, ...]:
        """Texts that a new draft of this report may repeat in part, the likeliest last; see ``phrases.py``.

        Raises NotFound.
        """
        with self._history.reading() as db:
            return phrases.phrases(db, rows.report(db, report_id))

    # Conversations

    def answers(self, patient: Patient, current_sha256: str, prior_sha256: str | None) -> tuple[AnswerRow, ...]:
        """What was asked about this comparison of this patient, oldest first; ``patient`` as a file names it."""
        with self._history.reading() as db:
            return answers.conversation(db, patient, current_sha256, prior_sha256)

    def answer(self, answer_id: str) -> AnswerRow:
        """One answer. Raises NotFound."""
        with self._history.reading() as db:
            return rows.answer(db, answer_id)

    def save_answer(
        self, patient: Patient, current_sha256: str, prior_sha256: str | None, question: str, answer: NewDraft
    ) -> AnswerRow:
        """Keep what a model answered to a question about stored images. It is no part of any report.

        Raises NotFound, PatientMismatch, UsageError.
        """
        with self._history.writing() as db:
            return answers.keep(db, self._author, patient, current_sha256, prior_sha256, question, answer)

    def insert_answer(self, report_id: str, answer_id: str, sentences: Sequence[str], *, based_on: int) -> DraftRow:
        """Add the ``sentences`` of an answer, its text as the caller splits it: the model's words, unreviewed.

        Raises NotFound, Conflict, SignedIsFinal, and UsageError for an answer that was stopped, is about another
        comparison, or is in the report already.
        """
        with self._changing(report_id, "draft-saved") as (db, report):
            answer = rows.answer(db, answer_id)
            return reports.insert_answer(db, self._author, report, answer, sentences, based_on)

    # The list

    def search(
        self,
        query: str = "",
        *,
        state: State | None = None,
        patient: str | None = None,
        since: date | datetime | None = None,
        until: date | datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Reports, newest change first. ``query``, any string, is searched in text, indication, patient and accession.

        All its words must occur; the beginning of a word is enough. ``patient`` is a patient's key. ``since``
        and ``until`` are of the last change; dates are whole days here.
        """
        with self._history.reading() as db:
            return history_list.search(
                db, query, state=state, patient=patient, since=since, until=until, limit=limit, offset=offset
            )

    # Trust

    def verify_log(self) -> LogCheck:
        """Check the chain of events, and that nothing that protects the records was removed or changed."""
        with self._history.reading() as db:
            return event_log.verify(db)

    def verify_signature(self, report_id: str) -> SignatureCheck:
        """Check that a signed report is still what was signed. Raises NotFound."""
        with self._history.reading() as db:
            return signing.check(db, reports.detail(db, self._files, report_id))

    def backup(self, path: Path) -> Path:
        """Write a complete copy of the database to ``path`` while it is in use. Image files are not part of it."""
        self._history.copy_to(path)
        return path

    def backup_if_due(self) -> Path | None:
        """Make the hourly copy if the last one is older than an hour; keep the newest seven. Returns the new copy."""
        now = self._author.clock()
        newest, due = copy_name("history", now), copy_name("history", now - BACKUP_EVERY)
        with translated():
            if any(due < copy.name <= newest for copy in self._backups.glob("history-*.db")):
                return None
            made = self.backup(self._backups / newest)
            # A copy from the future was made before the clock was set back: it is older than all others.
            copies = sorted(self._backups.glob("history-*.db"), key=lambda copy: (copy.name <= newest, copy.name))
            for old in copies[:-BACKUPS_KEPT]:
                old.unlink()
        return made

    def doctor(self) -> tuple[Fault, ...]:
        """Everything that is wrong with the database, the log, the signatures and the stored files."""
        with self._history.reading() as db:
            found = doctor.examine(db, self._files)
        if self._history.read_only:
            return found
        with self._history.writing() as db:
            return (*found, *doctor.examine_index(db))

    def collect_orphans(self) -> tuple[Path, ...]:
        """Delete stored files that no image mentions, left by a crash between file and row, and return them."""
        with self._history.writing() as db:
            known = {sha for (sha,) in db.execute("SELECT DISTINCT sha256 FROM image")}
            found = tuple(self._files.others(known))
            for file in found:
                file.unlink()
            if found:
                self._author.append(db, "D", "orphans-collected", "", {"files": len(found)})
        return found

    @contextmanager
    def _changing(self, report_id: str, kind: str) -> Iterator[tuple[Database, Report]]:
        """A transaction on one report; a refused change to a signed one goes into the log."""
        try:
            with self._history.writing() as db:
                report = rows.report(db, report_id)
                if report.state == "signed":
                    raise SignedIsFinal(SIGNED_SENTENCE)
                yield db, report
        except SignedIsFinal:
            self.record_event(kind, report_id, action="U", outcome="refused")
            raise


def _was_used(home: Path) -> bool:
    """Whether images or copies of a database lie in ``home``: then an absent database is a loss, not a beginning."""
    return any(any((home / name).rglob("*")) for name in ("files", "backups") if (home / name).is_dir())


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"

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
from typing import TYPE_CHECKING, Self, TypeVar

from sqlite_utils import Database

from engine.errors import NotFound, PatientMismatch, RecordsError, SignedIsFinal, UsageError
from engine.records import catalogue, doctor, fulltext, rows, signing
from engine.records import log as event_log
from engine.records import search as history_list
from engine.records.canonical import LONGEST_NAME, canonical, field, parsed, sha256, tidy
from engine.records.database import HistoryFile, copy_name, newest_first
from engine.records.faults import SIGNED_SENTENCE, translated
from engine.records.files import FileStore
from engine.records.ids import Clock, Ulids, stamp, utc_now
from engine.records.lock import FolderLock
from engine.records.types import (
    MEANING,
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
    StoredPatient,
    StoredStudy,
)

if TYPE_CHECKING:
    from engine.imaging.types import Patient, Study

log = logging.getLogger(__name__)

Kept = TypeVar("Kept", str, Sentence)

FINISHED = ("stop", "length", "cancelled")
MOST_SENTENCES = 1_000
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
        self._clock = clock
        self._who = who
        self._application = application
        self._new_id = Ulids(clock)
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
            for image in study.images:
                if image.sha256 in files:
                    self._files.add(image.sha256, files[image.sha256])
                elif self._files.state(image.sha256) != "ok":
                    raise UsageError("An image cannot be kept without its file. Open the file again.")
            with self._history.writing() as db:
                key, changed = catalogue.add(db, study, self._new_id)
                if changed:
                    self._event(db, "C", "study-filed", key, {"images": len(study.images)})
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
            return self._image(db, sha256)

    def image_file(self, sha256: str) -> Path:
        """The stored copy of an image's file, checked. Raises NotFound, or RecordsError if it is missing or damaged."""
        return self._files.checked(self.image(sha256).sha256)

    # Reports

    def new_report(self, current_sha256: str, prior_sha256: str | None, indication: str, section: str) -> Report:
        """Begin a report on stored images, in state "draft", without a revision.

        Raises NotFound for an image that is not stored, PatientMismatch for images of two known, different patients.
        """
        report_id = self._new_id()
        indication = field(indication, "indication")
        with self._history.writing() as db:
            current = self._patient_of(db, current_sha256)
            if prior_sha256 is not None:
                prior = self._patient_of(db, prior_sha256)
                if current.known and prior.known and current.key != prior.key:
                    raise PatientMismatch("The current and the prior image are of different patients.")
            accession = self._accession(db, current_sha256)
            event = self._event(
                db, "C", "report-created", report_id, {"current": current_sha256, "prior": prior_sha256}
            )
            made = db.table("report").insert(
                {
                    "id": report_id,
                    "state": "draft",
                    "patient": current.key,
                    "current": current_sha256,
                    "prior": prior_sha256,
                    "section": field(section, "section", LONGEST_NAME),
                    "revision": 0,
                    "demonstration": 0,
                    "created_at": stamp(event.at),
                    "updated_at": stamp(event.at),
                    "changed": event.seq,
                    "signed_at": None,
                }
            )
            words = {"patient_name": current.name, "patient_id": current.id, "accession": accession}
            fulltext.add(db, int(made.last_rowid or 0), words | {"indication": indication, "text": ""})
            return rows.report(db, report_id)

    def save_draft(self, report_id: str, draft: NewDraft, sentences: Sequence[str]) -> DraftRow:
        """Keep ``draft`` and, as the newest revision, its ``sentences`` (the text as the caller splits it), unreviewed.

        Nothing is overwritten: earlier drafts and revisions stay. Raises NotFound, SignedIsFinal, and UsageError for
        settings, checks or timings that are not JSON values.
        """
        if draft.finished not in FINISHED:
            raise UsageError(f"A draft ends with one of {', '.join(FINISHED)}.")
        written = tuple(Sentence(self._new_id(), tidy(text), "ai", "unreviewed") for text in _few(sentences))
        prompt = field(draft.prompt, "prompt")
        with self._changing(report_id, "draft-saved") as (db, report):
            event = self._event(
                db,
                "C",
                "draft-saved",
                report_id,
                {"model": draft.model_sha256, "finished": draft.finished, "revision": report.revision + 1},
            )
            row = {
                "id": self._new_id(),
                "report": report_id,
                "number": 1 + db.execute("SELECT count(*) FROM draft WHERE report = ?", [report_id]).fetchone()[0],
                "created_at": stamp(event.at),
                "text": field(draft.text, "draft"),
                "token_ids": canonical([int(token) for token in draft.token_ids]),
                "sentences": rows.sentences_json(written),
                "model_name": field(draft.model_name, "model's name", LONGEST_NAME),
                "model_sha256": draft.model_sha256,
                "prompt": prompt,
                "prompt_sha256": sha256(prompt),
                "settings": tidy(canonical(dict(draft.settings))),
                "checks": tidy(canonical([dict(check) for check in draft.checks])),
                "timings": tidy(canonical(dict(draft.timings))),
                "finished": draft.finished,
                "demonstration": int(draft.demonstration),
                "revision": report.revision + 1,
            }
            db.table("draft").insert(row)
            self._add_revision(db, report, written, report.indication, event, str(row["id"]))
            if draft.demonstration:
                db.execute("UPDATE report SET demonstration = 1 WHERE id = ?", [report_id])
            return rows.drafts(db, report_id)[-1]

    def save_revision(
        self, report_id: str, sentences: Sequence[Sentence], *, based_on: int, indication: str | None = None
    ) -> Revision:
        """Add a revision on top of ``based_on``, the number of the newest one the caller has seen.

        Saving what is saved already adds nothing and returns the newest revision. ``indication`` None keeps it. Raises
        Conflict, SignedIsFinal, NotFound, and UsageError for a sentence that is not what its origin says.
        """
        kept = tuple(
            Sentence(
                field(s.id, "sentence's id", 100), field(s.text, "sentence"), s.origin, s.status, _tidied(s.original)
            )
            for s in _few(sentences)
        )
        if len({sentence.id for sentence in kept}) < len(kept):
            raise UsageError("Two sentences of the report have the same id. Reload the report.")
        with self._changing(report_id, "revision-saved") as (db, report):
            signing.refuse_stale(report, based_on)
            described = report.indication if indication is None else field(indication, "indication")
            if report.revision:
                newest = rows.revision(db, report_id, report.revision)
                if newest.sentences == kept and newest.indication == described:
                    return newest
            signing.refuse_mislabelled(((s.id, s.text, s.origin, s.original) for s in kept), rows.drafts(db, report_id))
            event = self._event(db, "U", "revision-saved", report_id, {"revision": report.revision + 1})
            return self._add_revision(db, report, kept, described, event, None)

    def sign(self, report_id: str, *, name: str, based_on: int) -> Signature:
        """Sign the newest revision, which must be ``based_on``, and freeze the report for good.

        Raises UsageError for a blank name or an empty report, NotReviewed while a sentence is undecided, Conflict,
        SignedIsFinal, NotFound.
        """
        name = " ".join(field(name, "name", 200).split())
        if not name:
            raise UsageError("Type your name to sign.")
        with self._changing(report_id, "signed") as (db, report):
            signing.refuse_stale(report, based_on)
            if not report.revision:
                raise UsageError("The report is empty. Accept or write at least one sentence before signing.")
            revision = rows.revision(db, report_id, report.revision)
            drafts = rows.drafts(db, report_id)
            signing.refuse_unready(revision, drafts)
            at = self._clock()
            images = [("current", self._image(db, report.current_sha256))]
            if report.prior_sha256 is not None:
                images.append(("prior", self._image(db, report.prior_sha256)))
            content = signing.content(
                report,
                revision,
                drafts,
                self._patient_by_key(db, report.patient_key),
                images,
                self._accession(db, report.current_sha256),
                name=name,
                who=self._who,
                signed_at=at,
                application=self._application,
            )
            row = {
                "report": report_id,
                "revision": revision.number,
                "name": name,
                "meaning": MEANING,
                "signed_at": stamp(at),
                "sha256": sha256(content),
                "content": content,
            }
            db.table("signature").insert(row)
            event = self._event(db, "E", "signed", report_id, {"revision": revision.number, "sha256": sha256(content)})
            db.execute(
                "UPDATE report SET state = 'signed', signed_at = ?, updated_at = ?, changed = ? WHERE id = ?",
                [stamp(at), stamp(event.at), event.seq, report_id],
            )
            return rows.signature(row)

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
            return self._event(db, action, kind, subject_id, detail, outcome)

    def report(self, report_id: str) -> ReportDetail:
        """The report with patient, images, drafts, revisions, signature and events. Raises NotFound."""
        with self._history.reading() as db:
            return self._detail(db, report_id)

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
            return signing.check(db, self._detail(db, report_id))

    def backup(self, path: Path) -> Path:
        """Write a complete copy of the database to ``path`` while it is in use. Image files are not part of it."""
        self._history.copy_to(path)
        return path

    def backup_if_due(self) -> Path | None:
        """Make the hourly copy if the last one is older than an hour; keep the newest seven. Returns the new copy."""
        now = self._clock()
        kept = newest_first(self._backups, "history")
        due_name = copy_name("history", now - BACKUP_EVERY)
        if any(due_name < copy.name <= copy_name("history", now) for copy in kept):
            return None
        made = self.backup(self._backups / copy_name("history", now))
        with translated():
            for old in newest_first(self._backups, "history")[BACKUPS_KEPT:]:
                old.unlink()
        return made

    def doctor(self) -> tuple[Fault, ...]:
        """Everything that is wrong with the database, the log, the signatures and the stored files."""
        with self._history.reading() as db:
            return doctor.examine(db, self._files, lambda report_id: self._detail(db, report_id))

    def collect_orphans(self) -> tuple[Path, ...]:
        """Delete stored files that no image mentions, left by a crash between file and row, and return them."""
        with self._history.writing() as db:
            known = {sha for (sha,) in db.execute("SELECT sha256 FROM image")}
            found = tuple(self._files.others(known))
            for file in found:
                file.unlink()
            if found:
                self._event(db, "D", "orphans-collected", "", {"files": len(found)})
        return found

    # Inside a transaction

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

    def _event(
        self,
        db: Database,
        action: str,
        kind: str,
        subject: str,
        detail: Mapping[str, Scalar] | None = None,
        outcome: Outcome = "success",
    ) -> Event:
        return event_log.append(
            db,
            at=stamp(self._clock()),
            who=self._who,
            action=action,
            kind=kind,
            subject=subject,
            outcome=outcome,
            source=self._application,
            detail=detail,
        )

    def _add_revision(
        self,
        db: Database,
        report: Report,
        sentences: tuple[Sentence, ...],
        indication: str,
        event: Event,
        draft_id: str | None,
    ) -> Revision:
        number = report.revision + 1
        db.table("revision").insert(
            {
                "report": report.id,
                "number": number,
                "created_at": stamp(event.at),
                "who": self._who,
                "draft": draft_id,
                "indication": indication,
                "sentences": rows.sentences_json(sentences),
            }
        )
        revision = rows.revision(db, report.id, number)
        state = "reviewed" if revision.text and not revision.unreviewed else "draft"
        db.execute(
            "UPDATE report SET state = ?, revision = ?, updated_at = ?, changed = ? WHERE id = ?",
            [state, number, stamp(event.at), event.seq, report.id],
        )
        # Undecided sentences are found too; rejected ones never.
        text = " ".join(sentence.text for sentence in sentences if sentence.status != "rejected")
        row = db.execute("SELECT row FROM report WHERE id = ?", [report.id]).fetchone()[0]
        fulltext.change(db, row, {"indication": indication, "text": text})
        return revision

    def _detail(self, db: Database, report_id: str) -> ReportDetail:
        report = rows.report(db, report_id)
        row = rows.one(db, "SELECT * FROM signature WHERE report = ?", [report_id])
        if row is None:
            patient = self._patient_by_key(db, report.patient_key)
            current = self._image(db, report.current_sha256)
            prior = None if report.prior_sha256 is None else self._image(db, report.prior_sha256)
            accession = self._accession(db, report.current_sha256)
        else:
            signed = parsed(row["content"])
            images = {facts["role"]: rows.image(facts, self._files) for facts in signed["images"]}
            patient, accession = rows.patient(signed["patient"]), str(signed["accession"])
            current, prior = images["current"], images.get("prior")
        return ReportDetail(
            report=report,
            patient=patient,
            current=current,
            prior=prior,
            accession=accession,
            drafts=rows.drafts(db, report_id),
            revisions=rows.revisions(db, report_id),
            signature=None if row is None else rows.signature(row),
            events=event_log.of_subject(db, report_id),
        )

    def _image(self, db: Database, sha256: str) -> StoredImage:
        row = rows.one(db, "SELECT * FROM image WHERE sha256 = ?", [sha256])
        if row is None:
            raise NotFound("The image is not in this history. Open its file again.")
        return rows.image(row, self._files)

    def _patient_of(self, db: Database, sha256: str) -> StoredPatient:
        sql = (
            "SELECT p.* FROM patient p JOIN study y ON y.patient = p.key JOIN image i ON i.study = y.key"
            " WHERE i.sha256 = ?"
        )
        row = rows.one(db, sql, [sha256])
        if row is None:
            raise NotFound("The image is not in this history. Open its file again.")
        return rows.patient(row)

    def _patient_by_key(self, db: Database, key: str) -> StoredPatient:
        row = rows.one(db, "SELECT * FROM patient WHERE key = ?", [key])
        if row is None:
            raise NotFound("The patient is not in this history.")
        return rows.patient(row)

    def _accession(self, db: Database, sha256: str) -> str:
        sql = "SELECT y.accession FROM study y JOIN image i ON i.study = y.key WHERE i.sha256 = ?"
        row = db.execute(sql, [sha256]).fetchone()
        return str(row[0]) if row else ""


def _tidied(text: str | None) -> str | None:
    return None if text is None else field(text, "sentence")


def _few(sentences: Sequence[Kept]) -> Sequence[Kept]:
    if len(sentences) > MOST_SENTENCES:
        raise UsageError(f"A report has at most {MOST_SENTENCES} sentences.")
    return sentences


def _was_used(home: Path) -> bool:
    """Whether images or copies of a database lie in ``home``: then an absent database is a loss, not a beginning."""
    return any(any((home / name).rglob("*")) for name in ("files", "backups") if (home / name).is_dir())


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"

"""The report on the screen: draft, stop, review, sign, export. One method per event of the page.

Every method leaves the session in a state that can be shown; what the reader must know and cannot do is a notice or a
question, not an exception. Everything shown as saved is in the history already. Knows no widget.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.services import document, review
from app.services.chosen import Chosen
from app.services.jobs import DecodingChoice, DraftJob, DraftRequest, Sight
from app.services.models import ModelHost
from app.services.review import Posted
from app.services.sessions import notify
from app.services.state import NUMBERS, Case, Exported, Option, Question, Session
from engine.drafting import Asking
from engine.errors import Conflict, NotFound, SignedIsFinal, UsageError
from engine.records import NewDraft, Records, ReportDetail, Sentence
from engine.reports import export
from engine.reports.language import ENGLISH, LANGUAGES

LONGEST_CONTEXT = 4000
HISTORY_MARK = "\nHistory: "
SECTIONS = ("findings", "impression")


def stored_context(indication: str, history: str) -> str:
    """Both fields as the one text that the history keeps and the export prints."""
    return indication.strip() + (HISTORY_MARK + history.strip() if history.strip() else "")


def split_context(stored: str) -> tuple[str, str]:
    """Indication and history again."""
    indication, _, history = stored.partition(HISTORY_MARK)
    return indication, history


def prompt_context(indication: str, history: str) -> str:
    """The clinical context in the words the published models were trained with."""
    parts = [
        f"{label}: {text.strip()}" for label, text in (("Indication", indication), ("History", history)) if text.strip()
    ]
    return "\n".join(parts)


def same_pair(detail: ReportDetail, case: Case) -> bool:
    """Whether the report is about the images that are compared in the case."""
    prior = case.prior.sha256 if case.prior is not None else None
    return (
        case.current is not None
        and detail.report.current_sha256 == case.current.sha256
        and detail.report.prior_sha256 == prior
    )


class Reporting:
    """``exports`` is the folder where exported files lie."""

    def __init__(self, records: Records, models: ModelHost, exports: Path) -> None:
        self.records = records
        self.models = models
        self.folder = exports
        self._lock = threading.Lock()
        self._tickets: dict[str, Path] = {}
        self._reports: dict[str, threading.RLock] = {}

    @staticmethod
    def expect(session: Session, sheet: object) -> None:
        """Raise Conflict when what a page sends was done on a sheet that is not the one on the screen any more."""
        if sheet != session.sheet:
            raise Conflict(
                "Another report has come onto the screen since. What you did on the one before was not taken."
            )

    # -- the fields -----------------------------------------------------------------------------------------------

    def set_context(self, session: Session, indication: str, history: str) -> None:
        """Indication and history as typed; kept with the report at once where there is one."""
        indication, history = _field(indication), _field(history)
        if (indication, history) == (session.indication, session.history):
            return
        if session.report is not None and session.report.report.state == "signed":
            return
        session.indication, session.history = indication, history
        revision = session.report.newest if session.report is not None else None
        if session.report is not None and revision is not None:
            self._save(session, revision.sentences)

    # -- drafting -------------------------------------------------------------------------------------------------

    def draft(
        self,
        session: Session,
        model: Chosen,
        section: str,
        prompt: str,
        decoding: DecodingChoice,
        *,
        language: str = ENGLISH,
        sure: bool = False,
    ) -> None:
        """Begin a draft of the pair on the screen. A draft that is running already is left alone.

        Args:
            language: of the report, one of LANGUAGES; one the model does not write is refused by the engine.
            sure: the reader has said that a new draft may take the place of one that was worked on.
        """
        if session.job is not None and not session.job.sight.done:
            return
        case = session.case
        if case is None or case.current is None:
            raise UsageError("Open a radiograph first, and say which one is the current image.")
        self.models.require(model)
        if section not in SECTIONS:
            raise UsageError("A draft is made of the findings or the impression.")
        if language not in LANGUAGES:
            raise UsageError("A report is written in English, in Chinese, or in both.")
        if not sure and session.report is not None and self._touched(session, case):
            session.question = Question(
                secrets.token_hex(4),
                "redraft",
                "You have worked on this draft. A new draft replaces the model's sentences; your own stay. "
                "The version on the screen remains in the history.",
                (Option("draft", "Draft again"), Option("keep", "Keep this one")),
            )
            return
        detail = self._report_for(session, case, section)
        request = DraftRequest(
            current=case.current,
            prior=case.prior,
            asking=Asking(
                section=section,
                prompt=_field(prompt) or None,
                context=prompt_context(session.indication, session.history),
                hints=self.records.phrases(detail.report.id),
                language=language,
            ),
            decoding=decoding,
        )
        report_id = detail.report.id
        job = DraftJob(request, lambda new: self._keep_draft(report_id, new))
        self.models.submit(model, job)
        session.job = job

    def watch(self, session: Session) -> Iterator[Sight]:
        """The running draft from now until just before its end."""
        if session.job is not None:
            yield from (sight for sight in session.job.watch() if not sight.done)

    def settle(self, session: Session) -> None:
        """Show the kept result of a draft that has ended, whichever page was watching."""
        job = session.job
        if job is None or not job.sight.done:
            return
        session.job = None
        if job.sight.problem:
            notify(session, job.sight.problem, "warning")
        self.reload(session)

    def stop(self, session: Session) -> None:
        """Stop the running draft after its next token."""
        if session.job is not None:
            session.job.stop()

    def _touched(self, session: Session, case: Case) -> bool:
        """Whether a new draft would replace work of the reader (a new pair gets a report of its own instead)."""
        if session.report is None or not same_pair(session.report, case):
            return False
        revision = session.report.newest
        chosen = {s.id for draft in session.report.drafts if draft.answer for s in draft.sentences}
        return revision is not None and any(
            s.origin != "human" and (s.decided or s.id in chosen) for s in revision.sentences
        )

    def _keep_draft(self, report_id: str, new: NewDraft) -> None:
        """Store the draft; the reader's own sentences of the version before are carried over behind it."""
        with self._of(report_id):
            before = self.records.report(report_id).newest
            own = [s for s in before.sentences if s.origin == "human"] if before is not None else []
            row = self.records.save_draft(report_id, new, review.drafted(new.text))
            if own:
                self.records.save_revision(report_id, (*row.sentences, *own), based_on=row.revision)

    # -- review ---------------------------------------------------------------------------------------------------

    def review(self, session: Session, posted: Posted) -> None:
        """Save the sentences as the page has them now; what a newer change has overtaken is dropped."""
        self.expect(session, posted.sheet)
        if posted.number > session.edit_number:
            self._apply(session, posted)

    def _apply(self, session: Session, posted: Posted) -> None:
        session.edit_number = max(session.edit_number, posted.number)
        case = session.case
        if session.report is None:
            if case is None or case.current is None:
                raise UsageError("Open a radiograph first; a report belongs to an image.")
            self._report_for(session, case, SECTIONS[0])
        assert session.report is not None
        revision = session.report.newest
        sentences = review.reviewed(revision.sentences if revision is not None else (), posted.sentences)
        if revision is None or sentences != revision.sentences:
            self._save(session, sentences)

    def insert(self, session: Session, answer_id: str, posted: Posted) -> None:
        """Add an answer to the report on the screen: its sentences are the model's and wait for a review.

        ``posted`` is what the page shows, saved first.
        """
        self.expect(session, posted.sheet)
        if session.report is None:
            raise UsageError("There is no report yet. Draft one, or write the first sentence.")
        if session.job is not None and not session.job.sight.done:
            raise UsageError("The draft is still being written. Wait for it, or stop it.")
        if session.report.signature is not None:
            raise SignedIsFinal("The report is signed and stays as it is. Begin a new report to use this answer.")
        answer = self.records.answer(answer_id)
        self._apply(session, posted)
        report = session.report.report
        try:
            with self._of(report.id):
                self.records.insert_answer(report.id, answer_id, review.drafted(answer.text), based_on=report.revision)
        finally:
            self.reload(session)

    def _save(self, session: Session, sentences: Sequence[Sentence]) -> None:
        """A new revision on top of the one on the screen; somebody else's newer one is shown instead of overwritten."""
        assert session.report is not None
        report = session.report.report
        indication = stored_context(session.indication, session.history)
        try:
            with self._of(report.id):
                self.records.save_revision(report.id, sentences, based_on=report.revision, indication=indication)
        except Conflict:
            self.reload(session)
            raise
        self.reload(session)

    # -- sign and export ------------------------------------------------------------------------------------------

    def sign(self, session: Session, name: str, posted: Posted) -> None:
        """Freeze the report under a typed name. ``posted`` is what the page shows, saved first."""
        self.expect(session, posted.sheet)
        if session.report is None:
            raise UsageError("There is no report yet. Draft one, or write the first sentence.")
        if session.job is not None and not session.job.sight.done:
            raise UsageError("The draft is still being written. Wait for it, or stop it.")
        if session.report.signature is not None:
            return
        self._apply(session, posted)
        self._needs_patient(session.report)
        signer = review.clean(name)
        if not signer:
            raise UsageError("Type your name to sign.")
        review.refuse_undecided(session.report.newest)
        report = session.report.report
        try:
            with self._of(report.id):
                self.records.sign(report.id, name=signer, based_on=report.revision)
        except Conflict:
            self.reload(session)
            raise
        self.reload(session)
        session.exports = ()
        self.records.backup_if_due()

    def export(self, session: Session, posted: Posted) -> None:
        """Write one PDF and one text file into the export folder and offer both."""
        self.expect(session, posted.sheet)
        if session.report is None or session.report.newest is None:
            raise UsageError("There is no report to export yet.")
        if session.report.signature is None:
            self._apply(session, posted)
        self._needs_patient(session.report)
        files = export.export(document.build(session.report), self.folder)
        self.records.record_event("exported", session.report.report.id, {"files": len(files)})
        offered = []
        for path in files:
            ticket = secrets.token_urlsafe(18)
            with self._lock:
                self._tickets[ticket] = path
            offered.append(Exported(path.name, ticket))
        session.exports = tuple(offered)

    def exported(self, ticket: str) -> Path:
        """The file behind a download address. Raises NotFound for one this process has not written."""
        with self._lock:
            path = self._tickets.get(ticket)
        if path is None or not path.is_file():
            raise NotFound("This export is not here any more. Export the report again.")
        return path

    def _needs_patient(self, detail: ReportDetail) -> None:
        if not detail.patient.known:
            raise UsageError("The picture is not identified. Say under Images whose it is; then sign and export.")

    # -- the report itself ----------------------------------------------------------------------------------------

    def _report_for(self, session: Session, case: Case, section: str) -> ReportDetail:
        """The report on the screen if it is of this pair and not signed, else a new one."""
        detail = session.report
        if detail is not None and detail.signature is None and same_pair(detail, case):
            return detail
        assert case.current is not None
        report = self.records.new_report(
            case.current.sha256,
            case.prior.sha256 if case.prior is not None else None,
            stored_context(session.indication, session.history),
            section,
        )
        if detail is not None:
            session.sheet = next(NUMBERS)
        session.report = self.records.report(report.id)
        session.exports = ()
        return session.report

    def reload(self, session: Session) -> None:
        """Show the report as the history has it."""
        if session.report is not None:
            session.report = self.records.report(session.report.report.id)

    def show(self, session: Session, detail: ReportDetail) -> None:
        """Put a report of the history on the screen."""
        session.sheet = next(NUMBERS)
        session.report = detail
        revision = detail.newest
        stored = revision.indication if revision is not None else detail.report.indication
        session.indication, session.history = split_context(stored)
        session.exports = ()

    def clear(self, session: Session) -> None:
        """No report on the screen; what was written stays in the history."""
        session.sheet = next(NUMBERS)
        session.report = None
        session.exports = ()

    def _of(self, report_id: str) -> threading.RLock:
        """Serialises what this process does to one report: a read and the write that rests on it."""
        with self._lock:
            return self._reports.setdefault(report_id, threading.RLock())


def _field(text: str) -> str:
    """A field of the form: plain text, its lines kept, bounded."""
    if len(text) > LONGEST_CONTEXT:
        raise UsageError(f"Indication, history and prompt may have {LONGEST_CONTEXT} characters at most.")
    text = review.BIDI.sub("", text.replace("\r\n", "\n"))
    return "".join(character for character in text if character == "\n" or character.isprintable()).strip()

"""Questions about the comparison on the screen: ask, stop, and what the page shows of the conversation.

A conversation belongs to a patient and two images and to no page: an answer that comes after the reader has moved on
is kept with the comparison it was asked about, and is shown there only. It waits in the same queue as the drafts. What
was asked before goes along with each question, as far as it fits into the model. Knows no widget; logs no word of it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.services import wording
from app.services.chosen import Chosen
from app.services.jobs import DecodingChoice, DraftJob, DraftRequest, Sight
from app.services.models import ModelHost
from app.services.reporting import Reporting, prompt_context, same_pair
from app.services.review import plain
from app.services.state import Case, Session
from app.services.views import AnswerView, AskView, TurnView
from engine.drafting import Asking, Turn
from engine.errors import Conflict, UsageError
from engine.imaging.types import Image
from engine.records import AnswerRow, NewDraft, Records, ReportDetail

LONGEST_QUESTION = 2000
MOST_TURNS = 20
"""Turns that are put to a model again, at most: what is older is seldom meant."""

WITH_PRIOR = ("What changed since the prior?", "Is there a pneumothorax?", "Is there a pleural effusion?")
WITHOUT_PRIOR = ("Is there a pneumothorax?", "Is there a pleural effusion?", "Is the heart enlarged?")

NO_IMAGE = "Open a radiograph to ask about it."
MOVED_ON = "Another comparison has come onto the screen since. The question was not asked."
SAID_OTHERWISE = ("cancelled", "empty")
"""Checks that a turn's state says already."""

STOPPED = "The answer was stopped before its first word."


@dataclass(frozen=True)
class Pair:
    """What a conversation is about: one patient, as the images name it, and the two images."""

    issuer: str
    patient: str
    current: str
    prior: str | None

    @classmethod
    def of(cls, current: Image, prior: Image | None) -> Pair:
        """The pair of two images."""
        who = current.patient
        return cls(who.issuer, who.id, current.sha256, prior.sha256 if prior is not None else None)

    @property
    def name(self) -> str:
        """A name for the page, the same as long as the comparison is."""
        words = json.dumps([self.issuer, self.patient, self.current, self.prior])
        return hashlib.sha256(words.encode()).hexdigest()[:32]


@dataclass
class Asked:
    """The last question about a pair: ``job`` while it is being answered, then why it was not, if it was not."""

    id: str
    question: str
    job: DraftJob | None
    kept: bool = False
    problem: str = ""


class Conversing:
    """Holds the running answers by what they are about; everything else is in the records."""

    def __init__(self, records: Records, models: ModelHost, reporting: Reporting) -> None:
        self.records = records
        self.models = models
        self.reporting = reporting
        self._lock = threading.Lock()
        self._asked: dict[Pair, Asked] = {}

    # -- events ---------------------------------------------------------------------------------------------------

    def ask(
        self,
        session: Session,
        model: Chosen,
        question: str,
        decoding: DecodingChoice,
        *,
        sheet: object,
        comparison: str,
        sent: str,
    ) -> None:
        """Put a question. While one about the same comparison is being answered it is left alone.

        ``sheet`` and ``comparison`` are what the page showed, ``sent`` its own id of the question.
        """
        case = session.case
        if case is None or case.current is None:
            raise UsageError(NO_IMAGE)
        pair = Pair.of(case.current, case.prior)
        if comparison != pair.name:
            raise Conflict(MOVED_ON)
        self.reporting.expect(session, sheet)
        if len(question) > LONGEST_QUESTION:
            raise UsageError(f"A question may have {LONGEST_QUESTION} characters at most.")
        words = plain(question)
        if not words:
            raise UsageError("Type a question first.")
        self.models.require(model)
        with self._lock:
            before = self._settled(pair)
            if before is not None and before.job is not None:
                return
            asked = Asked(sent, words, None)
            job = DraftJob(self._request(session, case, words, decoding), self._keeper(case, words, asked))
            self.models.submit(model, job)
            asked.job = job
            self._asked[pair] = asked

    def stop(self, session: Session, comparison: str) -> None:
        """Stop the answer to the question about this comparison; what was written of it is kept as stopped."""
        pair = _pair(session.case)
        asked = self._running(pair)
        if pair is not None and pair.name == comparison and asked is not None and asked.job is not None:
            asked.job.stop()

    def watch(self, session: Session) -> Iterator[Sight]:
        """The answer that is being written about the comparison on the screen, until just before its end."""
        asked = self._running(_pair(session.case))
        if asked is not None and asked.job is not None:
            yield from (sight for sight in asked.job.watch() if not sight.done)

    def stop_all(self) -> None:
        """Stop every answer; what was written by then is kept."""
        with self._lock:
            jobs = [asked.job for asked in self._asked.values() if asked.job is not None]
        for job in jobs:
            job.stop()

    # -- what is asked and kept -----------------------------------------------------------------------------------

    def _request(self, session: Session, case: Case, question: str, decoding: DecodingChoice) -> DraftRequest:
        """The question behind the report on the screen and the turns before it, as many as a model is given."""
        assert case.current is not None
        whole = [row for row in self._rows(case) if row.whole]
        detail = session.report
        drafting = session.job is not None and not session.job.sight.done
        report = _text(detail) if detail is not None and same_pair(detail, case) and not drafting else ""
        turns = [Turn(row.question, row.text) for row in whole[-MOST_TURNS:]]
        # The section has no words of its own: the engine puts the question that a draft of it asks.
        first = [Turn("", report)] if report else []
        return DraftRequest(
            current=case.current,
            prior=case.prior,
            asking=Asking(
                section=detail.report.section if detail is not None else "findings",
                prompt=question,
                context=prompt_context(session.indication, session.history),
                earlier=(*first, *turns),
                hints=tuple(turn.answer for turn in (*turns, *first)),
            ),
            decoding=decoding,
            left_out=len(whole) - len(turns),
        )

    def _keeper(self, case: Case, question: str, asked: Asked) -> Callable[[NewDraft], None]:
        """What keeps the answer with the comparison it is about, whatever is on the screen by then."""
        current, prior = case.current, case.prior
        assert current is not None

        def keep(new: NewDraft) -> None:
            sha256 = prior.sha256 if prior is not None else None
            self.records.save_answer(current.patient, current.sha256, sha256, question, new)
            asked.kept = True

        return keep

    def _rows(self, case: Case) -> tuple[AnswerRow, ...]:
        if case.current is None:
            return ()
        prior = case.prior.sha256 if case.prior is not None else None
        return self.records.answers(case.current.patient, case.current.sha256, prior)

    def _running(self, pair: Pair | None) -> Asked | None:
        with self._lock:
            return self._settled(pair) if pair is not None else None

    def _settled(self, pair: Pair) -> Asked | None:
        """The last question about the pair. Jobs that have ended are let go, with the images they hold."""
        for asked in self._asked.values():
            if asked.job is not None and (sight := asked.job.sight).done:
                asked.problem = STOPPED if asked.job.stopped and not asked.kept else sight.problem
                asked.job = None
        return self._asked.get(pair)

    # -- the page -------------------------------------------------------------------------------------------------

    def view(self, session: Session, model: Chosen) -> AskView:
        """The conversation about the comparison on the screen. Hold the session's lock."""
        case, status = session.case, self.models.status(model)
        pair = _pair(case)
        if case is None or pair is None:
            return AskView("", note=NO_IMAGE)
        asked = self._running(pair)  # before the rows: an answer is kept before its job ends
        rows = self._rows(case)
        running = None
        if asked is not None and asked.job is not None:
            sight = asked.job.sight
            running = AnswerView(asked.id, asked.question, sight.text, sight.status)
        detail = session.report
        drafting = session.job is not None and not session.job.sight.done
        open_report = detail is not None and detail.signature is None and same_pair(detail, case) and not drafting
        inserted = _inserted(detail)
        known = {row.question for row in rows} | ({running.question} if running is not None else set())
        return AskView(
            comparison=pair.name,
            turns=tuple(_turn(row, inserted) for row in rows),
            running=running,
            accepted=asked.id if asked is not None else "",
            problem=asked.problem if asked is not None else "",
            question=asked.question if asked is not None and asked.problem and not asked.kept else "",
            suggestions=tuple(q for q in (WITH_PRIOR if pair.prior else WITHOUT_PRIOR) if q not in known),
            can_ask=running is None and status.state != "none",
            can_insert=open_report,
            mark=wording.DEMONSTRATION if status.demonstration or any(r.demonstration for r in rows) else "",
            note=status.words,
        )


def _pair(case: Case | None) -> Pair | None:
    return Pair.of(case.current, case.prior) if case is not None and case.current is not None else None


def _text(detail: ReportDetail) -> str:
    """The report as it stands, without what was rejected."""
    revision = detail.newest
    return " ".join(s.text for s in revision.sentences if s.status != "rejected") if revision is not None else ""


def _inserted(detail: ReportDetail | None) -> frozenset[str]:
    """Ids of the answers whose sentences are in the report on the screen."""
    if detail is None or detail.newest is None:
        return frozenset()
    present = {sentence.id for sentence in detail.newest.sentences}
    return frozenset(
        draft.answer for draft in detail.drafts if draft.answer and any(s.id in present for s in draft.sentences)
    )


def _turn(row: AnswerRow, inserted: frozenset[str]) -> TurnView:
    warnings = [str(check.get("message", "")) for check in row.checks if check.get("code") not in SAID_OTHERWISE]
    remarks = []
    left_out = row.settings.get("turns_left_out")
    if isinstance(left_out, int):
        turns = "turn" if left_out == 1 else f"{left_out} turns"
        remarks.append(f"Asked without the oldest {turns} of this conversation: the model has no room for more.")
    if row.settings.get("alone"):
        remarks.append("Asked by itself: this model can do nothing with what was said before.")
    if row.finished == "cancelled":
        state, said = "stopped", "Stopped: incomplete, and not put to the model again."
    elif not row.whole:
        state, said = "empty", "The model wrote nothing."
    else:
        state, said = "inserted" if row.id in inserted else "whole", ""
    remarks.extend([said] if said else [])
    return TurnView(row.id, row.question, row.text, tuple(warnings), tuple(remarks), state)  # type: ignore[arg-type]

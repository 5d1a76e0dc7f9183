"""One text being written: runs on the model's thread, can be watched from any number of pages, stops within a token.

It is a draft of a report or the answer to a question; the engine calls both a draft, and so does this module.

The job outlives the page that asked for it: a closed or reloaded page changes nothing, and the result is in the history
before anyone is told that it is done; so is what an engine that failed had written by then. Knows the engine's events
and a function that keeps the result; no page.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace

from app import errors
from engine.drafting import Asking, Comparison, Decoding, Draft, EngineProcess, Token
from engine.errors import Cancelled, TooLong, UsageError
from engine.imaging.types import Image
from engine.records import NewDraft

log = logging.getLogger(__name__)

TICK = 0.06
"""Seconds between two looks of a watching page: often enough to read along, seldom enough to stay cheap."""

NOT_BEGUN = "The draft was stopped before it began."


@dataclass(frozen=True)
class DecodingChoice:
    """The decoding settings of the page, as the engine's ``Decoding`` takes them; None leaves the choice to it."""

    num_beams: int = 1
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    length_penalty: float | None = None
    no_repeat_ngram: int | None = None


@dataclass(frozen=True, eq=False)
class DraftRequest:
    """What is asked of the engine.

    ``left_out`` turns of the conversation are not in it, for want of room; ``alone`` says that none is, because the
    model can do nothing with them.
    """

    current: Image
    prior: Image | None
    asking: Asking
    decoding: DecodingChoice
    left_out: int = 0
    alone: bool = False

    def shortened(self) -> DraftRequest | None:
        """Without the oldest turn of the conversation; the section that is asked about goes last. None without any."""
        earlier = self.asking.earlier
        if not earlier:
            return None
        oldest = 1 if len(earlier) > 1 and not earlier[0].question else 0
        asking = replace(self.asking, earlier=(*earlier[:oldest], *earlier[oldest + 1 :]))
        return replace(self, asking=asking, left_out=self.left_out + 1)

    def by_itself(self) -> DraftRequest:
        """Without anything before the question."""
        return replace(self, asking=replace(self.asking, earlier=()), left_out=0, alone=True)


@dataclass(frozen=True)
class Sight:
    """The job as a watching page sees it. ``problem`` is a sentence when the draft failed."""

    text: str
    status: str
    done: bool
    problem: str = ""


class DraftJob:
    """``keep`` is called once with what is to be stored, on the model's thread, before the job is done."""

    def __init__(self, request: DraftRequest, keep: Callable[[NewDraft], None]) -> None:
        self.request = request
        self._keep = keep
        self._cancel = threading.Event()
        self._begun = False
        self._leave: Callable[[], None] = lambda: None
        self._changed = threading.Condition()
        self._sight = Sight("", "Waiting for the model", False)

    def stop(self) -> None:
        """Stop after the token that is being computed; what was written is kept as a cancelled draft.

        One that still waits for its turn is over at once.
        """
        self._cancel.set()
        with self._changed:
            waits, leave = not self._begun, self._leave
            if waits:
                self.end(NOT_BEGUN)
            elif not self._sight.done:
                self._set(Sight(self._sight.text, "Stopping", False))
        if waits:
            leave()

    def waits(self, ahead: int, leave: Callable[[], None]) -> None:
        """So many requests come before this one; ``leave`` gives its place in the queue up."""
        with self._changed:
            self._leave = leave
            if not self._sight.done:
                self._set(Sight("", _place(ahead), False))

    @property
    def stopped(self) -> bool:
        """Whether somebody has stopped it."""
        return self._cancel.is_set()

    @property
    def sight(self) -> Sight:
        """The job as it stands."""
        with self._changed:
            return self._sight

    def watch(self) -> Iterator[Sight]:
        """The job from now to its end, at most once per TICK, and its last sight always."""
        seen: Sight | None = None
        while True:
            with self._changed:
                while self._sight is seen:
                    self._changed.wait(1.0)
                seen = self._sight
            yield seen
            if seen.done:
                return
            time.sleep(TICK)

    def run(self, engine: EngineProcess) -> None:
        """Draft, keep, and be done; raises nothing."""
        with self._changed:
            if self._sight.done:
                return
            self._begun = True
        try:
            self._draft(engine)
            self.end("")
        except Cancelled as stop:
            self.end(str(stop))
        except Exception as error:
            self.end(errors.sentence(error))

    def fail(self, error: Exception) -> None:
        """The draft could not be begun."""
        self.end(errors.sentence(error))

    def end(self, problem: str) -> None:
        """The job is over, for whatever reason. The first end counts."""
        with self._changed:
            if not self._sight.done:
                self._set(Sight(self._sight.text, "", True, problem))

    def _set(self, sight: Sight) -> None:
        with self._changed:
            self._sight = sight
            self._changed.notify_all()

    def _draft(self, engine: EngineProcess) -> None:
        """Put the request, without as many turns before it as the model cannot take."""
        request = self.request
        while True:
            try:
                again = self._follow(engine, request)
            except TooLong:
                again = request.shortened()
                if again is None:
                    raise
            except UsageError:
                # To a model that answers one question only, a first one can be put without the report.
                if [turn.question for turn in request.asking.earlier] != [""]:
                    raise
                again = request.by_itself()
            if again is None:
                return
            request = again

    def _follow(self, engine: EngineProcess, request: DraftRequest) -> DraftRequest | None:
        """Follow the engine to its end. What it gives is kept at once: an error may come after a part of a draft.

        Many models were taught single questions, and end at once after turns before one: what is to be asked instead.
        """
        kept = False
        events = engine.stream(
            Comparison(request.current, request.prior),
            request.asking,
            decoding=Decoding(**asdict(request.decoding)),
            cancelled=self._cancel.is_set,
        )
        with closing(events):
            for event in events:
                if isinstance(event, Draft):
                    if request.asking.earlier and event.finished == "stop" and not event.text.strip():
                        return request.by_itself()
                    self._keep(from_draft(event, request))
                    kept = True
                elif isinstance(event, Token):
                    self._set(Sight(event.text_so_far, "Writing", False))
                elif self._cancel.is_set():
                    break
                else:
                    self._set(Sight("", event.message, False))
        if not kept:
            raise Cancelled("The draft was stopped before its first word.")
        return None


def _place(ahead: int) -> str:
    """A place in the queue, in words."""
    if not ahead:
        return "Waiting for the model"
    return "Waiting: one request comes first" if ahead == 1 else f"Waiting: {ahead} requests come first"


def settings(request: DraftRequest, draft: Draft) -> dict[str, object]:
    """What the draft was made with, as stored and printed.

    The precision is that of the engine that wrote it, which may be a smaller one than was chosen; a server's is not
    known.
    """
    decoding = draft.decoding
    return {
        "section": request.asking.section,
        "language": request.asking.language,
        "num_beams": decoding.num_beams,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "seed": decoding.seed,
        "length_penalty": decoding.length_penalty,
        "no_repeat_ngram": decoding.no_repeat_ngram,
        "max_new_tokens": decoding.max_new_tokens,
        "dtype": draft.model.dtype or None,
        "quantization": draft.model.quantization or None,
        **({"served": draft.model.served} if draft.model.served else {}),
        **({"turns_left_out": request.left_out} if request.left_out else {}),
        **({"alone": True} if request.alone else {}),
    }


def from_draft(draft: Draft, request: DraftRequest) -> NewDraft:
    """What the engine gave, as the history keeps it."""
    return NewDraft(
        text=draft.text,
        token_ids=draft.token_ids,
        model_name=draft.model.name,
        model_sha256=draft.model.sha256,
        settings=settings(request, draft),
        checks=tuple({"code": check.code, "message": check.message} for check in draft.checks),
        prompt=draft.prompt,
        finished=draft.finished,
        demonstration=draft.model.demonstration,
        timings=asdict(draft.timings),
    )

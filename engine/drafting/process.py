"""The engine in a process of its own: the door of ``Engine``, for a program that must outlive what happens behind it.

The viewer uses it. A crash of a library, a kill by the system when memory runs out, a driver that hangs: the draft that
was being written ends with a sentence, what had arrived of it is given as a cancelled draft, the engine starts again,
and the program never noticed. It needs no torch itself, so that it starts at once and stays small. Commands use
``Engine`` in their own process: there is nobody to survive for, a script sees the real exception, and memory is
counted where it is used.

What differs from ``Engine``: ``cancelled`` is asked all the time and not once a token; before the first token it ends
the stream with Cancelled. A stream that fails after its first word gives the cancelled Draft and then raises. A model
whose files have changed is loaded anew before the next draft, which says so.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from engine.drafting import messages
from engine.drafting.child import Child, Died
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, Event, ModelInfo, Progress, Token
from engine.drafting.files import Stamp, changed
from engine.drafting.messages import Array, Ask, Asked, Failed, Load, Loaded, Stop
from engine.drafting.question import Asking
from engine.drafting.settings import Decoding
from engine.drafting.unfinished import Unfinished
from engine.errors import Cancelled, IntervalError, ModelError, ResourceError

__all__ = ["EngineProcess"]

log = logging.getLogger(__name__)

POLL_S = 0.05
"""Seconds between two questions whether the draft is still wanted."""

SILENCE_S = 900.0
"""Seconds without a sign of life in a draft after which the engine counts as hung; a token takes a few at worst."""

FINDINGS = Asking()

BEFORE = "The draft was stopped before its first word."
NOT_LOADED = "The draft was stopped before its model was loaded."
CLOSING = "The draft was stopped because the program is closing."
CHANGED = "The model's files have changed since they were loaded; it was loaded anew for this draft."
FAULT = "Something went wrong in the engine; the text ends where it stopped."
STOPPED = "The engine stopped unexpectedly"
MEMORY = "probably not enough memory. Close other programs, or use fewer beams or a smaller model."


class _Silent(Exception):
    """The process gave no sign of life and was ended."""


class EngineProcess:
    """One loaded model in a process of its own. One stream at a time; ``close`` may be called from any thread.

    Attributes:
        info: which model, from where, in which dtype.
        warnings: sentences for the user about how it was loaded.
    """

    info: ModelInfo
    warnings: tuple[str, ...]

    def __init__(
        self, load: Load, *, engine: str = "", silence_s: float = SILENCE_S, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Start the process and wait until the model is loaded; see ``load``."""
        self._load = load
        self._engine = engine
        self._silence_s = silence_s
        self._streaming = threading.Lock()
        self._starting = threading.Lock()
        self._closed = self._loading = False
        self._files: tuple[Stamp, ...] = ()
        self._word = ""
        self._number = 0
        self._child = self._start()
        try:
            self._await_loaded(cancelled or (lambda: False))
        except BaseException:
            self.close()
            raise

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        engine: str = "",
        silence_s: float = SILENCE_S,
        cancelled: Callable[[], bool] | None = None,
        **options: str | Path | float | bool | None,
    ) -> EngineProcess:
        """``Engine.load`` in a new process: ``options`` are its arguments, and the errors are its errors.

        Args:
            path: the model folder.
            engine: another loader than the real one, as worker.py takes it.
            silence_s: seconds without a sign of life in a draft after which the process is ended.
            cancelled: asked while the model is being loaded; True ends the process and raises Cancelled.
        """
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
        return cls(Load(str(path), plain), engine=engine, silence_s=silence_s, cancelled=cancelled)

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id, for who watches its memory; another one after a restart."""
        return self._child.pid

    def close(self) -> None:
        """End the process. A stream that runs gives what it has as a cancelled Draft and raises Cancelled."""
        with self._starting:
            self._closed = True
        self._child.end()

    def draft(self, comparison: Comparison, asking: Asking = FINDINGS, *, decoding: Decoding | None = None) -> Draft:
        """The finished draft; ``stream`` without the events."""
        *_, last = self.stream(comparison, asking, decoding=decoding)  # to the end: an error after a cancelled draft
        assert isinstance(last, Draft)
        return last

    def stream(
        self,
        comparison: Comparison,
        asking: Asking = FINDINGS,
        *,
        decoding: Decoding | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """``Engine.stream`` there; the arguments are the same.

        If the process ends before the first token, it is started again and asked once more, once.

        Raises (while iterating):
            What Engine.stream raises, also after a cancelled Draft of what had been written.
            ResourceError, ModelError: the process ended; it is being started again for the next draft.
            Cancelled: ``cancelled`` before the first word, or ``close``.
        """
        current, arrays = messages.pack(comparison.current)
        prior = None
        if comparison.prior is not None:
            prior, more = messages.pack(comparison.prior)
            arrays += more
        ask = Ask(current, prior, asking, decoding or Decoding())
        wanted = cancelled or (lambda: False)
        if not self._streaming.acquire(blocking=False):
            raise RuntimeError("one draft at a time: who has several lets them wait")
        try:
            for repeated in (False, True):
                yield from self._made_ready(wanted)
                seen = Unfinished(comparison, asking.language)
                try:
                    yield from self._written(seen, ask, arrays, wanted)
                    return
                except (Died, _Silent, IntervalError, RuntimeError) as cause:
                    error = self._after(cause)
                    if isinstance(cause, Died) and not (seen.text or repeated or self._closed or wanted()):
                        log.warning("draft %d is begun again", self._number)
                        continue
                    draft = seen.draft(self.info, str(error) if isinstance(error, IntervalError) else FAULT)
                    if draft is not None:
                        yield self._with_word(draft)
                    if error is cause:
                        raise
                    raise error from cause
        finally:
            self._streaming.release()

    # -- the process ----------------------------------------------------------------------------------------------

    def _start(self) -> Child:
        """A new process that begins to load; nobody waits for it here. Raises ResourceError, or Cancelled if closed."""
        with self._starting:
            if self._closed:
                raise Cancelled(CLOSING)
            self._loading = True
            self._child = Child(self._engine)
            self._child.send(0, self._load)
            return self._child

    def _made_ready(self, cancelled: Callable[[], bool]) -> Iterator[Progress]:
        """Have a process with the model in it, as its files are now."""
        if self._child.ended:
            self._child.end()
            yield Progress("loading", None, "The engine is started again")
            self._start()
        elif not self._loading and changed(self._files):
            log.info("the files of model %s have changed", self.info.sha256[:12])
            self._word = CHANGED
            yield Progress("loading", None, "The model's files have changed: it is loaded anew")
            self._child.end()
            self._start()
        if self._loading:
            yield Progress("loading", None, "The model is being loaded")
            self._await_loaded(cancelled)

    def _await_loaded(self, cancelled: Callable[[], bool]) -> None:
        """Wait for the model. A process that ends meanwhile is not started again: it would end again."""
        while self._loading:
            try:
                packet = self._child.receive(POLL_S)
            except Died as death:
                raise self._reason(death, " while it loaded the model") from death
            if packet is None:
                if cancelled():
                    raise Cancelled(NOT_LOADED)
            elif isinstance(packet.message, Loaded):
                self.info, self.warnings = packet.message.info, packet.message.warnings
                self._files = packet.message.files
                self._loading = False
            elif isinstance(packet.message, Failed):
                self._child.end()
                raise packet.message.error()

    def _after(self, cause: Exception) -> Exception:
        """What a stream that has failed raises; the process is started again where it ended or cannot be trusted."""
        if isinstance(cause, IntervalError):
            return cause
        error = self._reason(cause) if isinstance(cause, Died | _Silent) else cause
        self._child.end(patience=0)
        try:
            self._start()
        except IntervalError as refusal:  # the next draft tries again
            log.info("the engine is not started again: %s", type(refusal).__name__)
        return error

    def _reason(self, cause: Exception, when: str = "") -> IntervalError:
        """Why the process ended, as far as its end tells. SIGKILL is what Linux sends when memory has run out."""
        if self._closed:
            return Cancelled(CLOSING)
        if isinstance(cause, _Silent):
            return ResourceError(f"The engine gave no sign of life for {self._silence_s / 60:.0f} minutes.")
        code = cause.code if isinstance(cause, Died) else 0
        log.warning("the engine ended with %d%s", code, when)
        if hasattr(signal, "SIGKILL") and code == -signal.SIGKILL:
            return ResourceError(f"{STOPPED}{when}; {MEMORY}")
        return ModelError(f"{STOPPED}{when}. If this happens again, try another model or fewer beams.")

    # -- one draft ------------------------------------------------------------------------------------------------

    def _written(
        self, seen: Unfinished, ask: Ask, arrays: Sequence[Array], cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        """Put the question and pass on what comes. Raises Died, _Silent, and what the engine raised."""
        self._number += 1
        number, child = self._number, self._child
        child.send(number, ask, arrays)
        stopping = False
        heard = time.monotonic()
        try:
            while True:
                packet = child.receive(POLL_S)
                if packet is None:
                    if time.monotonic() - heard > self._silence_s:
                        raise _Silent
                elif packet.number == number:  # else it is the end of a draft that nobody waited for
                    message = packet.message
                    if isinstance(message, Failed):
                        raise message.error()
                    if isinstance(message, Draft):
                        yield self._with_word(message)
                        return
                    if isinstance(message, Asked):
                        seen.asked(message)
                    elif isinstance(message, Progress):
                        seen.progress(message)
                        yield message
                    elif isinstance(message, Token):
                        seen.token(message)
                        yield message
                if packet is not None:
                    heard = time.monotonic()
                if not stopping and cancelled():
                    if not seen.text:
                        raise Cancelled(BEFORE)
                    stopping = True
                    child.send(number, Stop(keep=True))
        finally:
            child.send(number, Stop(keep=False))  # if it is not at its end already, nobody waits for the rest

    def _with_word(self, draft: Draft) -> Draft:
        """The draft, with the word about the model that the reader has not had yet."""
        word, self._word = self._word, ""
        return replace(draft, checks=(*draft.checks, Check("model_changed", word))) if word else draft

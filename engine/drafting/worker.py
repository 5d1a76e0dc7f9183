"""The process that holds the engine: ``python -P -m engine.drafting.worker SETUP``.

It takes the messages of messages.py from its input and answers on its output; one thread takes in, so that a Stop is
heard while the engine computes. It ends with its input, and on Linux with its parent however that ends. It is the first
to go when the machine runs out of memory, leaves no core file (pixels and prompts are in its memory) and, like
every process of the program, logs ids and lines of code alone.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from engine import logs
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Event, ModelInfo
from engine.drafting.files import Stamp, model_files, stamps
from engine.drafting.messages import (
    TO_ENGINE,
    Ask,
    Asked,
    Failed,
    Load,
    Loaded,
    Message,
    Packet,
    Stop,
    largest_arrays,
    receive,
    send,
    unpack,
)
from engine.drafting.question import Asking
from engine.drafting.settings import Decoding
from engine.errors import IntervalError, ResourceError, TooLong
from engine.remote.address import is_address

log = logging.getLogger("engine.drafting.worker")  # the name of this module, also where it is __main__

PR_SET_PDEATHSIG = 1
GOES_FIRST = 500
"""Of 1000: how much more than by its size alone the engine recommends itself to Linux when memory has run out."""

NO_MEMORY = "There is not enough memory for this. Close other programs, or use fewer beams or a smaller model."

LEAST = 48
"""Tokens that turns before a question must leave for its answer: a few words cut off would help nobody."""


class Drafter(Protocol):
    """What does the work here: ``Engine``, or a small stand-in."""

    @property
    def info(self) -> ModelInfo:
        """The model."""

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences about how it was loaded."""

    def asked(self, comparison: Comparison, asking: Asking, *, decoding: Decoding) -> tuple[str, list[int], Decoding]:
        """See ``Engine.asked``."""

    def stream(
        self, comparison: Comparison, asking: Asking, *, decoding: Decoding, cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        """See ``Engine.stream``."""


Loader = Callable[[str, dict[str, Any]], tuple[Drafter, tuple[Stamp, ...]]]


@dataclass(frozen=True)
class Setup:
    """How the program starts this process.

    Attributes:
        engine: "module:function" that loads in place of ``load_engine``; "" for that one.
        parent: the program's process id.
        log_level: that of the program's log, None if it keeps none.
    """

    engine: str
    parent: int
    log_level: int | None


def load_engine(path: str, options: dict[str, Any]) -> tuple[Drafter, tuple[Stamp, ...]]:
    """The engine of a model, and the model's files as they were before they were read; a served model has none."""
    from engine.drafting import loading  # may take seconds: the end of the program must be heard meanwhile

    places = {name: options.get(name) for name in ("base", "adapter", "tower")}
    files = () if is_address(path) else stamps(model_files(path, **places))
    return loading.load(path, **options), files


class Inbox(threading.Thread):
    """What the program has sent: requests in a queue, and the numbers of those that are to be stopped."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="inbox", daemon=True)
        self._stream = stream
        self.requests: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        self.stops: dict[int, Stop] = {}

    def run(self) -> None:
        """Take in until the program closes this process's input, or is gone; then end the process at once."""
        try:
            while (packet := receive(self._stream, TO_ENGINE, arrays=largest_arrays())) is not None:
                if isinstance(packet.message, Stop):
                    self.stops[packet.number] = packet.message
                else:
                    self.requests.put(packet)
        except Exception as error:
            log.error("the program sent what is no message", exc_info=error)
        finally:
            os._exit(0)


class Worker:
    """Does one request after the other."""

    def __init__(self, load: Loader, inbox: Inbox, answers: IO[bytes]) -> None:
        self._load_engine = load
        self._inbox = inbox
        self._answers = answers
        self._engine: Drafter | None = None

    def run(self) -> None:
        """Answer requests for as long as there is a program to answer to."""
        while True:
            packet = self._inbox.requests.get()
            try:
                self._do(packet)
            except BrokenPipeError:
                return
            except IntervalError as error:
                self._say(packet.number, Failed.of(error))
            except Exception as error:
                if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
                    self._say(packet.number, Failed.of(ResourceError(NO_MEMORY)))
                    continue
                log.error("fault in request %d", packet.number, exc_info=error)
                self._say(packet.number, Failed.of(error))

    def _do(self, packet: Packet) -> None:
        message = packet.message
        if isinstance(message, Load):
            self._engine, files = self._load_engine(message.path, message.options)
            self._say(packet.number, Loaded(self._engine.info, tuple(self._engine.warnings), files))
        elif isinstance(message, Ask):
            self._draft(packet.number, message, packet.arrays)

    def _draft(self, number: int, ask: Ask, arrays: bytearray) -> None:
        engine, stops = self._engine, self._inbox.stops
        assert engine is not None, "asked before it was loaded"
        for past in [stopped for stopped in list(stops) if stopped < number]:
            del stops[past]
        pictures = [ask.current] if ask.prior is None else [ask.current, ask.prior]
        comparison = Comparison(*unpack(pictures, arrays))
        prompt, token_ids, decoding = engine.asked(comparison, ask.asking, decoding=ask.decoding)
        if ask.asking.earlier and decoding.max_new_tokens < min(LEAST, ask.decoding.max_new_tokens):
            raise TooLong("The conversation leaves no room for an answer; leave its oldest turns out.")
        self._say(number, Asked(prompt, tuple(token_ids), decoding))
        events = engine.stream(comparison, ask.asking, decoding=decoding, cancelled=lambda: number in stops)
        for event in events:
            self._say(number, event)
            stop = stops.get(number)
            if stop is not None and not stop.keep:
                break  # nobody waits for the rest

    def _say(self, number: int, message: Message) -> None:
        send(self._answers, number, message)


def main(arguments: list[str]) -> int:
    """Work until the program is done with this process."""
    setup = Setup(**json.loads(arguments[0]))
    # libraries may print; only messages may reach the program
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this process itself
    _end_with(setup.parent)
    _leave_no_core()
    _go_first()
    if setup.log_level is not None:
        logs.start(setup.log_level)
    inbox = Inbox(requests)
    inbox.start()
    Worker(_loader(setup.engine), inbox, answers).run()
    return 0


def _loader(name: str) -> Loader:
    if not name:
        return load_engine
    module, function = name.split(":")
    loader: Loader = getattr(import_module(module), function)
    return loader


def _end_with(parent: int) -> None:
    """Have the system kill this process when the parent is no more. Elsewhere than on Linux its input ends then."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before
        os._exit(0)


def _leave_no_core() -> None:
    try:
        import resource
    except ImportError:  # not POSIX
        return
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _go_first() -> None:
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        if int(score.read_text()) < GOES_FIRST:
            score.write_text(str(GOES_FIRST))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

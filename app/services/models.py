"""The one model in memory and the one queue in front of it.

A model is a folder in a precision: another precision of the same folder is loaded in place of the one in memory.

Loading and drafting are asked for on a single thread, first come first served: one generation at a time, whoever asks.
They happen in a process of their own (``EngineProcess``), so that nothing that goes wrong there can take the viewer
with it. The default model is loaded in the background at the start, so that the first draft does not wait for it.
Knows no page and no record.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import psutil

from app import errors
from app.services import installed, servers
from app.services.chosen import Chosen
from app.services.installed import ModelChoice, Stamp
from app.services.plans import base_option
from app.services.servers import Servers
from engine.drafting import EngineProcess
from engine.errors import Cancelled, ModelError, ResourceError, UsageError
from engine.remote.address import is_address

log = logging.getLogger(__name__)

WAITING = 8
CLOSING = "Interval is closing; the draft was not made."


@dataclass(frozen=True)
class ModelStatus:
    """What the screen says of a model: ``words`` is a plain sentence, empty when it is ready."""

    state: Literal["none", "waiting", "loading", "ready", "failed"]
    name: str
    demonstration: bool
    words: str


@dataclass(frozen=True)
class Offered:
    """The models there are now, and which of them is chosen.

    ``gone`` is a sentence where the one that was chosen is there no more and another took its place.
    """

    choices: tuple[ModelChoice, ...]
    path: str
    gone: str = ""


class Work(Protocol):
    """Something to do with an engine. Its methods raise nothing."""

    def waits(self, ahead: int, leave: Callable[[], None]) -> None:
        """So many requests come before it. ``leave`` gives its place up; called by whoever moves the queue."""

    def run(self, engine: EngineProcess) -> None:
        """Its turn has come; on the model's thread."""

    def fail(self, error: Exception) -> None:
        """It cannot be begun."""


@dataclass(frozen=True, eq=False)
class _Task:
    """Something to do with the engine of a model; None where it is only to be loaded."""

    chosen: Chosen
    work: Work | None


class ModelHost:
    """Loads on request, keeps one engine, runs one thing at a time. ``load`` makes the engine of a model."""

    def __init__(self, extra: Path | None = None, load: Callable[[Chosen], EngineProcess] | None = None) -> None:
        self.extra = extra
        self.servers = Servers()
        self._load_engine = load or self._in_a_process
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._waiting: deque[_Task] = deque()
        self._running: _Task | None = None
        self._engine: EngineProcess | None = None
        self._loaded = self._loading = Chosen()
        self._failed: dict[Chosen, str] = {}
        self._stamp: Stamp = ()
        self._demonstrations: dict[str, tuple[Stamp, bool]] = {}
        self._closed = False
        self._worker = threading.Thread(target=self._serve, name="model", daemon=True)
        self._worker.start()

    def choices(self) -> tuple[ModelChoice, ...]:
        """The models to choose from, the default first; those that a server runs come last."""
        return (*installed.installed(self.extra), *self.servers.choices())

    def default(self) -> str:
        """Path of the model that drafts unless another is chosen; "" without any.

        One behind an address is chosen by a person: images are sent to it.
        """
        found = installed.installed(self.extra)
        return found[0].path if found else ""

    def meant(self, chosen: Chosen) -> Chosen:
        """The choice itself, or the default model where none was made."""
        return chosen if chosen.path else chosen.at(self.default())

    def require(self, chosen: Chosen) -> None:
        """Raise UsageError, saying why, unless that model is there to be asked."""
        if not chosen.path:
            raise UsageError(self.status(chosen).words)
        gone = self.offered(chosen).gone
        if gone:
            raise UsageError(gone)

    def offered(self, chosen: Chosen) -> Offered:
        """The models as they lie there now. One that was chosen and is gone gives way to the default."""
        choices = self.choices()
        default = self.default()
        if not chosen.path or chosen.path in {choice.path for choice in choices}:
            return Offered(choices, chosen.path or default)
        name = servers.name(chosen.path)
        if not default:
            gone = f"The model {name} is no longer in the viewer, and no other one is installed: drafting is off."
        else:
            gone = f"The model {name} is no longer in the viewer. {choices[0].label} is chosen instead."
        return Offered(choices, default, f"{gone} All that was drafted before is kept.")

    def preload(self) -> None:
        """Begin loading the default model in the background. A failure is kept for the screen."""
        default = self.meant(Chosen())
        if default.path:
            with self._settled:
                self._waiting.append(_Task(default, None))
                self._moved()

    def status(self, chosen: Chosen) -> ModelStatus:
        """How it stands with a model, for the screen."""
        if not chosen.path:
            words = "Drafting is off: no model is installed. Everything else works; write the report yourself."
            return ModelStatus("none", "", False, words)
        name = servers.name(chosen.path)
        with self._lock:
            if chosen in self._failed:
                return ModelStatus("failed", name, False, f"Drafting is off: {self._failed[chosen]}")
            if self._engine is not None and self._loaded == chosen:
                info = self._engine.info
                return ModelStatus("ready", info.name, info.demonstration, "")
            if self._loading == chosen:
                return ModelStatus("loading", name, self._is_demonstration(chosen.path), "The model is being loaded.")
            return ModelStatus("waiting", name, self._is_demonstration(chosen.path), "")

    def _is_demonstration(self, path: str) -> bool:
        """What the folder says of itself: the mark is there before the model is, and while another precision waits."""
        if is_address(path):
            return False
        stamp = installed.stamp(path)
        known = self._demonstrations.get(path)
        if known is None or known[0] != stamp:
            known = self._demonstrations[path] = stamp, installed.is_demonstration(Path(path))
        return known[1]

    def running(self, chosen: Chosen) -> str:
        """The precision in which the chosen model is in memory; "" while it is not."""
        with self._lock:
            if self._engine is None or self._loaded != chosen:
                return ""
            info = self._engine.info
        return info.dtype if info.quantization == "none" else info.quantization

    def held(self) -> int:
        """Bytes of memory that come free when the model in it goes; mapped files are none."""
        with self._lock:
            engine = self._engine
        with suppress(psutil.Error):
            if engine is not None:
                memory = psutil.Process(engine.pid).memory_info()
                return int(memory.rss - getattr(memory, "shared", 0))
        return 0

    def settle(self, chosen: Chosen) -> bool:
        """Wait until a model is no longer being loaded; False when the program is closing instead."""
        with self._settled:
            self._settled.wait_for(lambda: self._loading != chosen or self._closed)
            return not self._closed

    def submit(self, chosen: Chosen, work: Work) -> None:
        """Queue ``work`` with the engine of a model.

        Raises ResourceError when too many wait already or the program is closing.
        """
        with self._settled:
            if self._closed:
                raise ResourceError(CLOSING)
            if len(self._waiting) + (self._running is not None) >= WAITING:
                raise ResourceError("Too many requests are waiting already. Try again in a moment.")
            self._failed.pop(chosen, None)
            self._waiting.append(_Task(chosen, work))
            self._moved()

    def close(self, seconds: float = 3.0) -> None:
        """Take no more work. What runs should have been stopped before; it gets a moment to end by itself."""
        with self._settled:
            self._closed = True
            refused = list(self._waiting)
            self._waiting.clear()
            self._settled.notify_all()
        for task in refused:
            if task.work is not None:
                task.work.fail(ResourceError(CLOSING))
        self._worker.join(seconds)
        engine = self._engine
        if engine is not None:
            engine.close()  # what is still being written is kept as far as it has come
        self._worker.join(seconds)

    def _moved(self) -> None:
        """The queue is another one: tell everybody in it. Under the lock."""
        ahead = int(self._running is not None and self._running.work is not None)
        for task in self._waiting:
            if task.work is not None:
                task.work.waits(ahead, partial(self._leave, task))
                ahead += 1
        self._settled.notify_all()

    def _leave(self, task: _Task) -> None:
        with self._settled:
            if task in self._waiting:
                self._waiting.remove(task)
                self._moved()

    def _next(self) -> _Task | None:
        """Wait for the next task; None when the program is closing."""
        with self._settled:
            self._running = None
            self._settled.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            self._moved()
            return self._running

    def _serve(self) -> None:
        while (task := self._next()) is not None:
            try:
                engine = self._load(task.chosen)
                if task.work is not None:
                    task.work.run(engine)
            except Exception as error:
                if task.work is not None:
                    task.work.fail(error)

    def _in_a_process(self, chosen: Chosen) -> EngineProcess:
        own = {} if is_address(chosen.path) else {"base": base_option(chosen.path)}
        options: dict[str, Any] = {**chosen.options, **own, **self.servers.options(chosen.path)}
        return EngineProcess.load(chosen.path, cancelled=lambda: self._closed, **options)

    def _load(self, chosen: Chosen) -> EngineProcess:
        """The engine of a model, loaded if it is not the one in memory. Runs on the worker thread only.

        A folder of the same name may hold another model by now: it was taken back, and another was promoted. A server
        may be set otherwise, or not be allowed any more.
        """
        self.servers.options(chosen.path)
        stamp = (*installed.stamp(chosen.path), *self.servers.stamp(chosen.path))
        with self._settled:
            if self._engine is not None and self._loaded == chosen and self._stamp == stamp:
                return self._engine
            before, self._engine = self._engine, None
            self._loaded, self._loading = Chosen(), chosen
        try:
            if before is not None:
                before.close()  # two models may not fit into the memory
            engine = self._load_engine(chosen)
        except Exception as error:
            with self._settled:
                self._loading = Chosen()
                self._settled.notify_all()
                if isinstance(error, Cancelled):
                    raise
                self._failed[chosen] = errors.sentence(error)
            raise ModelError(self._failed[chosen]) from error
        with self._settled:
            self._loading = Chosen()
            if not self._closed:
                self._engine, self._loaded, self._stamp = engine, chosen, stamp
                self._failed.pop(chosen, None)
            self._settled.notify_all()
        if self._engine is not engine:
            engine.close()
            raise Cancelled(CLOSING)
        log.info("model ready: %s", engine.info.sha256)
        return engine

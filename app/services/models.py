"""The one model in memory and the one queue in front of it.

Loading and drafting happen on a single worker thread, first come first served: one generation at a time, whoever asks.
The default model is loaded in the background at the start, so that the first draft does not wait for it. Knows no page
and no record.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app import errors
from engine import paths
from engine.errors import ModelError, ResourceError

if TYPE_CHECKING:
    from engine.drafting import Engine

log = logging.getLogger(__name__)

WAITING = 8


@dataclass(frozen=True)
class ModelStatus:
    """What the screen says of a model: ``words`` is a plain sentence, empty when it is ready."""

    state: Literal["none", "waiting", "loading", "ready", "failed"]
    name: str
    demonstration: bool
    words: str


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be chosen: its label and its folder as text."""

    label: str
    path: str


def installed(extra: Path | None) -> tuple[ModelChoice, ...]:
    """The model folders of ``models/`` by name, and ``extra`` (from the command line) before them."""
    folder = paths.models()
    found = sorted(filter(_drafts, folder.iterdir())) if folder.is_dir() else []
    if extra is not None:
        extra = extra.expanduser().resolve()
        found = [extra, *(entry for entry in found if entry.resolve() != extra)]
    return tuple(ModelChoice(entry.name, str(entry)) for entry in found)


def _drafts(folder: Path) -> bool:
    """Whether the folder looks like a model that writes; a vision tower beside it is none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "dinov2" not in str(config.get("model_type", "")).lower()


def load_engine(path: str) -> Engine:
    """The engine of a model folder. Imported here, on the worker thread: it takes seconds."""
    from engine.drafting import Engine

    return Engine.load(path)


@dataclass(frozen=True)
class _Task:
    """Something to do with the engine of ``path``; ``failed`` is told why it could not be begun."""

    path: str
    work: Callable[[Engine], None]
    failed: Callable[[Exception], None]


class ModelHost:
    """Loads on request, keeps one engine, runs one thing at a time. ``load`` makes the engine of a model folder."""

    def __init__(self, extra: Path | None = None, load: Callable[[str], Engine] | None = None) -> None:
        self.extra = extra
        self._load_engine = load or load_engine
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._path = ""
        self._loading = ""
        self._failed: dict[str, str] = {}
        self._queued = 0
        self._closed = False
        # A daemon, so that a model that is still being loaded never keeps the program from ending.
        self._worker = threading.Thread(target=self._serve, name="model", daemon=True)
        self._worker.start()

    def choices(self) -> tuple[ModelChoice, ...]:
        """The models to choose from, the default first."""
        return installed(self.extra)

    def default(self) -> str:
        """Path of the model that drafts unless another is chosen; "" without any."""
        choices = self.choices()
        return choices[0].path if choices else ""

    def preload(self) -> None:
        """Begin loading the default model in the background. A failure is kept for the screen."""
        path = self.default()
        if path:
            with self._lock:
                self._queued += 1
            self._tasks.put(_Task(path, lambda engine: None, lambda error: None))

    def status(self, path: str) -> ModelStatus:
        """How it stands with the model at ``path``, for the screen."""
        if not path:
            words = "Drafting is off: no model is installed. Everything else works; write the report yourself."
            return ModelStatus("none", "", False, words)
        name = Path(path).name
        with self._lock:
            if path in self._failed:
                return ModelStatus("failed", name, False, f"Drafting is off: {self._failed[path]}")
            if self._engine is not None and self._path == path:
                info = self._engine.info
                return ModelStatus("ready", info.name, info.demonstration, "")
            if self._loading == path:
                return ModelStatus("loading", name, False, "The model is being loaded.")
        return ModelStatus("waiting", name, False, "")

    def settle(self, path: str) -> bool:
        """Wait until the model at ``path`` is no longer being loaded; False when the program is closing instead."""
        with self._settled:
            self._settled.wait_for(lambda: self._loading != path or self._closed)
            return not self._closed

    def submit(self, path: str, work: Callable[[Engine], None], failed: Callable[[Exception], None]) -> None:
        """Queue ``work``, which raises nothing, with the engine of ``path``.

        Raises ResourceError when too many wait already or the program is closing.
        """
        with self._lock:
            if self._closed:
                raise ResourceError("Interval is closing; the draft was not started.")
            if self._queued >= WAITING:
                raise ResourceError("Too many drafts are waiting already. Try again in a moment.")
            self._queued += 1
            self._failed.pop(path, None)
        self._tasks.put(_Task(path, work, failed))

    def close(self, seconds: float = 3.0) -> None:
        """Take no more work and wait a moment for what runs, which should have been stopped before."""
        with self._settled:
            self._closed = True
            self._settled.notify_all()
        self._tasks.put(None)
        self._worker.join(seconds)

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more after ``close``: a model that is being loaded cannot be stopped."""
        return not self._worker.is_alive()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if self._closed:
                    raise ResourceError("Interval is closing; the draft was not made.")
                task.work(self._load(task.path))
            except Exception as error:
                task.failed(error)
            finally:
                with self._lock:
                    self._queued -= 1

    def _load(self, path: str) -> Engine:
        """The engine of ``path``, loaded if it is not the one in memory. Runs on the worker thread only."""
        with self._settled:
            if self._engine is not None and self._path == path:
                return self._engine
            self._engine, self._path, self._loading = None, "", path
        try:
            engine = self._load_engine(path)
        except Exception as error:
            with self._settled:
                self._failed[path] = errors.sentence(error)
                self._loading = ""
                self._settled.notify_all()
            raise ModelError(self._failed[path]) from error
        with self._settled:
            self._engine, self._path, self._loading = engine, path, ""
            self._failed.pop(path, None)
            self._settled.notify_all()
        log.info("model ready: %s", engine.info.sha256)
        return engine

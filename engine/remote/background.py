"""A coroutine on a thread of its own: what it says can be waited for, and it can be ended at any moment.

A request that waits for a server's first word is somewhere deep in a socket; ending the task it runs in closes the
connection at once, wherever it is. So whoever asks needs no loop of events of his own.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Word = TypeVar("Word")

PATIENCE_S = 2.0
"""Seconds to wait for the thread's end; a name that is being looked up cannot be called back."""


@dataclass(frozen=True)
class _End:
    """The coroutine is over; ``error`` is what it raised."""

    error: BaseException | None


class Background(Generic[Word]):
    """Runs ``work(say)``; what it says comes out of ``heard``. A context: leaving it ends the work."""

    def __init__(self, work: Callable[[Callable[[Word], None]], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._said: queue.SimpleQueue[Word | _End] = queue.SimpleQueue()
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def __enter__(self) -> Background[Word]:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(PATIENCE_S)

    def stop(self) -> None:
        """End the work where it is. Harmless when it is over."""
        if self._loop is not None and self._task is not None:
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:  # its loop is closed: it is over
                return

    def heard(self, seconds: float) -> Word | None:
        """The next word; None if none comes in time.

        Raises EOFError at the end, or what the work raised.
        """
        try:
            word = self._said.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(word, _End):
            self._said.put(word)
            raise word.error or EOFError
        return word

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._supervised())
        except asyncio.CancelledError:
            pass
        except Exception as raised:
            error = raised
        finally:
            self._begun.set()
            self._said.put(_End(error))

    async def _supervised(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._begun.set()
        await self._work(self._said.put)

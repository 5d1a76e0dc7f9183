"""The program's hold on the engine's process: start it, send and receive messages, learn how it ended, end it.

A process is used once: what comes after its end is another Child. Knows nothing of drafts.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from engine import logs, paths
from engine.drafting.messages import FROM_ENGINE, Array, Message, Packet, receive, send
from engine.errors import ResourceError

__all__ = ["Child", "Died"]

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""Seconds a process gets to end once it has nothing more to do."""


class Died(Exception):
    """The process has ended. ``code`` is its exit status; -9 where others than we ended it with signal 9."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the engine's process ended with {code}")
        self.code = code


class Child:
    """A running process with a clean interpreter: nothing of this one's memory or threads is in it.

    ``engine`` names what loads the engine there, as worker.py takes it. Raises ResourceError if no process can be
    started.
    """

    def __init__(self, engine: str = "") -> None:
        self._arrived: queue.SimpleQueue[Packet | Died] = queue.SimpleQueue()
        self._leaving: queue.SimpleQueue[tuple[int, Message, Sequence[Array]] | None] = queue.SimpleQueue()
        self._died: Died | None = None
        born: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._live, args=(_command(engine), born), name="engine", daemon=True).start()
        process = born.get()
        if isinstance(process, OSError):
            raise ResourceError("The engine could not be started; is the memory or the disk full?") from process
        self._process = process
        threading.Thread(target=self._post, name="engine-post", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def send(self, number: int, message: Message, arrays: Sequence[Array] = ()) -> None:
        """Send a message, without waiting for it to be read. A process that is gone does not: ``receive`` says so."""
        self._leaving.put((number, message, arrays))

    def receive(self, seconds: float) -> Packet | None:
        """The next message, or None if none comes in time. Raises Died once all are read that it sent."""
        if self._died is None:
            try:
                arrived = self._arrived.get(timeout=seconds)
            except queue.Empty:
                return None
            if isinstance(arrived, Packet):
                return arrived
            self._died = arrived
        raise self._died

    def end(self, patience: float = GRACE_S) -> None:
        """End the process, after ``patience`` seconds by force. Harmless when it has ended already."""
        self._leaving.put(None)
        _wait(self._process, patience)

    def _post(self) -> None:
        """Write what is to be sent; then close the process's input, whose end is the process's end."""
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as stream:  # nobody may read any more
            while (letter := self._leaving.get()) is not None:
                send(stream, *letter)

    def _live(self, command: list[str], born: queue.SimpleQueue[subprocess.Popen[bytes] | OSError]) -> None:
        """Start the process, pass on what it says, and report its end.

        All on one thread: Linux takes the death of the thread that started a process for the death of its parent.
        """
        # What a child inherits must not depend on the folder the program was started in.
        environment = {**os.environ, "PYTHONPATH": str(paths.PROJECT), "INTERVAL_HOME": str(paths.home())}
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
        except OSError as error:
            born.put(error)
            return
        born.put(process)
        assert process.stdout is not None
        patience = GRACE_S
        with process.stdout as stream:
            try:
                while (packet := receive(stream, FROM_ENGINE)) is not None:
                    self._arrived.put(packet)
            except Exception as error:
                log.error("the engine's process %d sent what is no message", process.pid, exc_info=error)
                patience = 0
        code = 1 if _wait(process, patience) else process.returncode
        log.info("the engine's process %d ended with %d", process.pid, code)
        self._arrived.put(Died(code))


def _command(engine: str) -> list[str]:
    setup = {"engine": engine, "parent": os.getpid(), "log_level": logs.level()}
    # -P: the folder the program was started in is no place to import from
    return [sys.executable, "-P", "-m", "engine.drafting.worker", json.dumps(setup)]


def _wait(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Wait for the end, after ``patience`` seconds by force; whether that was needed."""
    try:
        process.wait(patience)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True

"""The line between a run and its worker in another environment: JSON messages over a socket of the file system.

The worker connects to an address that only this user can reach and proves that it knows a key; nothing listens on a
port. A message is one JSON object. The run sends {"stop": true}, and {"best", "enough"} as the answer to an evaluation;
the worker's messages have an "event":

    begin        step, steps, versions
    step         step: after every one
    log          step, steps, epoch, loss, learning_rate, grad_norm, memory_bytes
    evaluation   step, loss, answers: question's id -> token ids; waits for its answer
    saved        step: a checkpoint that is whole
    done         step, stopped
    failed       kind, message
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

KEY = "INTERVAL_WORKER_KEY"
ADDRESS = "INTERVAL_WORKER_ADDRESS"


class Link:
    """The run's end of the line."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._connection: Connection[bytes, bytes] | None = None
        self._come = threading.Event()
        threading.Thread(target=self._accept, name="worker's line", daemon=True).start()

    def _accept(self) -> None:
        while not self._come.is_set():
            try:
                self._connection = self._listener.accept()
            except (EOFError, ConnectionError, AuthenticationError):
                continue  # a stranger, or a worker that died as it came
            except OSError:
                return  # the line is closed
            self._come.set()

    def wait(self, seconds: float) -> bool:
        """Whether the worker has come, now or within so many seconds."""
        return self._come.wait(seconds)

    def poll(self, seconds: float) -> bool:
        """Whether a message (or the end) comes within so many seconds."""
        assert self._connection is not None
        return self._connection.poll(seconds)

    def receive(self) -> dict[str, Any]:
        """The next message. Raises EOFError where the worker is gone, or says what is no message."""
        assert self._connection is not None
        try:
            message = json.loads(self._connection.recv_bytes())
        except (ValueError, OSError) as cause:
            raise EOFError("The worker says no message.") from cause
        if not isinstance(message, dict):
            raise EOFError("The worker says no message.")
        return message

    def send(self, **message: Any) -> None:
        """Say something. Raises EOFError where the worker is gone."""
        assert self._connection is not None
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError as cause:
            raise EOFError("The worker is gone.") from cause

    def close(self) -> None:
        """Let go of the worker."""
        if self._connection is not None:
            self._connection.close()


@contextmanager
def line() -> Iterator[tuple[Link, dict[str, str]]]:
    """A line, and the environment variables by which a worker finds it."""
    key = secrets.token_bytes(32)
    family = "AF_PIPE" if os.name == "nt" else "AF_UNIX"
    with Listener(family=family, authkey=key) as listener:
        link = Link(listener)
        try:
            yield link, {ADDRESS: str(listener.address), KEY: key.hex()}
        finally:
            link.close()

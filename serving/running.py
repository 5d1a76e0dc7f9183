"""A page that is answered until Ctrl-C or SIGTERM, on a socket that is already ours."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """A server whose signals only ask it to end: uvicorn's own would raise them again after the shutdown."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self.should_exit = True

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)


class Running:
    """One server on a socket that is already ours; ``serve`` blocks its thread, ``wait`` is for another one."""

    def __init__(self, app: ASGIApp, *, websockets: bool = False) -> None:
        self.server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                ws="websockets-sansio" if websockets else "none",
                timeout_graceful_shutdown=2,
            )
        )
        self.ended = threading.Event()

    def wait(self) -> bool:
        """True once requests are answered; False if the server ended before that."""
        while not self.server.started:
            if self.ended.wait(0.02):
                return False
        return True

    def serve(self, listener: socket.socket) -> None:
        """Answer requests until Ctrl-C or SIGTERM."""
        try:
            self.server.run(sockets=[listener])
        finally:
            self.ended.set()

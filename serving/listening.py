"""The port of a page: on this machine alone, in words where it cannot be had."""

from __future__ import annotations

import errno
import os
import socket

from engine.errors import ResourceError, UsageError

HOST = "127.0.0.1"
TRIES = 40


def listen(port: int | None, first: int) -> socket.socket:
    """A listening socket on this machine alone: at ``port``, or at the first free one from ``first`` on.

    Raises UsageError with one sentence when the port asked for cannot be had.
    """
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"{port} is not a port. Give a number from 1024 to 65535.")
    for candidate in [port] if port is not None else range(first, first + TRIES):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)
            return listener
        except OSError as cause:
            listener.close()
            if port is None:
                continue
            if cause.errno in (errno.EACCES, errno.EPERM):
                raise UsageError(f"Port {port} may not be used by this user. Choose one above 1023.") from cause
            raise UsageError(
                f"Port {port} is in use by another program. Choose another with --port, or leave the option out."
            ) from cause
    raise ResourceError(f"No port from {first} to {first + TRIES - 1} is free. Choose one with --port.")

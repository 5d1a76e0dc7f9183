"""Open the viewer: two chest radiographs side by side, a drafted report, your signature.

The page is served to this machine alone (127.0.0.1) and opens in a window of its own where Edge, Chrome or Chromium is
found, else in the browser. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import socket
import sys
import threading
import time
from pathlib import Path

from engine.errors import ResourceError, UsageError

HOST = "127.0.0.1"
FIRST_PORT = 7860
TRIES = 40


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``viewer``."""
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"port to listen on (default: {FIRST_PORT}, or the next that is free)"
    )
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--app", action="store_true", default=True, help="open in a window of its own (default)")
    show.add_argument("--no-app", dest="app", action="store_false", help="open in the browser instead")
    show.add_argument("--no-browser", dest="show", action="store_false", help="open nothing, only print the address")
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="model to draft with (default: the first of models/)"
    )


def listen(port: int | None) -> socket.socket:
    """A listening socket on this machine alone: at ``port``, or at the first free one from 7860 on.

    Raises UsageError with one sentence when the port asked for cannot be had.
    """
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"{port} is not a port. Give a number from 1024 to 65535.")
    for candidate in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + TRIES):
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
    raise ResourceError(f"No port from {FIRST_PORT} to {FIRST_PORT + TRIES - 1} is free. Choose one with --port.")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; the address is printed on standard output once the page is ready."""
    started = time.perf_counter()
    listener = listen(args.port)
    from app import server  # gradio and fastapi take seconds to import: after the port is known to be ours

    with contextlib.closing(listener), server.workbench(args.model) as bench:
        port = listener.getsockname()[1]
        url = f"http://{HOST}:{port}/"
        running = server.Running(bench, port)

        def announce() -> None:
            if not running.wait():
                return
            print(url, flush=True)
            print(
                f"Interval is ready at {url} ({time.perf_counter() - started:.1f} s). Ctrl-C ends it.", file=sys.stderr
            )
            bench.models.preload()
            if args.show:
                from app import window

                if window.show(url, app_window=args.app) == "nowhere":
                    print("No browser was found. Open the address above in one.", file=sys.stderr)

        threading.Thread(target=announce, name="announce", daemon=True).start()
        running.serve(listener)
    return 0

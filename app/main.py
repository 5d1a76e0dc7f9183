"""Open the viewer: two chest radiographs side by side, a drafted report, your signature.

The page is served to this machine alone (127.0.0.1) and opens in a window of its own where Edge, Chrome or Chromium is
found, else in the browser. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import threading
import time
from pathlib import Path

from serving import listening
from serving.listening import HOST

FIRST_PORT = 7860


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
    """A listening socket on this machine alone: at ``port``, or at the first free one from 7860 on."""
    return listening.listen(port, FIRST_PORT)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; the address is printed on standard output once the page is ready."""
    started = time.perf_counter()
    listener = listen(args.port)
    from app import server  # gradio and fastapi take seconds to import: after the port is known to be ours
    from serving.running import Running

    with contextlib.closing(listener), server.workbench(args.model) as bench:
        port = listener.getsockname()[1]
        url = f"http://{HOST}:{port}/"
        running = Running(server.create_app(bench, port))

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

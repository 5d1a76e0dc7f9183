"""Open the training studio: data sets, training, evaluation, export.

The page is served to this machine alone (127.0.0.1) and opens in the browser. Ctrl-C ends the studio; what it has
started goes on by itself, and the next studio finds it again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
import webbrowser

from engine import paths
from engine.errors import UsageError
from serving import listening
from serving.listening import HOST

FIRST_PORT = 8600


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``studio``."""
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"port to listen on (default: {FIRST_PORT}, or the next that is free)"
    )
    parser.add_argument("--no-browser", dest="show", action="store_false", help="open nothing, only print the address")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; the address is printed on standard output once the page is ready."""
    started = time.perf_counter()
    try:
        paths.ensure(paths.home() / "jobs")
    except OSError as cause:
        raise UsageError(
            f"The data folder {paths.home()} cannot be written. Make it writable, or name another one in INTERVAL_HOME."
        ) from cause
    listener = listening.listen(args.port, FIRST_PORT)
    from serving.running import Running
    from trainer_ui import server  # streamlit takes seconds to import: after the port is known to be ours

    with contextlib.closing(listener):
        port = listener.getsockname()[1]
        url = f"http://{HOST}:{port}/"
        running = Running(server.create_app(port), websockets=True)

        def announce() -> None:
            if not running.wait():
                return
            print(url, flush=True)
            seconds = time.perf_counter() - started
            print(f"The studio is ready at {url} ({seconds:.1f} s). Ctrl-C ends it, not its jobs.", file=sys.stderr)
            if args.show and not webbrowser.open(url):
                print("No browser was found. Open the address above in one.", file=sys.stderr)

        threading.Thread(target=announce, name="announce", daemon=True).start()
        running.serve(listener)
    return 0

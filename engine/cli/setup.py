"""Make the environment of a program that cannot live beside this one: llamafactory trains, radeval scores.

It is made once, from pinned requirements, and takes minutes and several GB. Everything else works without it. An
interrupted installation is taken up where it ended. Where INTERVAL_ENVIRONMENTS names a folder it lies there, else in
the project's.
"""

from __future__ import annotations

import argparse
import json

from engine import environment
from engine.errors import InputError
from engine.jobs import progress


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", choices=tuple(environment.BESIDE))
    parser.add_argument(
        "--check", action="store_true", help="make nothing: exit status 3 if it is not there as it is to be"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Make it and name its interpreter."""
    wanted = environment.beside(args.name)
    if not args.check:
        wanted.make(report=progress.report)
    ready = wanted.complete()
    if args.json:
        print(json.dumps({"name": args.name, "ready": ready, "python": str(wanted.python)}))
    elif ready:
        environment.say(f"{wanted.owner} is ready: {wanted.python}.")
    else:
        environment.say(f"{wanted.owner} is not set up. 'python launch.py setup {args.name}' does it.")
    return 0 if ready else InputError.exit_status

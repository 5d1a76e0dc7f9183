"""``data``: data sets made, checked and converted on the command line. Today: ``data phantoms``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data``."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    phantoms = commands.add_parser(
        "phantoms",
        help="synthetic chest radiographs in pairs, with reports and truth",
        description="Write synthetic chest radiographs in pairs, with reports and the truth about every finding.",
    )
    phantoms.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    phantoms.add_argument("--count", type=int, required=True, metavar="N", help="number of cases (patients)")
    phantoms.add_argument(
        "--seed", type=int, default=0, metavar="S", help="other seeds give other patients (default 0)"
    )
    phantoms.add_argument(
        "--site", choices=("a", "b"), default="a", help="exposure, wording and frequencies (default a)"
    )
    phantoms.add_argument("--split", choices=("train", "test"), default="train", help="test: unseen ranges and phrases")
    phantoms.add_argument(
        "--size", type=int, metavar="PX", help="longer side in pixels (default 224 for training, 1024 for studies)"
    )
    phantoms.add_argument("--format", choices=("training", "studies"), default="training", help="default: training")
    phantoms.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default 2)")


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask; the exit status."""
    # Imported late: the command line must start without numpy and scipy.
    from engine.datasets.phantoms import SITES, write_studies, write_training

    write, size = (write_studies, 1024) if args.format == "studies" else (write_training, 224)
    write(
        args.output,
        args.count,
        seed=args.seed,
        site=SITES[args.site],
        split=args.split,
        size=args.size or size,
        workers=args.workers,
        progress=_progress(),
    )
    print(f"{args.count} cases are in {args.output}.", file=sys.stderr)
    return 0


def _progress() -> Callable[[int, int], None]:
    """A progress line on stderr: rewritten in place on a terminal, every ten seconds elsewhere."""
    begun = time.monotonic()
    spoken = begun

    def report(done: int, total: int) -> None:
        nonlocal spoken
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if not terminal and now - spoken < 10:
            return
        spoken = now
        left = (now - begun) / done * (total - done)
        line = f"phantoms: {done} of {total} cases, {left:.0f} s left"
        print(
            f"\r{line}   " if terminal else line,
            end="" if terminal and done < total else "\n",
            file=sys.stderr,
            flush=True,
        )

    return report

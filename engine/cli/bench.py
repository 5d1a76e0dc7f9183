"""Measure how fast this machine drafts, against transformers' own generate on the same weights.

The result is a table, or with --json one JSON object; ratios are the peer's figure over the engine's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.bench.sizes import SIZES
from engine.bench.task import CASES, PRECISIONS, PRECISIONS_OF


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    parser.add_argument("--suite", choices=("cpu", "gpu"), default="cpu", help="gpu: Libra-7B's size in bfloat16")
    parser.add_argument("--size", choices=tuple(SIZES), help="of the random model (default: mid, on a GPU 7b)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, metavar="P", help=f"{', '.join(PRECISIONS)} (default: all)"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="drafts each figure is the median of")
    parser.add_argument("--phantoms", type=int, default=50, metavar="N", help="cases for lookup and agreement")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: one for each core)")
    parser.add_argument("--keep", action="store_true", help="keep the random model and say where it is")
    parser.add_argument("--output", type=Path, metavar="DIR", help="also write bench-SUITE.json, .md and .svg there")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else there")


def run(args: argparse.Namespace) -> int:
    """Measure; exit status 1 when engine and peer did not write the same tokens in float32."""
    from engine.bench import suite
    from engine.bench.report import table

    result = suite.run(
        suite.Wish(
            suite=args.suite,
            size=args.size or ("7b" if args.suite == "gpu" else "mid"),
            cases=tuple(args.cases),
            precisions=tuple(args.precisions or PRECISIONS_OF[args.suite]),
            repeats=args.repeats,
            phantoms=args.phantoms,
            threads=args.threads,
            keep=args.keep,
        ),
        _progress(),
    )
    print(table(result), file=sys.stderr if args.json else sys.stdout, end="")
    if args.json:
        print(json.dumps(result))
    if args.output is not None:
        suite.write(result, args.output)
    return 1 if result["same_tokens"] is False else 0


def _progress() -> Callable[[str], None]:
    """Lines on standard error that say what is being done and for how long it has been going on."""
    began = time.monotonic()

    def say(words: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"{minutes:3d}:{seconds:02d}  {words}", file=sys.stderr, flush=True)

    return say

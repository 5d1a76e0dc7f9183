"""Merge an adapter into its base: a model folder that needs neither, with a certificate that it is the same model."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from engine.cli._progress import Progress


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--base", type=Path, metavar="MODEL", help="the base, instead of the one the adapter names")
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="the adapter's folder")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder for the merged model")
    parser.add_argument("--name", default="", metavar="NAME", help="what to call it (default: the adapter's name)")
    parser.add_argument(
        "--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="default: the base's"
    )
    parser.add_argument(
        "--quantization", choices=("none", "int8", "nf4"), default="none",
        help="store the language model's layers quantised: smaller, and no longer quite the same model (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--questions", type=Path, metavar="FILE.jsonl",
        help="cases to compare on (default: those the run was validated with, else phantoms)",
    )  # fmt: skip
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder their image paths are relative to")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Merge, compare, and say what was found."""
    from engine.datasets.libra import read_questions
    from engine.models import installed
    from engine.training.exporting import export

    base = installed.locate(args.base) if args.base is not None else None
    questions = read_questions(args.questions, args.images) if args.questions else ()
    lines: dict[str, Progress] = {}

    def report(what: str, done: int, total: int) -> None:
        lines.setdefault(what, Progress("merge", what))(done, total)

    made = export(
        base, installed.locate(args.adapter), args.output, name=args.name, dtype=args.dtype,
        quantization=args.quantization, questions=questions, report=report,
    )  # fmt: skip
    print(made.certificate.words(), file=sys.stderr)
    print(f"The merged model is in {made.merged.folder}.", file=sys.stderr)
    if args.json:
        print(json.dumps({"model": str(made.merged.folder), "certificate": asdict(made.certificate)}))
    return 0

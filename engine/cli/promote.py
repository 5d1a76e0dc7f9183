"""Make a trained model or adapter available in the viewer, with its evaluation beside it; or take that back."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("source", nargs="?", type=Path, metavar="MODEL", help="folder of a merged model or an adapter")
    what.add_argument("--undo", metavar="NAME", help="take a promoted model out of the viewer again")
    what.add_argument("--list", action="store_true", help="the models that were promoted")
    parser.add_argument("--name", default="", metavar="NAME", help="its name in the viewer (default: its own)")
    parser.add_argument("--evaluation", type=Path, metavar="DIR", help="the evaluation to show beside it")
    parser.add_argument("--link", action="store_true", help="link to its files instead of copying them")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Do it and say where the model is."""
    from engine.training import exporting

    if args.list:
        found = exporting.promoted()
        for folder, said in found:
            print(f"{folder.name}  promoted {said.get('when', '')} from {said.get('from', '')}", file=sys.stderr)
        if args.json:
            print(json.dumps({"promoted": [{"model": str(folder), **said} for folder, said in found]}))
        return 0
    if args.undo:
        source = exporting.take_back(args.undo)
        print(f"{args.undo} is no longer in the viewer. It still lies in {source}.", file=sys.stderr)
        if args.json:
            print(json.dumps({"removed": args.undo, "source": str(source)}))
        return 0
    lines: dict[str, Progress] = {}

    def report(what: str, done: int, total: int) -> None:
        lines.setdefault(what, Progress("promote", what))(done, total)

    folder = exporting.promote(args.source, name=args.name, evaluation=args.evaluation, link=args.link, report=report)
    print(f"{folder.name} can be chosen in the viewer. 'promote --undo {folder.name}' takes it back.", file=sys.stderr)
    if args.json:
        print(json.dumps({"model": str(folder)}))
    return 0

"""``models card PATH``: measure a model on held-out phantoms and write its card (README.md) and figures.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``models card``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="the model folder")
    parser.add_argument("--test", type=Path, required=True, metavar="DIR", help="held-out phantoms, training format")
    parser.add_argument("--training", type=Path, metavar="DIR", help="training phantoms, for the thumbnail baseline")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N cases")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads")


def run(args: argparse.Namespace) -> int:
    """Measure and write. What was answered before an interruption is kept and not asked again."""
    from engine import Engine, paths
    from engine.errors import UsageError
    from engine.evaluation.card import measure, render_card

    if args.limit is not None and args.limit < 1:
        raise UsageError("--limit must be at least 1.")
    engine = Engine.load(args.path, threads=args.threads)
    answers = paths.ensure(paths.home() / "cards" / engine.info.sha256[:16])
    figures = measure(engine, args.test, args.training, answers, limit=args.limit, report=_progress)
    made = args.path / "training.json"
    card = render_card(
        figures,
        name=engine.info.name,
        parameters=engine.info.parameters,
        sha256=engine.info.sha256,
        made=json.loads(made.read_text(encoding="utf-8")) if made.is_file() else None,
    )
    (args.path / "figures.json").write_text(json.dumps(_rounded(figures), indent=1) + "\n", encoding="utf-8")
    (args.path / "README.md").write_text(card, encoding="utf-8")
    print(f"The card of {engine.info.name} is written.", file=sys.stderr)
    return 0


def _progress(condition: str, done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        print(f"{condition}: {done} of {total}", file=sys.stderr, flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 2) if isinstance(value, float) else value

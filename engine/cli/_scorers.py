"""Scores that need a checkpoint or an environment: the options that name them, and the scorers. No command itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.evaluation.scoring import Scorer


def register(parser: argparse.ArgumentParser) -> None:
    """The options."""
    more = parser.add_argument_group("scores that need a checkpoint of yours")
    more.add_argument("--bertscore", type=Path, metavar="DIR", help="distilbert-base-uncased, for BERTScore as Libra's")
    more.add_argument(
        "--chexbert", type=Path, metavar="DIR", help="chexbert.pth beside bert-base-uncased's config and tokenizer"
    )
    more.add_argument(
        "--radeval",
        type=Path,
        metavar="PYTHON",
        help="RadGraph F1, RadCliQ-v1, RaTEScore from an environment of requirements-radeval.txt",
    )


def given(args: argparse.Namespace) -> list[str]:
    """The names of the options that were given."""
    return [name for name in ("bertscore", "chexbert", "radeval") if getattr(args, name) is not None]


def scorers(args: argparse.Namespace) -> list[Scorer]:
    """The scorers that the options name. Raises ModelError and UsageError for what cannot be used."""
    found: list[Scorer] = []
    if args.bertscore is not None:
        from engine.evaluation.bertscore import BertScore

        found.append(BertScore(args.bertscore))
    if args.chexbert is not None:
        from engine.evaluation.chexbert import CheXbert

        found.append(CheXbert(args.chexbert))
    if args.radeval is not None:
        from engine.evaluation.radeval import RadEval

        found.append(RadEval(args.radeval, lambda metric: print(f"RadEval: {metric}", file=sys.stderr)))
    return found

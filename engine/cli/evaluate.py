"""Answer every question of a file with a model, or measure the thumbnail baseline."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli import _decoding, _loading

if TYPE_CHECKING:
    # At run time only after the options are parsed: ``--help`` must not wait for the engine.
    from engine.drafting.batches import BatchSize


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, metavar="DIR", help="folder of the model that answers")
    what.add_argument(
        "--thumbnail-baseline",
        nargs=2,
        type=Path,
        metavar=("TRAINDIR", "TESTDIR"),
        help="instead: train a linear classifier on 16x16 thumbnails of one phantom folder and score it on another",
    )
    parser.add_argument("--questions", type=Path, metavar="FILE.jsonl", help="questions in Libra's evaluation format")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder the image paths are relative to")
    parser.add_argument("--output", type=Path, metavar="ANSWERS.jsonl", help="where the answers go, line by line")
    parser.add_argument("--resume", action="store_true", help="keep the answers --output already has and go on")
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default="auto",
        metavar="N",
        help="answers written side by side at most (default: auto, as the free memory allows)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions or images")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--dummy-prior", action="store_true", help="show the current image in place of the prior, still as a pair"
    )
    shown.add_argument("--without-prior", action="store_true", help="show the current image alone")

    _loading.register(parser)
    _decoding.register(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Answer the questions; exit status 3 when some of them could not be answered."""
    from engine.errors import UsageError

    if args.limit is not None and args.limit < 1:
        raise UsageError("--limit must be at least 1.")
    if args.thumbnail_baseline:
        return _baseline(args)
    missing = [name for name in ("questions", "output") if getattr(args, name) is None]
    if missing:
        raise UsageError(f"--{' and --'.join(missing)} must be given with --model.")
    return _answer(args)


def _answer(args: argparse.Namespace) -> int:
    from engine.datasets.libra import read_questions
    from engine.errors import InputError
    from engine.evaluation.answering import Prior, answer

    questions = read_questions(args.questions, args.images)[: args.limit]
    decoding = _decoding.decoding(args)
    engine = _loading.load(args)
    prior: Prior = "dummy" if args.dummy_prior else "none" if args.without_prior else "true"
    outcome = answer(
        engine, questions, args.output, decoding=decoding, prior=prior, batch_size=args.batch_size,
        resume=args.resume, report=_progress,
    )  # fmt: skip
    for identity, reason in outcome.failed[:10]:
        print(f"{identity}: {reason}", file=sys.stderr)
    print(
        f"{outcome.written} answers written, {outcome.kept} kept from before, {len(outcome.failed)} questions "
        f"left out.",
        file=sys.stderr,
    )
    if args.json:
        result = {
            "output": str(args.output),
            "written": outcome.written,
            "kept": outcome.kept,
            "failed": [{"question_id": identity, "reason": reason} for identity, reason in outcome.failed],
            "model": {"name": engine.info.name, "sha256": engine.info.sha256},
            "prior": prior,
        }
        print(json.dumps(result, ensure_ascii=False))
    return InputError.exit_status if outcome.failed else 0


def _batch_size(text: str) -> BatchSize:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("the batch size is a number from 1 on, or auto")
    return int(text)


def _progress(done: int, total: int) -> None:
    if done == total or done % max(1, total // 100) == 0:
        print(f"\r{done} of {total} questions", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _baseline(args: argparse.Namespace) -> int:
    from engine.cli.score import shown, table
    from engine.evaluation import baseline

    training, test = (baseline.load(folder, args.limit) for folder in args.thumbnail_baseline)
    scores = baseline.evaluate(training, test)
    if args.json:
        result = {
            "baseline": "logistic regression on 16x16 thumbnails of the current image",
            "training_images": len(training.studies),
            "studies": len(test.studies),
            "scores": {name: shown(score) for name, score in scores.items()},
        }
        print(json.dumps(result))
    else:
        print(table(scores))
    return 0

"""Answer every question of a file with one model or several, or measure the thumbnail baseline.

With --output FILE.jsonl one model's answers go to that file. With --output DIR any number of models answer the same
questions, each in one wording or several; 'score DIR' compares them, and --score does so at the end. What was
interrupted goes on with --resume. Under torchrun the processes share the questions:
torchrun --nproc-per-node 2 launch.py evaluate ... --output DIR
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import _decoding, _judging, _loading, _scorers
from engine.cli._progress import Progress

if TYPE_CHECKING:
    # At run time only after the options are parsed: ``--help`` must not wait for the engine.
    from engine.drafting.batches import BatchSize
    from engine.drafting.loading import AnyEngine
    from engine.evaluation.answering import Outcome, Prior
    from engine.evaluation.contenders import Contender
    from engine.evaluation.running import Run


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--model",
        action="append",
        metavar="[NAME=]MODEL[+ADAPTER]",
        help="a model that answers: its folder or name, with an adapter on it, or the address of a server that runs "
        "it; may be given several times",
    )
    what.add_argument(
        "--thumbnail-baseline",
        nargs=2,
        type=Path,
        metavar=("TRAINDIR", "TESTDIR"),
        help="instead: train a linear classifier on 16x16 thumbnails of one phantom folder and score it on another",
    )
    parser.add_argument("--questions", type=Path, metavar="FILE.jsonl", help="questions in Libra's evaluation format")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder the image paths are relative to")
    parser.add_argument(
        "--output", type=Path, metavar="DIR|FILE.jsonl", help="the evaluation's folder, or one file for one model"
    )
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
    several = parser.add_argument_group("an evaluation's folder (--output DIR)")
    several.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="a wording of the question, compared like a model; NAME= is the file's own; may be given several times",
    )
    several.add_argument("--no-base", action="store_true", help="do not add the models that tuned ones were made from")
    several.add_argument("--truth", type=Path, metavar="FILE.jsonl", help="what is true of each study, for 'score'")
    several.add_argument(
        "--references", type=Path, metavar="FILE.jsonl", help="reference texts, where --questions has none, for 'score'"
    )
    several.add_argument(
        "--training", type=Path, metavar="FILE", help="the training file: its usual normal report is a baseline"
    )
    several.add_argument(
        "--score", action="store_true", help="then score them, as 'score DIR' does; --judge does so by itself"
    )
    _scorers.register(parser)
    _judging.register(parser)
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
    args.score = args.score or bool(args.judge)
    of_scoring = [*_scorers.given(args), *_judging.given(args)]
    if not args.score and of_scoring:
        raise UsageError(f"--{of_scoring[0].replace('_', '-')} is for scoring: give --score as well.")
    _judging.check(args)
    if args.output.suffix != ".jsonl":
        return _folder(args)
    if args.score:
        raise UsageError("--score is for an evaluation's folder: --output DIR.")
    return _one_file(args)


def _prior(args: argparse.Namespace) -> Prior:
    return "dummy" if args.dummy_prior else "none" if args.without_prior else "true"


def _one_file(args: argparse.Namespace) -> int:
    """One model's answers to one file."""
    from engine.datasets.libra import read_questions
    from engine.errors import InputError, UsageError
    from engine.evaluation import sharding
    from engine.evaluation.answering import answer
    from engine.evaluation.contenders import contenders

    if len(args.model) > 1 or args.prompt or sharding.from_environment().world > 1:
        raise UsageError("Several models, wordings or processes need a folder: --output DIR.")
    questions = read_questions(args.questions, args.images)[: args.limit]
    (one,) = contenders(
        args.model, base=args.base, adapter=args.adapter, with_bases=False, served_as=args.served_as or ""
    )
    _permit(args, [one])
    decoding = _decoding.decoding(args)
    engine = _load(args, one)
    outcome = answer(
        engine, questions, args.output, decoding=decoding, prior=_prior(args), batch_size=args.batch_size,
        resume=args.resume, report=Progress("evaluate", "questions"),
    )  # fmt: skip
    _say(outcome)
    if args.json:
        result = {
            "output": str(args.output),
            **_document(outcome),
            "model": {
                "name": engine.info.name,
                "sha256": engine.info.sha256,
                **({"served": engine.info.path} if engine.info.served else {}),
            },
            "prior": _prior(args),
        }
        print(json.dumps(result, ensure_ascii=False))
    return InputError.exit_status if outcome.failed else 0


def _folder(args: argparse.Namespace) -> int:
    """All contenders' answers to one folder."""
    from engine.datasets.libra import read_questions
    from engine.evaluation import contenders, running, sharding
    from engine.evaluation.answering import plain
    from engine.evaluation.folder import Asked, Folder

    shard = sharding.from_environment()
    questions = read_questions(args.questions, args.images)[: args.limit]
    found = contenders.contenders(
        args.model,
        prompts=contenders.prompts(args.prompt),
        base=args.base,
        adapter=args.adapter,
        with_bases=not args.no_base,
        served_as=args.served_as or "",
    )
    _permit(args, found)
    decoding = _decoding.decoding(args)
    asked = Asked(
        args.questions, args.images, _prior(args), args.limit, plain(decoding), args.truth, args.references,
        args.training,
    )  # fmt: skip
    folder = Folder.create(args.output, asked)
    way = running.Way(decoding, _prior(args), args.batch_size, args.resume)
    names = [one.name for one in found]
    print(f"To answer {len(questions)} questions: {', '.join(names)}.", file=sys.stderr)
    progress = Progress("evaluate", "answers")

    def report(name: str, done: int, total: int) -> None:
        progress(names.index(name) * total + done, len(names) * total)

    runs = running.run(folder, found, questions, lambda one: _load(args, one), way, shard=shard, report=report)
    status = _ended(args, runs)
    if args.score and any(one.whole for one in runs) and all(one.whole or one.error for one in runs):
        from engine.cli.score import scored

        scored(args, folder)
    return status


def _ended(args: argparse.Namespace, runs: list[Run]) -> int:
    from engine.cli import in_words
    from engine.errors import InputError

    for one in runs:
        print(f"{one.name}: ", end="", file=sys.stderr)
        if one.outcome is not None:
            _say(one.outcome)
        elif one.error is not None:
            print(in_words(one.error), file=sys.stderr)
    if args.json:
        result = {
            "output": str(args.output),
            "contenders": [
                {
                    "name": one.name,
                    **(_document(one.outcome) if one.outcome else {}),
                    **({"error": str(one.error)} if one.error else {}),
                    "whole": one.whole,
                }
                for one in runs
            ],
            "prior": _prior(args),
        }
        print(json.dumps(result, ensure_ascii=False))
    if all(one.whole for one in runs) and not args.score:
        print(f"'python launch.py score {args.output}' compares them.", file=sys.stderr)
    errors = [one.error.exit_status for one in runs if one.error is not None]
    left_out = any(one.outcome is not None and one.outcome.failed for one in runs)
    return errors[0] if errors else InputError.exit_status if left_out else 0


def _permit(args: argparse.Namespace, found: Sequence[Contender]) -> None:
    """Raise UsageError, before anything is asked, where a contender's images would leave the machine unasked."""
    from engine.drafting import served

    for one in found:
        if one.address:
            served.permit(served.where(one.address)[0], args.allow_remote)


def _load(args: argparse.Namespace, one: Contender) -> AnyEngine:
    said = vars(args) | {"model": one.address or one.model, "base": one.base, "adapter": one.adapter}
    if not one.address:
        said |= {"served_as": None, "image_max_pixels": None, "image_min_pixels": None}  # they are the others'
    return _loading.load(argparse.Namespace(**said))


def _say(outcome: Outcome) -> None:
    written, kept, left_out = outcome.written, outcome.kept, len(outcome.failed)
    print(f"{written} answers written, {kept} kept from before, {left_out} questions left out.", file=sys.stderr)
    for identity, reason in outcome.failed[:10]:
        print(f"  {identity}: {reason}", file=sys.stderr)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "written": outcome.written,
        "kept": outcome.kept,
        "failed": [{"question_id": identity, "reason": reason} for identity, reason in outcome.failed],
    }


def _batch_size(text: str) -> BatchSize:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("the batch size is a number from 1 on, or auto")
    return int(text)


def _baseline(args: argparse.Namespace) -> int:
    from engine.cli.score import table
    from engine.evaluation import baseline
    from engine.evaluation.writing import shown

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

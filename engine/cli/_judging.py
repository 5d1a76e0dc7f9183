"""What the answers are, and a judge of short ones: the options that scoring shares, and the judge asked. No command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli._progress import Progress

if TYPE_CHECKING:
    from engine.evaluation.folder import Folder
    from engine.evaluation.judge.endpoint import Endpoint
    from engine.evaluation.judge.local import Local


def register(parser: argparse.ArgumentParser) -> None:
    """The options."""
    short = parser.add_argument_group("short answers to questions (VQA)")
    short.add_argument(
        "--task",
        choices=("report", "vqa"),
        help="what the answers are (default: what the questions and references look like)",
    )
    short.add_argument(
        "--judge",
        metavar="MODEL|URL",
        help="a language model that grades the answers: a folder, an installed model or an OpenAI-compatible address",
    )
    short.add_argument("--judge-model", metavar="NAME", default="", help="which model of that address")
    short.add_argument(
        "--judge-anywhere",
        action="store_true",
        help="allow an address that is not this machine: QUESTIONS, REFERENCES AND ANSWERS ARE SENT THERE",
    )
    short.add_argument(
        "--human", type=Path, metavar="FILE", help="people's grades of the same answers, to hold the judge against"
    )


def given(args: argparse.Namespace) -> list[str]:
    """The names of the options that were given."""
    return [name for name in ("task", "judge", "judge_model", "judge_anywhere", "human") if getattr(args, name)]


def check(args: argparse.Namespace) -> None:
    """Raise at once, before anything is answered, what is wrong with the judge: UsageError and ModelError."""
    from engine.errors import UsageError
    from engine.evaluation.judge import endpoint

    by_address = bool(args.judge) and endpoint.is_address(args.judge)
    if by_address:
        endpoint.allowed(args.judge, anywhere=args.judge_anywhere)
        return
    words = [name for name in ("judge_model", "judge_anywhere") if getattr(args, name)]
    if words:
        raise UsageError(f"--{words[0].replace('_', '-')} goes with --judge and an address.")
    if args.judge:
        from engine.evaluation.judge import local

        local.folder_of(args.judge)


def judge(
    args: argparse.Namespace, folder: Folder, *, references: Path | None = None, truth: Path | None = None
) -> None:
    """Have the judge of the options grade every answer of an evaluation's folder that it has not graded yet."""
    if not args.judge:
        return
    from engine.evaluation.assessment import to_judge
    from engine.evaluation.judge.asking import judge_all

    items = to_judge(folder, references=references, truth=truth, task=args.task)
    one = _open(args)
    if one.warning:
        print(one.warning, file=sys.stderr)
    done = judge_all(folder.path, one, items, Progress("judge", "judged answers"))
    print(
        f"Judge {one.id}: {done.asked} answers graded now, {done.known} known from before or said twice.",
        file=sys.stderr,
    )
    if done.left_out:
        print(f"{done.left_out} answers could not be put to the judge and have no grade.", file=sys.stderr)


def _open(args: argparse.Namespace) -> Endpoint | Local:
    from engine.evaluation.judge import endpoint

    if endpoint.is_address(args.judge):
        return endpoint.Endpoint(args.judge, args.judge_model, anywhere=args.judge_anywhere)
    from engine.evaluation.judge.local import Local

    return Local(args.judge)

"""``data convert``: training samples from one form into another, question by question or joined by image."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

JOINED = 20
"""Questions of a conversation where --join-questions says no number."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    convert = commands.add_parser(
        "convert",
        help="training samples into Libra's form or LLaMA-Factory's sharegpt",
        description="Convert training samples. What cannot be used is named row by row, and nothing is written then.",
        epilog="Everything here reads both forms: converting is for programs that do not.",
    )
    convert.add_argument(
        "source", metavar="SRC", help="training file of any form, or FOLDER/dataset_info.json:NAME for one of its sets"
    )
    convert.add_argument("destination", type=Path, metavar="DEST", help="file to write, ending in .json")
    convert.add_argument("--to", choices=("libra", "sharegpt"), required=True, help="form to write")
    convert.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder of the images (default: the file's own, or that of dataset_info.json)",
    )
    turns = convert.add_mutually_exclusive_group()
    turns.add_argument(
        "--join-questions", type=int, nargs="?", const=JOINED, metavar="N",
        help=f"up to N questions about the same images as one conversation (N: {JOINED})",
    )  # fmt: skip
    turns.add_argument("--one-question-each", action="store_true", help="every question as a sample of its own")
    convert.add_argument(
        "--system",
        choices=("refuse", "question", "drop"),
        default="refuse",
        help="system messages: refuse their rows, put them before the first question, or drop them (default refuse)",
    )
    convert.add_argument(
        "--name", default="", help="with --to sharegpt: name in dataset_info.json (default: that of DEST)"
    )
    convert.add_argument(
        "--line-after-image",
        action="store_true",
        help="with --to sharegpt: begin the question on a line of its own after <image>, as LLaVA does",
    )
    convert.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    convert.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Read, join or part, write; the exit status."""
    from engine import paths
    from engine.datasets.libra import write_training
    from engine.datasets.sharegpt import read_source, write_sharegpt
    from engine.datasets.splitting import reachable
    from engine.datasets.turns import MOST, join_questions, one_question_each
    from engine.errors import UsageError

    if args.to == "libra" and (args.name or args.line_after_image):
        raise UsageError("--name and --line-after-image belong to --to sharegpt.")
    if args.join_questions is not None and not 2 <= args.join_questions <= MOST:
        raise UsageError(f"A conversation has 2 to {MOST} questions: --join-questions N.")
    if args.destination.suffix != ".json":
        raise UsageError("Name a file to write that ends in .json.")
    if args.destination.exists():
        raise UsageError(f"'{args.destination.name}' is there already. Choose another name.")
    samples, images = read_source(args.source, args.images, system=args.system)
    read = len(samples)
    if args.join_questions is not None:
        samples = join_questions(samples, args.join_questions)
    elif args.one_question_each:
        samples = one_question_each(samples)
    paths.ensure(args.destination.parent)
    folder = reachable(args.destination.parent, images)
    name = None
    if args.to == "sharegpt":
        after = "\n" if args.line_after_image else ""
        name = write_sharegpt(samples, args.destination, after, name=args.name, relative_to=folder)
    else:
        write_training(args.destination, samples, relative_to=folder)
    questions = sum(len(sample.turns) for sample in samples)
    print(f"{read:,} samples read, {len(samples):,} with {questions:,} questions written.", file=sys.stderr)
    if name is not None:
        print(f"Its name in dataset_info.json is {name}.", file=sys.stderr)
    if folder != args.destination.parent:
        where = f"The images stay in {images}: give it with --images when you read this file"
        print(f"{where}{', to LLaMA-Factory as media_dir' if name else ''}.", file=sys.stderr)
    if args.json:
        made = {"output": str(args.destination), "images": str(folder), "name": name}
        print(json.dumps(made | {"read": read, "samples": len(samples), "questions": questions}, ensure_ascii=False))
    return 0

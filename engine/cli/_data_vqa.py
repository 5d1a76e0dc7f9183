"""``data vqa``: Medical-Diff-VQA and MIMIC-CXR-VQA made into Libra's files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    vqa = commands.add_parser(
        "vqa",
        help="Medical-Diff-VQA and MIMIC-CXR-VQA made into Libra's files",
        description="Make Libra's training files (train, validate) and questions (test) of questions about MIMIC-CXR: "
        "mimic_pair_questions.csv of Medical-Diff-VQA; train.json, valid.json and test.json of MIMIC-CXR-VQA.",
        epilog="Training and evaluation take the folder of --images as theirs.",
    )
    vqa.add_argument("questions", type=Path, nargs="+", metavar="FILE", help="tables or JSON lists of questions")
    vqa.add_argument("--images", type=Path, required=True, metavar="DIR", help="MIMIC-CXR-JPG: the folder with files/")
    vqa.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    vqa.add_argument(
        "--studies",
        type=Path,
        metavar="FILE",
        help="which image stands for a study (default: mimic_all.csv beside the questions, else the metadata table)",
    )
    vqa.add_argument(
        "--turns",
        type=int,
        default=1,
        metavar="N",
        help="up to N questions about the same images as one conversation, in training (default 1)",
    )
    vqa.add_argument("--ending", choices=(".jpg", ".png", ".dcm"), default=".jpg", help="of the images (default .jpg)")
    vqa.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    vqa.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the counts; the exit status."""
    from engine.datasets.vqa import ORDER, WRITTEN, convert

    converted = convert(
        args.questions,
        args.images,
        args.output,
        studies=args.studies,
        turns=args.turns,
        ending=args.ending,
        progress=Progress("questions", "MB"),
    )
    print(json.dumps(converted.summary, ensure_ascii=False) if args.json else converted.tally.table(ORDER))
    print(
        f"{converted.tally.of(WRITTEN):,} questions are in {args.output}; their images are relative to {args.images}.",
        file=sys.stderr,
    )
    return 0

"""``data vqa-rad``: VQA-RAD made into a training file and questions."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    rad = commands.add_parser(
        "vqa-rad",
        help="VQA-RAD made into a training file and questions",
        description="Make a training file and questions (validation, test) of 'VQA_RAD Dataset Public.json'. The "
        "official test is asked about images that are trained on as well; --split by-image parts the cases.",
        epilog="Training and evaluation take the folder of --images as theirs. 'data convert --join-questions' makes "
        "one conversation of the questions about an image.",
    )
    rad.add_argument("file", type=Path, metavar="FILE", help="the published list")
    rad.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of its images")
    rad.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    rad.add_argument(
        "--split", choices=("official", "by-image"), default="official", help="which test (default official)"
    )
    rad.add_argument(
        "--test", type=float, default=0.2, metavar="SHARE", help="of the cases, with --split by-image (default 0.2)"
    )
    rad.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE", help="of the cases (default 0.1; official: may be 0)"
    )
    rad.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another split (default 0)")
    rad.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    rad.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the counts; the exit status."""
    from engine.datasets.splitting import Shares
    from engine.datasets.vqa_rad import ORDER, convert

    told = Progress("questions", "kB")
    made = convert(
        args.file,
        args.images,
        args.output,
        by=args.split,
        shares=Shares(args.test, args.validation),
        seed=args.seed,
        progress=lambda done, total: told(done // 1000, total // 1000),
    )
    if args.json:
        document = {"output": str(args.output), "written": made.written, "counts": made.tally.document()}
        print(json.dumps(document | {"test_shares_with_training": vars(made.shared)}, ensure_ascii=False))
    else:
        print(made.tally.table(ORDER))
    for name, rows in made.written.items():
        print(f"{name}: {rows:,} rows", file=sys.stderr)
    shared = made.shared
    if shared.questions:
        print(
            f"{shared.questions:,} of the {shared.of_questions:,} test questions are about images that are trained on "
            f"({shared.images:,} images), and {shared.rephrased:,} are asked in other words there. Figures on them "
            "flatter: compare them with published ones only, and take --split by-image for what is true.",
            file=sys.stderr,
        )
    print(f"The images stay in {args.images}: give it with --images when you read these files.", file=sys.stderr)
    return 0

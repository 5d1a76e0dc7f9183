"""``data captions``: images with captions, as MedTrinity-25M lists them, made into a training file and questions."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    captions = commands.add_parser(
        "captions",
        help="images with captions (MedTrinity) made into a training file and questions",
        description="Make a training file and held-out questions of images with captions: a JSON list, or one object a "
        "line, with 'caption', 'id' and 'image' (or 'file_name').",
        epilog="Training and evaluation take the folder of --images as theirs.",
    )
    captions.add_argument("file", type=Path, metavar="FILE", help="list of captions (.json, .jsonl)")
    captions.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of the images")
    captions.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    captions.add_argument(
        "--instruction",
        default="",
        metavar="TEXT",
        help="what is asked of every image (default: one of a few in the caption's language, by its id)",
    )
    captions.add_argument(
        "--patient",
        default="",
        metavar="REGEX",
        help="finds the patient in the image's name, else in the id, e.g. '^(p[0-9]+)_' (default: every image its own)",
    )
    captions.add_argument("--test", type=float, default=0.1, metavar="SHARE", help="of the patients (default 0.1)")
    captions.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE", help="of the patients (default 0.1)"
    )
    captions.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another split (default 0)")
    captions.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    captions.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the counts; the exit status."""
    from engine.datasets.captions import NO_PATIENT, ORDER, convert
    from engine.datasets.splitting import Shares

    told = Progress("captions", "kB")
    made = convert(
        args.file,
        args.images,
        args.output,
        instruction=args.instruction,
        patient=args.patient,
        shares=Shares(args.test, args.validation),
        seed=args.seed,
        progress=lambda done, total: told(done // 1000, total // 1000),
    )
    if args.json:
        document = {"output": str(args.output), "written": made.written, "patients": made.patients}
        print(json.dumps(document | {"counts": made.tally.document()}, ensure_ascii=False))
    else:
        print(made.tally.table(ORDER))
    for name, rows in made.written.items():
        print(f"{name}: {rows:,} rows", file=sys.stderr)
    if made.patients:
        print(f"{made.patients:,} patients were found and kept apart.", file=sys.stderr)
    if not args.patient or made.tally.of(NO_PATIENT):
        some = "Images of which no patient was found" if args.patient else "No patient is named: images"
        print(
            f"{some} were parted one by one. If a patient has several, name them with --patient REGEX, or a model "
            "will be judged on patients it has learnt from.",
            file=sys.stderr,
        )
    print(f"The images stay in {args.images}: give it with --images when you read these files.", file=sys.stderr)
    return 0

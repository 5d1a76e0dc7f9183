"""``data mimic``: MIMIC-CXR made into Libra's files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    mimic = commands.add_parser(
        "mimic",
        help="MIMIC-CXR made into Libra's files",
        description="Make Libra's training files (train, validate) and questions (test) of MIMIC-CXR-JPG.",
        epilog="Training and evaluation take FOLDER as the folder of the images.",
    )
    mimic.add_argument("folder", type=Path, metavar="FOLDER", help="MIMIC-CXR-JPG: its tables, and files/p10/...")
    mimic.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    mimic.add_argument(
        "--reports", type=Path, metavar="DIR", help="the reports (default: reports or mimic-cxr-reports in FOLDER)"
    )
    mimic.add_argument("--metadata", type=Path, metavar="FILE", help="default: mimic-cxr-2.0.0-metadata.csv[.gz]")
    mimic.add_argument("--splits", type=Path, metavar="FILE", help="default: mimic-cxr-2.0.0-split.csv[.gz]")
    mimic.add_argument(
        "--patients", type=Path, metavar="FILE", help="MIMIC-IV's table, for sex and age (default: patients.csv[.gz])"
    )
    mimic.add_argument(
        "--section",
        choices=("findings", "impression", "both"),
        default="findings",
        help="the answer (default findings)",
    )
    mimic.add_argument(
        "--context",
        default="indication,history,comparison,technique",
        metavar="NAMES",
        help="sections put with the question, or none (default: indication,history,comparison,technique)",
    )
    mimic.add_argument(
        "--views",
        default="frontal",
        metavar="NAMES",
        help="of the current image: frontal, lateral, all, or values of ViewPosition (default frontal)",
    )
    mimic.add_argument(
        "--prior",
        choices=("published", "matched", "none"),
        default="published",
        help="published: the last image of an earlier date; matched: of the latest earlier study, of the same "
        "projection (default published)",
    )
    mimic.add_argument(
        "--ending", choices=(".jpg", ".png", ".dcm"), default=".jpg", help="of the image files (default .jpg)"
    )
    mimic.add_argument("--sectioned", action="store_true", help="write Libra's tables of all reports as well")
    mimic.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    mimic.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the counts; the exit status."""
    from engine.datasets.mimic.prepare import ORDER, VIEWS, WRITTEN, Choice, Source, prepare
    from engine.datasets.mimic.sectioned import write_sectioned
    from engine.errors import UsageError

    source = Source.find(
        args.folder, metadata=args.metadata, splits=args.splits, reports=args.reports, patients=args.patients
    )
    views = VIEWS[args.views] if args.views in VIEWS else _names(args.views.upper())
    if not views and args.views != "all":
        raise UsageError("Name at least one view, or all.")
    context = () if args.context == "none" else _names(args.context)
    choice = Choice(args.section, context, views, args.prior, args.ending)
    prepared = prepare(source, choice, args.output, Progress("films", "steps"))
    document = dict(prepared.summary)
    if not args.json:
        print(prepared.tally.table(ORDER))
    if args.sectioned:
        sectioned = write_sectioned(source.reports, args.output, Progress("reports", "groups of patients"))
        document["reports"] = sectioned.document()
        if not args.json:
            print(f"\n{sectioned.table()}")
    if args.json:
        print(json.dumps(document, ensure_ascii=False))
    print(
        f"{prepared.tally.of(WRITTEN):,} samples are in {args.output}; their images are relative to {source.images}.",
        file=sys.stderr,
    )
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())

"""``data phantoms``: synthetic chest radiographs in pairs, with reports and truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    phantoms = commands.add_parser(
        "phantoms",
        help="synthetic chest radiographs in pairs, with reports and truth",
        description="Write synthetic chest radiographs in pairs, with reports and the truth about every finding.",
    )
    phantoms.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    phantoms.add_argument("--count", type=int, required=True, metavar="N", help="number of cases (patients)")
    phantoms.add_argument(
        "--seed", type=int, default=0, metavar="S", help="other seeds give other patients (default 0)"
    )
    phantoms.add_argument(
        "--site", choices=("a", "b", "c"), default="a", help="exposure, wording and frequencies (default a)"
    )
    phantoms.add_argument(
        "--split",
        choices=("train", "test"),
        help="test: unseen ranges and phrases (default train; with --format mimic train, validate and test patients)",
    )
    phantoms.add_argument(
        "--size", type=int, metavar="PX", help="longer side in pixels (default 224, for studies 1024)"
    )
    phantoms.add_argument(
        "--format",
        choices=("training", "studies", "mimic"),
        default="training",
        help="training: Libra's files; studies: DICOM; mimic: tables, reports and films as MIMIC-CXR-JPG has "
        "them, several studies a patient (default training)",
    )
    phantoms.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default 2)")
    phantoms.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the cases; the exit status."""
    # Imported late: the command line must start without numpy and scipy.
    from engine.datasets.phantoms import SITES, write_mimic, write_studies, write_training

    shared = {
        "seed": args.seed,
        "site": SITES[args.site],
        "workers": args.workers,
        "progress": Progress("phantoms", "cases"),
    }
    if args.format == "mimic":
        write_mimic(args.output, args.count, split=args.split, size=args.size or 224, **shared)
    else:
        write, size = (write_studies, 1024) if args.format == "studies" else (write_training, 224)
        write(args.output, args.count, split=args.split or "train", size=args.size or size, **shared)
    print(f"{args.count} cases are in {args.output}.", file=sys.stderr)
    return 0

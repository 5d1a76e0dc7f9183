"""``data ct-phantoms``: synthetic CT slices with captions and questions, in English and Chinese."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli._progress import Progress


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    slices = commands.add_parser(
        "ct-phantoms",
        help="synthetic CT slices with captions and short questions",
        description="Write synthetic axial CT slices of chest and abdomen, each with a caption (organs, lesion, place, "
        "size) and short questions, closed and open, parted by patient into training, validation and test.",
    )
    slices.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    slices.add_argument(
        "--count", type=int, required=True, metavar="N", help="number of patients, of two to four slices each"
    )
    slices.add_argument("--seed", type=int, default=0, metavar="S", help="other seeds give other patients (default 0)")
    slices.add_argument("--size", type=int, default=168, metavar="PX", help="pixels along a side (default 168)")
    slices.add_argument(
        "--language",
        choices=("en", "zh", "en+zh"),
        default="en",
        help="of captions and questions: English, Chinese, or a row of each for every slice (default en)",
    )
    slices.add_argument("--test", type=float, default=0.2, metavar="SHARE", help="of the patients (default 0.2)")
    slices.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="of the patients (default 0.1)")
    slices.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    slices.set_defaults(run_data=run)


def run(args: argparse.Namespace) -> int:
    """Write the slices; the exit status."""
    from engine.datasets.ct_phantoms import write_slices
    from engine.datasets.splitting import Shares

    written = write_slices(
        args.output,
        args.count,
        seed=args.seed,
        size=args.size,
        language=args.language,
        shares=Shares(args.test, args.validation),
        progress=Progress("ct phantoms", "patients"),
    )
    for name, rows in written.items():
        print(f"{name}: {rows:,} rows", file=sys.stderr)
    if args.json:
        print(json.dumps({"output": str(args.output), "written": written}, ensure_ascii=False))
    return 0

"""``data from-signed``: a training set of the history's signed reports, without who the patients are."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli._progress import Progress

if TYPE_CHECKING:
    from engine.datasets.signed.writing import Made

MODELS_SHOWN = 5


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    signed = commands.add_parser(
        "from-signed",
        help="a de-identified training set of the signed reports of the history",
        description="Turn the signed reports of the history into a training set: the question as it was put, the text "
        "as it was signed, images as the model sees them. Names, identifiers and dates are taken away or moved; the "
        "history itself is only read.",
    )
    signed.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    signed.add_argument("--since", type=_day, metavar="DATE", help="only what was signed on this day or later")
    signed.add_argument(
        "--min-changes", type=int, default=0, metavar="N", help="only reports with so many sentences changed or more"
    )
    signed.add_argument("--section", default="findings", choices=("findings", "impression"), help="default: findings")
    signed.add_argument(
        "--images-looked-at",
        action="store_true",
        help="take images that may have text in them: somebody has looked at each and found no name",
    )
    signed.add_argument("--json", action="store_true", help="print the manifest as one JSON object on standard output")
    signed.set_defaults(run_data=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a day is written as year-month-day, for example 2026-03-02") from None


def run(args: argparse.Namespace) -> int:
    """Write the set; the exit status."""
    # Imported late: the command line must start without numpy and the readers of images.
    import engine
    from engine import paths
    from engine.datasets.signed.history import Choice
    from engine.datasets.signed.pseudonyms import load_secret
    from engine.datasets.signed.writing import write_key, write_set
    from engine.records import Records

    now = datetime.now(UTC)
    choice = Choice(args.since, args.min_changes, args.section, args.images_looked_at)
    with Records.open(paths.home(), read_only=True) as records:
        made = write_set(
            records,
            args.output,
            choice,
            secret=load_secret(paths.home()),
            now=now,
            application=f"Interval {engine.__version__}",
            progress=Progress("from-signed", "reports"),
        )
    key = write_key(paths.home() / "deidentified", made, now)
    print("\n".join(lines(made, key)), file=sys.stderr)
    if args.json:
        print(json.dumps(made.manifest | {"output": str(args.output), "key": str(key)}, ensure_ascii=False))
    return 0


def lines(made: Made, key: Path) -> list[str]:
    """What was made, as lines for people."""
    told = made.manifest
    rows = [
        f"Rows: {told['rows']}, of {told['patients']} patients, with {told['images']} images; {told['with_prior']} "
        f"have a prior. Signed reports looked at: {told['signed_reports']}. The set is in {made.output}."
    ]
    if told["left_out"]:
        rows.append("Left out:")
        rows += [f"  {count:>6}  {reason}" for reason, count in told["left_out"].items()]
    if told["taken_from_texts"]:
        taken = ", ".join(f"{kind} {count}" for kind, count in told["taken_from_texts"].items())
        rows.append(f"Taken from the texts: {taken}.")
    if made.suspected:
        what = "were taken" if told["images_that_may_hold_text"]["taken"] else "were left out"
        rows.append(
            f"Reports with images that may have text in them: {len(made.suspected)}; they {what}. Open them in the "
            "viewer and look; --images-looked-at takes them."
        )
    for tally in told["corrections"]["models"][:MODELS_SHOWN]:
        rows += _model_lines(tally)
    rows.append(f"Which row is which report is in {key}; it names reports of the history and stays here.")
    rows.append("Read the texts and look at the images before the set leaves this machine.")
    return rows


def _model_lines(tally: dict[str, Any]) -> list[str]:
    said = tally["sentences"]
    sentences = ", ".join(f"{count} {what}" for what, count in said.items())
    found = [f"{tally['model']}: {tally['reports']} reports, {tally['untouched']} signed as drafted; {sentences}."]
    findings = sorted(tally["findings"].items(), key=lambda item: -sum(item[1].values()))[:5]
    if findings:
        told = "; ".join(
            f"{finding} " + ", ".join(f"{done} {count}" for done, count in how.items()) for finding, how in findings
        )
        found.append(f"  Findings corrected most: {told}.")
    changes = sorted(tally["changes"].items(), key=lambda item: -sum(item[1].values()))[:5]
    if changes:
        told = "; ".join(f"{change} ({sum(how.values())})" for change, how in changes)
        found.append(f"  Changes corrected most: {told}.")
    return found

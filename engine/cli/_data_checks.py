"""``data validate`` and ``data split``: a data set checked before anything runs, and parted by patient."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import paths
from engine.cli._progress import Progress

if TYPE_CHECKING:
    from engine.datasets.checking import Checked
    from engine.datasets.describing import Description, Spread
    from engine.datasets.leakage import Leakage

SHOWN = 30
"""Issues printed; --csv and --json have all."""

LEAKS_SHOWN = 10


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both subcommands."""
    validate = commands.add_parser(
        "validate",
        help="everything that is wrong with a data file, and what is in it",
        description="Check a training or evaluation file: every fault of every row at once, and the set in figures. "
        "Exit status 3 if a row cannot be used, or if somebody is in FILE and in a file it is held against; with "
        "--report what is wrong stands in the report, and the status says whether that was written.",
    )
    validate.add_argument("file", type=Path, metavar="FILE", help="training (JSON, JSONL) or evaluation file (JSONL)")
    validate.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: the file's own)")
    validate.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="held-out files; no two of all may share anybody",
    )
    validate.add_argument(
        "--against-images", type=Path, metavar="DIR", help="their folder of images (default: each file's own)"
    )
    validate.add_argument("--decode", action="store_true", help="read every pixel of every image, not only its ends")
    validate.add_argument(
        "--no-pixels", action="store_true", help="with --against: do not look for images that were saved anew"
    )
    validate.add_argument(
        "--similar",
        type=float,
        default=0.8,
        metavar="J",
        help="reports this much alike are told (default 0.8; below 0.7 some pairs are missed)",
    )
    validate.add_argument("--workers", type=int, default=2, metavar="N", help="images read at once (default 2)")
    validate.add_argument("--csv", type=Path, metavar="FILE", help="write all issues as a table")
    validate.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the object that --json prints; the file is whole or not there",
    )
    validate.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    validate.set_defaults(run_data=run_validate)

    split = commands.add_parser(
        "split",
        help="training, validation and test parts, patient by patient",
        description="Split a training file by patient. The same seed gives the same parts, and new patients move "
        "nobody.",
    )
    split.add_argument("file", type=Path, metavar="FILE", help="training file (JSON, JSONL)")
    split.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    split.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: the file's own)")
    split.add_argument("--test", type=float, default=0.1, metavar="SHARE", help="of the patients (default 0.1)")
    split.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="of the patients (default 0.1)")
    split.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another split (default 0)")
    unnamed = split.add_mutually_exclusive_group()
    unnamed.add_argument(
        "--by-image", dest="unnamed", action="store_const", const="image", default="refuse",
        help="rows without a patient go by their current image",
    )  # fmt: skip
    unnamed.add_argument(
        "--by-id", dest="unnamed", action="store_const", const="id", help="rows without a patient go by their own id"
    )
    split.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    split.set_defaults(run_data=run_split)


def run_validate(args: argparse.Namespace) -> int:
    """Check, describe, compare; the exit status."""
    # Imported late: the command line must start without numpy and the readers of images.
    from engine.datasets.checking import check, write_csv
    from engine.datasets.describing import describe
    from engine.datasets.leakage import compare
    from engine.errors import DatasetError, UsageError

    if args.workers < 1 or not 0 < args.similar <= 1:
        raise UsageError("--workers is at least 1, and --similar lies above 0 and at 1 at most.")
    checked = check(
        args.file, args.images, decode=args.decode, workers=args.workers, progress=Progress("validate", "images")
    )
    described = describe(checked.cases, progress=Progress("validate", "reports"))
    held_out = [
        check(other, args.against_images, workers=args.workers, progress=Progress(other.name, "images"))
        for other in args.against
    ]
    leaks = [
        (
            one,
            other,
            compare(
                one.cases,
                other.cases,
                threshold=args.similar,
                pixels=not args.no_pixels,
                workers=args.workers,
                progress=Progress(f"{one.file.name} and {other.file.name}", "images"),
            ),
        )
        for one, other in combinations([checked, *held_out], 2)
    ]
    if args.csv:
        write_csv(args.csv, checked)
    document = checked.to_json() | {
        "description": described.to_json(),
        "leakage": [_leak_document(*found) for found in leaks],
    }
    if args.report:
        _write_whole(args.report, json.dumps(document, ensure_ascii=False))
    if args.json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        print("\n".join(issue_lines(checked)))
        print("\n".join(["", *figure_lines(described)]))
        for found in leaks:
            print("\n".join(["", *leak_lines(*found)]))
    bad = not all(file.ok for file in (checked, *held_out)) or any(leak.people for _, _, leak in leaks)
    return DatasetError.exit_status if bad and not args.report else 0


def _write_whole(file: Path, text: str) -> None:
    """Put ``text`` in place of what ``file`` holds; a reader sees the old or the new, never a part."""
    paths.ensure(file.parent)
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _leak_document(one: Checked, other: Checked, leak: Leakage) -> dict[str, Any]:
    files = {"files": [str(one.file), str(other.file)], "errors_in_second": not other.ok}
    return files | leak.to_json(one.numbers, other.numbers)


def issue_lines(checked: Checked) -> list[str]:
    """What is wrong, as lines for people: a verdict, counts, and the first rows."""
    from engine.datasets.checking import KINDS

    errors = sum(issue.severity == "error" for issue in checked.issues)
    rows = len({issue.row for issue in checked.issues if issue.severity == "error"})
    depth = "every pixel read" if checked.decoded else "heads and ends read"
    lines = [f"{checked.file.name}: {checked.rows} rows ({checked.form}), {checked.images} images ({depth})."]
    if not checked.issues:
        return [*lines, "Nothing is wrong."]
    verdict = f"{_count(errors, 'error')} in {_count(rows, 'row')}" if errors else "No error"
    lines += [f"{verdict}, {_count(len(checked.issues) - errors, 'warning')}:", ""]
    severity = {issue.kind: issue.severity for issue in checked.issues}
    for kind, count in checked.counts().items():
        lines.append(f"  {severity[kind]:<8} {count:>7}  {KINDS[kind]}")
    width = min(24, max(len(issue.id) for issue in checked.issues))
    lines += ["", f"  {'row':>7}  {'id':<{width}}  {'severity':<8}  reason"]
    for issue in checked.issues[:SHOWN]:
        row = str(issue.row) if issue.row else "file"
        lines.append(f"  {row:>7}  {issue.id[:width]:<{width}}  {issue.severity:<8}  {issue.reason}")
    if len(checked.issues) > SHOWN:
        lines.append(f"  ... and {len(checked.issues) - SHOWN} more: --csv FILE writes all of them")
    return lines


def figure_lines(described: Description) -> list[str]:
    """The main figures of a set as lines for people."""
    from engine.reports import labels

    if not described.rows:
        return ["No row can be read."]
    lines = [
        f"{described.rows} rows of {described.patients} patients ({described.rows_without_patient} rows without one), "
        f"{described.studies} studies, {described.images} images, {described.with_prior} rows with a prior.",
        *_spread_line("Words of an answer", described.words),
        *_spread_line("Ages", described.ages),
        *_value_line("Views", described.views),
        *_value_line("Sexes", described.sexes),
        *_value_line("Languages", described.languages),
        *_value_line("Scripts", described.scripts),
    ]
    if described.findings:
        lines += ["", f"Findings ({labels.EXTRACTOR_LINE}), in answers:"]
        lines.append(f"  {'':<26} present uncertain  denied  changes")
        for found in described.findings:
            changes = ", ".join(f"{name} {count}" for name, count in found.changes.items())
            lines.append(f"  {found.finding:<26} {found.present:>7} {found.uncertain:>9} {found.absent:>7}  {changes}")
        lines.append("")
    comparing = described.comparing_without_prior
    if comparing:
        some = ", ".join(comparing[:5]) + (", ..." if len(comparing) > 5 else "")
        lines.append(f"{_count(len(comparing), 'row')} without a prior with answers that compare: {some}")
    if not described.answers:
        return [*lines, "There are no answers in it."]
    lines.append(f"{_count(described.silent_with_prior, 'row')} with a prior whose answers compare nothing.")
    lines.append(f"{_count(described.repeated_rows, 'row')} with an answer that another row has as well.")
    lines += [f'  {repeated.rows:>6} x "{repeated.text}"' for repeated in described.repeated]
    return lines


def leak_lines(one: Checked, other: Checked, leak: Leakage) -> list[str]:
    """What two files share, as lines for people."""
    words = {
        "patient": "patients in both",
        "study": "studies in both",
        "image": "images in both",
        "pixels": "images in both, saved anew",
        "text": f"pairs of reports at least {leak.threshold:g} alike",
    }
    lines = [f"{one.file.name} and {other.file.name} ({len(other.cases)} rows):"]
    if not other.ok:
        lines.append("  Some rows of the second cannot be used: check it by itself.")
    for kind, what in words.items():
        if kind == "pixels" and not leak.pixels:
            continue
        found = [each for each in leak.shared if each.kind == kind]
        lines.append(f"  {len(found):>7}  {what}")
        for each in found[:LEAKS_SHOWN]:
            here = _rows([one.numbers[place] for place in each.first])
            there = _rows([other.numbers[place] for place in each.second])
            alike = f" ({each.similarity:.2f})" if each.similarity is not None else ""
            lines.append(f"           {here} and {there}{alike}")
        if len(found) > LEAKS_SHOWN:
            lines.append(f"           ... and {len(found) - LEAKS_SHOWN} more: --json has all of them")
    if leak.common_first or leak.common_second:
        common = f"{_count(leak.common_first, 'row')} and {leak.common_second}"
        lines.append(f"  {common} have wording that many patients have; that is no leakage by itself.")
    lines.append("  Somebody is in both: do not train and judge on these." if leak.people else "  Nobody is in both.")
    return lines


def _rows(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:4])) + (f" and {len(numbers) - 4} more" if len(numbers) > 4 else "")
    return f"row{'s' if len(numbers) > 1 else ''} {shown}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _spread_line(what: str, spread: Spread | None) -> list[str]:
    if spread is None:
        return []
    low, _, middle, _, high = spread.quantiles
    return [f"{what}: median {middle:g}, 5 to 95 % {low:g} to {high:g}, {spread.least:g} to {spread.most:g} in all."]


def _value_line(what: str, values: Any) -> list[str]:
    if not any(values):
        return []
    return [f"{what}: " + ", ".join(f"{name or 'not said'} {count}" for name, count in values.items()) + "."]


def run_split(args: argparse.Namespace) -> int:
    """Split and write; the exit status."""
    from engine.datasets import splitting
    from engine.datasets.libra import read_training

    shares = splitting.Shares(args.test, args.validation)
    images = args.images or args.file.parent
    samples = read_training(args.file, images)
    made = splitting.split(samples, shares, args.seed, unnamed=args.unnamed)
    described = {"source": _identity(args.file), "seed": args.seed, "shares": vars(shares), "by": args.unnamed}
    written = splitting.write(made, args.output, images=images, described=described)
    empty = [name for name in splitting.PARTS if not made.parts[name] and getattr(shares, name, 1) > 0]
    for name in reversed(splitting.PARTS):
        rows = len(made.parts[name])
        print(f"{name}: {_count(rows, 'row')} of {_count(made.owners[name], 'patient')}", file=sys.stderr)
    for name in empty:
        print(f"No patient fell into the {name} part; it was not written. Add patients or its share.", file=sys.stderr)
    if made.linked:
        people = sum(map(len, made.linked))
        print(
            f"{people} patients share image files with one another and were kept together, in "
            f"{_count(len(made.linked), 'group')}; split.json names them.",
            file=sys.stderr,
        )
    if images.resolve() != args.output.resolve() and not images.resolve().is_relative_to(args.output.resolve()):
        print(f"The images stay in {images}: give it with --images when you read these files.", file=sys.stderr)
    if args.json:
        print(
            json.dumps(
                {
                    "output": str(args.output),
                    "images": str(images),
                    "written": written,
                    "rows": {name: len(made.parts[name]) for name in splitting.PARTS},
                    "patients": dict(made.owners),
                    "linked": len(made.linked),
                },
                ensure_ascii=False,
            )
        )
    return 0


def _identity(file: Path) -> dict[str, str]:
    """Name and hash of the file that was split."""
    import hashlib

    with file.open("rb") as stream:
        return {"name": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}

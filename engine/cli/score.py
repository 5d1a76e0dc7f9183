"""Score answers against reference texts, a truth file, or both; compare two sets of answers or a whole evaluation.

'score DIR' scores the folder that 'evaluate --output DIR' has filled: every model against one of them and beside the
baselines, by parts of the studies and case by case. It writes scores.json, scores.csv, cases.jsonl, report.html and
report.pdf there. Short answers to questions (VQA) have scores of their own; with --judge a language model grades them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import _judging, _scorers
from engine.cli._progress import Progress

if TYPE_CHECKING:
    from engine.evaluation.assessment import Assessment
    from engine.evaluation.folder import Folder
    from engine.evaluation.scoring import ScoreSheet
    from engine.evaluation.statistics import Difference, Score


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``score``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="an evaluation's folder")
    what.add_argument("--predictions", type=Path, metavar="ANSWERS.jsonl", help="instead: one file of answers")
    parser.add_argument("--against", metavar="NAME", default="", help="of a folder: whom the others are compared with")
    parser.add_argument(
        "--references", type=Path, metavar="FILE.jsonl", help="questions with their reference, or true answers"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE.jsonl", help="what is true of each study; findings are scored against it"
    )
    parser.add_argument(
        "--metrics", metavar="NAMES", help="only keys that begin with one of these, separated by commas"
    )
    parser.add_argument("--compare", type=Path, metavar="OTHER.jsonl", help="a second set of answers: its gain and p")
    _scorers.register(parser)
    _judging.register(parser)
    parser.add_argument("--no-intervals", action="store_true", help="values only, faster")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    return _folder(args) if args.folder is not None else _file(args)


def _folder(args: argparse.Namespace) -> int:
    """An evaluation's folder."""
    from engine.errors import UsageError
    from engine.evaluation import writing
    from engine.evaluation.folder import Folder
    from engine.evaluation.judge.summary import KEYS
    from engine.evaluation.keys import headline

    given = [name for name in ("metrics", "compare", "csv", "no_intervals") if getattr(args, name)]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} is for one file of answers, not for an evaluation's folder.")
    _judging.check(args)
    found = scored(args, Folder.find(args.folder), against=args.against, references=args.references, truth=args.truth)
    if args.json:
        print(json.dumps(writing.plain(found), ensure_ascii=False))
        return 0
    judged = [] if found.judge is None else KEYS
    shown = [*headline(found.task), *judged]
    for one in found.systems:
        if one.sheet is not None:
            print(one.title)
            print(table({key: one.sheet.scores[key] for key in shown if key in one.sheet.scores}))
            print()
    return 0


def scored(
    args: argparse.Namespace,
    folder: Folder,
    *,
    against: str = "",
    references: Path | None = None,
    truth: Path | None = None,
) -> Assessment:
    """Score an evaluation's folder and write all that comes of it; notes go to standard error. Raises as ``assess``.

    ``args`` holds the options of the scorers and of the judge, who is asked first.
    """
    from engine.evaluation import writing
    from engine.evaluation.assessment import assess
    from engine.evaluation.judge.results import sentence

    _judging.judge(args, folder, references=references, truth=truth)
    found = assess(
        folder,
        against=against,
        scorers=_scorers.scorers(args),
        references=references,
        truth=truth,
        task=args.task,
        grades=args.human,
        report=Progress("score", "systems"),
    )
    writing.write(found, folder.path)
    for one in found.systems:
        if one.note:
            print(f"{one.title}: {one.note}", file=sys.stderr)
    if found.judge is not None:
        for said in (
            found.judge.caution,
            *(sentence(found.judge, name, found.against) for name in found.judge.summaries),
        ):
            print(said, end="\n" if said else "", file=sys.stderr)
    print(f"The report is {folder.path / writing.HTML} (and {writing.PDF}).", file=sys.stderr)
    return found


def _file(args: argparse.Namespace) -> int:
    """One file of answers, or two."""
    from engine.datasets.libra import read_answers, read_references
    from engine.errors import UsageError
    from engine.evaluation.keys import KEYS
    from engine.evaluation.scoring import Evaluation
    from engine.evaluation.truth import read_truth

    for name in ("judge", "human"):
        if getattr(args, name):
            raise UsageError(f"--{name} is for an evaluation's folder: 'evaluate --output DIR', then 'score DIR'.")
    if args.against:
        raise UsageError("--against is for an evaluation's folder; a second file is given by --compare.")
    if args.references is None and args.truth is None:
        raise UsageError("Give --references, --truth, or both: there must be something to score against.")
    references = read_references(args.references) if args.references else {}
    truth = read_truth(args.truth) if args.truth else {}
    evaluation = Evaluation(references, truth, _scorers.scorers(args), args.task)
    answers = read_answers(args.predictions)
    wanted = _wanted(args.metrics)
    sheet = evaluation.score(answers, intervals=not args.no_intervals, wanted=wanted)
    scores = sheet.scores
    unknown = [word for word in wanted if not any(name.startswith(word) for name in scores)]
    if unknown:
        raise UsageError(f"There is no score that begins with '{', '.join(unknown)}'. There are: {', '.join(KEYS)}.")
    other = read_answers(args.compare) if args.compare else None
    differences = evaluation.compare(answers, other, wanted=wanted) if other is not None else {}
    if args.csv:
        _write_csv(args.csv, scores, differences)
    for note in sheet.notes:
        print(note, file=sys.stderr)
    if args.json:
        print(json.dumps(_document(sheet, scores, differences), ensure_ascii=False))
    else:
        print(table(scores))
        if differences:
            print()
            print(difference_table(differences))
    return 0


def _wanted(names: str | None) -> tuple[str, ...]:
    from engine.errors import UsageError
    from engine.evaluation.scoring import EVERYTHING

    if names is None:
        return EVERYTHING
    wanted = tuple(name.strip() for name in names.split(",") if name.strip())
    if not wanted:
        raise UsageError("--metrics names no score.")
    return wanted


def table(scores: Mapping[str, Score]) -> str:
    """The scores as aligned lines for people."""
    width = max(len(name) for name in scores)
    lines = [f"{'':<{width}}    score   95 % interval     studies"]
    for name, score in scores.items():
        if score.value is None:
            lines.append(f"{name:<{width}}  {score.note}")
            continue
        interval = "" if score.low is None else f"{score.low:.2f} to {score.high:.2f}"
        lines.append(f"{name:<{width}}  {score.value:>7.2f}   {interval:<16}  {score.studies:>7}")
    return "\n".join(lines)


def difference_table(differences: Mapping[str, Difference]) -> str:
    """Second minus first as aligned lines for people."""
    width = max(len(name) for name in differences)
    lines = [f"{'second minus first':<{width}}     gain   95 % interval     p       p (Holm)"]
    for name, entry in differences.items():
        interval = f"{entry.low:+.2f} to {entry.high:+.2f}"
        lines.append(f"{name:<{width}}  {entry.value:>+7.2f}   {interval:<16}  {entry.p:.4f}  {entry.p_holm:.4f}")
    return "\n".join(lines)


def _document(sheet: ScoreSheet, scores: Mapping[str, Score], differences: Mapping[str, Difference]) -> dict[str, Any]:
    from engine.evaluation.writing import gained, shown

    document: dict[str, Any] = {
        "scores": {name: shown(score) for name, score in scores.items()},
        "studies": sheet.studies,
        "patients": sheet.patients,
        "missing": len(sheet.missing),
        "unknown": len(sheet.unknown),
        "notes": list(sheet.notes),
    }
    if differences:
        document["differences"] = {name: gained(entry) for name, entry in differences.items()}
    return document


def _write_csv(file: Path, scores: Mapping[str, Score], differences: Mapping[str, Difference]) -> None:
    import csv

    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["score", "value", "low", "high", "studies", "note", "gain", "gain low", "gain high", "p", "p Holm"]
        )
        for name, score in scores.items():
            gain = differences.get(name)
            compared = [gain.value, gain.low, gain.high, gain.p, gain.p_holm] if gain else [""] * 5
            writer.writerow([name, score.value, score.low, score.high, score.studies, score.note, *compared])

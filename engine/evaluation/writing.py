"""What scoring leaves in an evaluation's folder: scores.json, scores.csv, cases.jsonl, report.html and report.pdf.

Where a judge was asked, also evaluation_NAME.json for each system it judged (judge/results.py).

scores.json, by which other programs go:

    {"format", "made", "asked", "task", "headline", "studies", "patients", "with_prior", "against", "tested", "tests",
     "positives", "notes", "keys", "models": {name: SYSTEM}, "baselines": {name: SYSTEM}, "judge": JUDGE or null}
    SYSTEM: {"title", "about", "note", "studies", "patients", "missing", "left_out", "cut_off", "seconds", "precisions",
             "notes", "scores": {key: SCORE}, "comparison": {"studies", "patients", "differences": {key: DIFFERENCE}},
             "parts": [{"division", "name", "studies", "patients", "scores": {key: SCORE}}]}
    SCORE: {"value", "interval"?, "studies", "note"?}
    DIFFERENCE: {"value", "interval", "p"?, "p_holm"?, "mcnemar"?: {"against_only", "this_only", "items", "p"}}
    JUDGE: {"judge", "prompt_sha256", "headline", "caution", "calibration", "tests", "models": {name: {"summary",
            "not_judged", "differences": {key: DIFFERENCE}, "sentence"}}}
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.evaluation import report_judge
from engine.evaluation.agreement import Discordance
from engine.evaluation.assessment import Assessment, System
from engine.evaluation.comparing import Comparison
from engine.evaluation.folder import FORMAT, now
from engine.evaluation.judge import results
from engine.evaluation.judge.results import Results
from engine.evaluation.judge.verdict import PROMPT_SHA256
from engine.evaluation.keys import KEYS, headline
from engine.evaluation.report import document
from engine.evaluation.report_html import to_html
from engine.evaluation.report_pdf import to_pdf
from engine.evaluation.statistics import Difference, Score

SCORES, TABLE, CASES, HTML, PDF = "scores.json", "scores.csv", "cases.jsonl", "report.html", "report.pdf"


def write(found: Assessment, folder: Path) -> None:
    """Write all five; each takes the place of an older one when it is complete.

    Raises:
        ResourceError: a name is Chinese and the PDF has no typeface for it; all but the PDF is written.
    """
    report = document(found, folder.resolve().name)
    _put(folder / SCORES, (json.dumps(plain(found), ensure_ascii=False, indent=1) + "\n").encode())
    _put(folder / CASES, "".join(case.to_line() for case in found.cases).encode())
    _put(folder / HTML, to_html(report).encode())
    _write_table(folder / TABLE, found)
    _write_judged(found, folder)
    _put(folder / PDF, to_pdf(report))  # at the end: a typeface may be missing for it


def _write_judged(found: Assessment, folder: Path) -> None:
    """A file for each system that was judged; those of an earlier scoring that holds no more go."""
    names: dict[str, str] = {}
    if found.judge is not None:
        made_from = {one.name: str(one.about.get("tuned_from") or "") for one in found.systems}
        names = results.file_names(found.judge, made_from)
    for one in found.systems:
        if found.judge is not None and one.sheet is not None and one.name in names:
            said = results.plain(found.judge, one.name, one.sheet.scores)
            _put(folder / names[one.name], (json.dumps(said, ensure_ascii=False, indent=1) + "\n").encode())
    for old in folder.glob("evaluation_*.json"):
        if old.name not in names.values():
            old.unlink(missing_ok=True)


def plain(found: Assessment) -> dict[str, Any]:
    """scores.json."""
    return {
        "format": FORMAT,
        "made": now(),
        "asked": found.document["asked"],
        "task": found.task,
        "headline": [*headline(found.task), *report_judge.headline(found)],
        "studies": found.studies,
        "patients": found.patients,
        "with_prior": found.with_prior,
        "against": found.against,
        "tested": list(found.tested),
        "tests": found.tests,
        "positives": dict(found.positives),
        "notes": list(found.notes),
        "keys": {name: {**asdict(key)} for name, key in KEYS.items()},
        "models": {one.name: _system(one) for one in found.systems if not one.baseline},
        "baselines": {one.name: _system(one) for one in found.systems if one.baseline},
        "judge": None if found.judge is None else _judge(found.judge, found.against),
    }


def shown(score: Score) -> dict[str, Any]:
    """One score: value, interval and studies, or the reason why there is none."""
    if score.value is None:
        return {"value": None, "note": score.note}
    entry: dict[str, Any] = {"value": round(score.value, 4), "studies": score.studies}
    if score.low is not None and score.high is not None:
        entry["interval"] = [round(score.low, 4), round(score.high, 4)]
    if score.note:
        entry["note"] = score.note
    return entry


def gained(entry: Difference) -> dict[str, Any]:
    """One difference; without p where it was not tested."""
    found: dict[str, Any] = {
        "value": round(entry.value, 4),
        "interval": [round(entry.low, 4), round(entry.high, 4)],
    }
    return found | {name: round(p, 5) for name, p in (("p", entry.p), ("p_holm", entry.p_holm)) if not math.isnan(p)}


def _judge(found: Results, against: str) -> dict[str, Any]:
    others = found.compared.found if found.compared is not None else {}
    return {
        "judge": found.judge,
        "prompt_sha256": PROMPT_SHA256,
        "headline": found.headline,
        "caution": found.caution,
        "calibration": None if found.calibration is None else asdict(found.calibration),
        "tests": found.compared.tests if found.compared is not None else 0,
        "models": {
            name: {
                "summary": summary.plain(),
                "not_judged": found.not_judged[name],
                "differences": _differences(others[name]) if name in others else {},
                "sentence": results.sentence(found, name, against),
            }
            for name, summary in found.summaries.items()
        },
    }


def _differences(comparison: Comparison) -> dict[str, Any]:
    return {
        key: gained(entry) | _tested_by_question(comparison.discordances.get(key))
        for key, entry in comparison.differences.items()
    }


def _tested_by_question(entry: Discordance | None) -> dict[str, Any]:
    if entry is None:
        return {}
    counts = {"against_only": entry.first, "this_only": entry.second, "items": entry.items}
    return {"mcnemar": counts | {"p": round(entry.p, 5)}}


def _system(one: System) -> dict[str, Any]:
    sheet = one.sheet
    return {
        "title": one.title,
        "about": dict(one.about),
        "note": one.note,
        "studies": sheet.studies if sheet else 0,
        "patients": sheet.patients if sheet else 0,
        "missing": len(sheet.missing) if sheet else None,
        "left_out": one.left_out,
        "cut_off": one.cut_off,
        "seconds": one.seconds,
        "precisions": list(one.precisions),
        "notes": list(sheet.notes) if sheet else [],
        "scores": {key: shown(score) for key, score in sheet.scores.items()} if sheet else {},
        "comparison": {
            "studies": one.comparison.studies,
            "patients": one.comparison.patients,
            "differences": _differences(one.comparison),
        },
        "parts": [
            {
                "division": part.division,
                "name": part.name,
                "studies": part.studies,
                "patients": part.patients,
                "scores": {key: shown(score) for key, score in part.scores.items()},
            }
            for part in one.parts
        ],
    }


_COLUMNS = ("system", "part", "score", "value", "low", "high", "studies", "note", "difference", "difference low",
            "difference high", "p", "p Holm", "only the other right", "only this right", "McNemar p")  # fmt: skip


def _write_table(file: Path, found: Assessment) -> None:
    fresh = _fresh(file)
    with fresh.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for one in found.systems:
            writer.writerows(_rows(one, _comparisons(found, one)))
    fresh.replace(file)


def _comparisons(found: Assessment, one: System) -> Sequence[Comparison]:
    """A system against the chosen one: by its scores, and by the judge."""
    judged = found.judge.compared.found if found.judge is not None and found.judge.compared is not None else {}
    return [one.comparison, *([judged[one.name]] if one.name in judged else [])]


def _rows(one: System, comparisons: Sequence[Comparison]) -> Iterator[list[object]]:
    empty = [""] * 8
    if one.sheet is None:
        yield [one.name, "", "", "", "", "", 0, one.note, *empty]
        return
    for key, score in one.sheet.scores.items():
        compared = next((_compared(held, key) for held in comparisons if key in held.differences), empty)
        yield [*_row(one.name, "all", key, score), *compared]
    for part in one.parts:
        for key, score in part.scores.items():
            yield [*_row(one.name, f"{part.division}: {part.name}", key, score), *empty]


def _compared(held: Comparison, key: str) -> list[object]:
    gain, apart = held.differences[key], held.discordances.get(key)
    said: list[object] = [gain.value, gain.low, gain.high, gain.p, gain.p_holm]
    said += [apart.first, apart.second, apart.p] if apart else [""] * 3
    return ["" if isinstance(one, float) and math.isnan(one) else one for one in said]


def _row(system: str, part: str, key: str, score: Score) -> list[object]:
    return [system, part, key, score.value, score.low, score.high, score.studies, score.note]


def _put(file: Path, content: bytes) -> None:
    fresh = _fresh(file)
    fresh.write_bytes(content)
    fresh.replace(file)


def _fresh(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}")

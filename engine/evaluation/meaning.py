"""Scores of what the texts claim: findings, sides, changes, and comparisons that should or should not be there.

Findings are read by the rule-based extractor (not CheXbert). Progression is scored where the truth states a change
and the text reports the finding (as present or as gone): accuracy, macro F1 over the five changes, and over three as
in MS-CXR-T (worsening = new or worse, improving = improved or resolved, stable). ``progression_recall`` counts
unreported findings as wrong. Band scores: recall of the findings of that size, and F1 with the false alarms shared
out to the bands by their number of findings, since a false alarm has no size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.evaluation.statistics import Floats, Measure, f1, nanmean, ratio, share, touched
from engine.evaluation.truth import BANDS, Said, StudyTruth, read_text
from engine.reports.findings import Change, Finding, Side, compares
from engine.reports.language import in_english

FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five CheXpert classes scored together in the literature."""

STEMS = (
    "finding_f1",
    "finding_recall",
    "side_accuracy",
    "laterality_conflict_rate",
    "progression_",
    "prior_hallucination_rate",
    "missed_comparison_rate",
)
"""The beginnings of all keys here."""

STATED = (Change.NEW, Change.WORSE, Change.UNCHANGED, Change.IMPROVED, Change.RESOLVED)
_THREE = {Change.NEW: 0, Change.WORSE: 0, Change.UNCHANGED: 1, Change.IMPROVED: 2, Change.RESOLVED: 2}


@dataclass(frozen=True)
class Reading:
    """One study: its truth, the text, what it claims, and whether the text was to compare with a prior.

    ``compared`` is None where it is not known whether there was a prior.
    """

    truth: StudyTruth
    text: str
    said: Mapping[str, Said]
    compared: bool | None


def read(truth: StudyTruth, text: str, classes: Mapping[str, Iterable[Finding]], *, compared: bool | None) -> Reading:
    """Read a text for the classes of interest."""
    return Reading(truth, text, read_text(text, classes), compared)


def measures(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Measure]:
    """All scores of meaning, in percent. ``classes`` are those counted."""
    found = finding_measures(readings, classes)
    found |= _band_scores(readings, classes)
    found |= _side_scores(readings, classes)
    found |= _progression(readings, classes)
    found["prior_hallucination_rate"] = share([_hallucinates(reading) for reading in readings])
    found["missed_comparison_rate"] = share([_misses(reading) for reading in readings])
    return found


def _percent(combine: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    return lambda sums: 100 * combine(sums)


def _counts(readings: Sequence[Reading], name: str) -> Floats:
    """[studies, 3]: true positive, false positive, false negative for one class."""
    rows = np.zeros((len(readings), 3))
    for index, reading in enumerate(readings):
        fact, said = reading.truth.facts.get(name), reading.said.get(name)
        there, claimed = bool(fact and fact.present), bool(said and said.present)
        rows[index] = (there and claimed, claimed and not there, there and not claimed)
    return rows


def finding_measures(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Measure]:
    """F1 of each class, and micro and macro over them; with devices apart where the truth has both."""
    everywhere = np.ones(len(readings), dtype=bool)
    counts = {name: _counts(readings, name) for name in classes}
    groups = {"": list(classes)}
    if set(FIVE) <= set(classes):
        groups["_5"] = list(FIVE)
    devices = {str(finding) for finding in Finding if finding.device}
    if devices & set(classes):
        groups = {"": [name for name in classes if name not in devices], "_with_devices": list(classes)}
    found: dict[str, Measure] = {}
    for suffix, members in groups.items():
        if members:
            stacked = np.stack([counts[name] for name in members], axis=1)
            micro, macro = _percent(f1), partial(_macro_f1, len(members))
            found[f"finding_f1_micro{suffix}"] = Measure(stacked.sum(1), micro, everywhere)
            found[f"finding_f1_macro{suffix}"] = Measure(stacked.reshape(len(readings), -1), macro, everywhere)
    for name in classes:
        found[f"finding_f1[{name}]"] = Measure(counts[name], _percent(f1), everywhere)
    return found


def _macro_f1(classes: int, sums: Floats) -> Floats:
    return 100 * nanmean(f1(sums.reshape(*sums.shape[:-1], classes, 3)))


def _band_scores(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Measure]:
    """Recall and F1 of subtle, moderate and plain findings; nothing where the truth has no sizes. Devices have none."""
    names = (
        [name for name in classes if not Finding(name).device] if all(name in set(Finding) for name in classes) else []
    )
    # columns: found and missed per band, then false alarms
    rows = np.zeros((len(readings), 2 * len(BANDS) + 1))
    for index, reading in enumerate(readings):
        for name in names:
            fact, said = reading.truth.facts.get(name), reading.said.get(name)
            claimed = bool(said and said.present)
            if fact and fact.present and fact.band in BANDS:
                rows[index, 2 * BANDS.index(fact.band) + (not claimed)] += 1
            elif claimed and not (fact and fact.present):
                rows[index, -1] += 1
    if not rows[:, :-1].any():
        return {}
    found = {}
    for number, band in enumerate(BANDS):
        support = touched(rows[:, 2 * number : 2 * number + 2])
        found[f"finding_recall[{band}]"] = Measure(rows, partial(_band_recall, number), support)
        found[f"finding_f1[{band}]"] = Measure(rows, partial(_band_f1, number), support)
    return found


def _band_recall(number: int, sums: Floats) -> Floats:
    hit, missed = sums[..., 2 * number], sums[..., 2 * number + 1]
    return 100 * ratio(np.stack([hit, hit + missed], axis=-1))


def _band_f1(number: int, sums: Floats) -> Floats:
    hit, missed = sums[..., 2 * number], sums[..., 2 * number + 1]
    share = ratio(np.stack([hit + missed, sums[..., :-1].sum(-1)], axis=-1))
    return 100 * f1(np.stack([hit, sums[..., -1] * np.nan_to_num(share), missed], axis=-1))


def _side_scores(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Measure]:
    """Where truth and text both name a side: how often it is the same, and how often the opposite."""
    rows = np.zeros((len(readings), 2))
    opposite = np.zeros(len(readings))
    for index, reading in enumerate(readings):
        for name in classes:
            fact, said = reading.truth.facts.get(name), reading.said.get(name)
            if fact and said and fact.present and said.present and Side.UNSPECIFIED not in (fact.side, said.side):
                rows[index] += (fact.side is said.side, 1)
                opposite[index] += {fact.side, said.side} == {Side.LEFT, Side.RIGHT}
    support = rows[:, 1] > 0
    conflicts = np.column_stack([opposite, rows[:, 1]])
    return {
        "side_accuracy": Measure(rows, _percent(ratio), support),
        "laterality_conflict_rate": Measure(conflicts, _percent(ratio), support),
    }


def _progression(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Measure]:
    # one row a study: a confusion matrix truth x text (five changes, the text's sixth column is "not compared")
    matrices = np.zeros((len(readings), len(classes), len(STATED), len(STATED) + 1))
    missed = np.zeros((len(readings), len(classes)))
    for index, reading in enumerate(readings):
        if reading.compared is False:
            continue
        for column, name in enumerate(classes):
            fact, said = reading.truth.facts.get(name), reading.said.get(name)
            if fact is None or fact.change not in STATED:
                continue
            if said is None or not (said.present or said.change is Change.RESOLVED):
                missed[index, column] += 1
            else:
                stated = STATED.index(said.change) if said.change in STATED else len(STATED)
                matrices[index, column, STATED.index(fact.change), stated] += 1
    return _progression_scores(matrices, missed, classes)


def _progression_scores(matrices: Floats, missed: Floats, classes: Sequence[str]) -> dict[str, Measure]:
    studies = len(matrices)
    whole = matrices.sum(1).reshape(studies, -1)
    support = touched(whole)
    found = {"progression_accuracy": Measure(whole, _accuracy, support)}
    with_missed = np.column_stack([whole, missed.sum(1)])
    found["progression_recall"] = Measure(with_missed, _recall, touched(with_missed))
    found["progression_f1_macro"] = Measure(whole, _macro_change, support)
    found["progression_f1_macro_3"] = Measure(whole, _macro_three, support)
    for column, name in enumerate(classes):
        rows = matrices[:, column].reshape(studies, -1)
        if rows.any():
            found[f"progression_accuracy[{name}]"] = Measure(rows, _accuracy, touched(rows))
    for number, change in enumerate(STATED):
        rows = matrices.sum(1)[:, number]
        if rows.any():
            found[f"progression_accuracy[{change}]"] = Measure(rows, partial(_row_accuracy, number), touched(rows))
    return found


def _square(sums: Floats) -> Floats:
    return sums.reshape(*sums.shape[:-1], len(STATED), len(STATED) + 1)


def _accuracy(sums: Floats) -> Floats:
    matrix = _square(sums)
    right = np.trace(matrix[..., : len(STATED)], axis1=-2, axis2=-1)
    return 100 * ratio(np.stack([right, matrix.sum((-2, -1))], axis=-1))


def _recall(sums: Floats) -> Floats:
    matrix = _square(sums[..., :-1])
    right = np.trace(matrix[..., : len(STATED)], axis1=-2, axis2=-1)
    return 100 * ratio(np.stack([right, matrix.sum((-2, -1)) + sums[..., -1]], axis=-1))


def _row_accuracy(number: int, sums: Floats) -> Floats:
    return 100 * ratio(np.stack([sums[..., number], sums.sum(-1)], axis=-1))


def _macro_change(sums: Floats) -> Floats:
    return _macro_of(_square(sums))


def _macro_three(sums: Floats) -> Floats:
    matrix = _square(sums)
    merged = np.zeros((*matrix.shape[:-2], 3, 4))
    for row, true in enumerate(STATED):
        for column in range(len(STATED) + 1):
            said = _THREE[STATED[column]] if column < len(STATED) else 3
            merged[..., _THREE[true], said] += matrix[..., row, column]
    return _macro_of(merged)


def _macro_of(matrix: Floats) -> Floats:
    """Macro F1 of a confusion matrix whose last column is "no class said"."""
    size = matrix.shape[-2]
    right = np.diagonal(matrix[..., :size], axis1=-2, axis2=-1)
    false_alarms = matrix[..., :size].sum(-2) - right
    misses = matrix.sum(-1) - right
    return 100 * nanmean(f1(np.stack([right, false_alarms, misses], axis=-1)))


def _hallucinates(reading: Reading) -> float | None:
    """Whether a text without a prior compares; None where there was one or it is not known, or for want of English."""
    asked = reading.compared is False and in_english(reading.text)
    return float(bool(compares(reading.text))) if asked else None


def _misses(reading: Reading) -> float | None:
    """Whether a text with a prior and something to compare does not compare."""
    wanted = reading.compared and reading.truth.comparable and in_english(reading.text)
    return float(not compares(reading.text)) if wanted else None

"""The scores of an evaluation in words and figures for a reader: what came of it, what to beware of, how it is written.

Figures are written as the report writes them. What is said is plain text and names models as their files do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan

from engine.evaluation import report_figures as figures
from engine.evaluation.keys import describe
from engine.evaluation.statistics import Difference, Score
from trainer_ui.services.judge_sheet import Discordance
from trainer_ui.services.score_sheet import LEVEL, Sheet, System

FEW = 30
"""Patients below which drawing them again says too little; as in the report."""

NO_INTERVAL = "no interval"


def summary(sheet: Sheet) -> Iterator[str]:
    """What came of it, in plain sentences: who is better in what, and whether that can be chance."""
    chosen = sheet.chosen
    if chosen is None:
        return
    for one in sheet.compared:
        yield _against(one, chosen, sheet)
    if not sheet.compared:
        yield (
            "No two models were compared: what stands beside the model are baselines, which need no image. A model "
            "that is to be used should be clearly ahead of them."
        )
    elif any(one.keys("unclear") for one in sheet.compared):
        yield "A score that does not tell two models apart does not show that they are equal: more patients might."


def warnings(sheet: Sheet) -> Iterator[str]:
    """What must not be overlooked when the figures are read."""
    demonstrations = [one.title for one in sheet.models if one.about.get("demonstration")]
    if demonstrations:
        yield f"Demonstration: {', '.join(demonstrations)}. Trained on synthetic images, never on a patient's."
    if sheet.patients < FEW:
        yield (
            f"{figures.count(sheet.patients, 'patient')}: too few. Below {FEW}, all intervals are narrower than they "
            "should be."
        )
    missing: dict[int, list[str]] = {}
    for one in sheet.models:
        if one.studies < sheet.studies:
            missing.setdefault(sheet.studies - one.studies, []).append(one.title)
    for count, titles in missing.items():
        yield (
            f"No answer to {count} of {sheet.studies} {sheet.item[1]}: {', '.join(titles)}. The scores are over the "
            "others; Details says why."
        )
    for one in sheet.models:
        if len(one.precisions) > 1:
            yield f"{one.title} wrote in more than one precision: {'; '.join(one.precisions)}."
    for one in sheet.systems:
        if not one.baseline and not one.scores:
            yield f"{one.title}: {figures.sentence(one.note)}"
    yield from sheet.notes
    chosen = sheet.chosen
    if chosen is None or chosen.baseline:
        return
    for one in sheet.scored:
        ahead = one.keys("ahead") if one.baseline else []
        if ahead:
            yield (f"{one.title}, without a look at the images, is ahead of {chosen.title} in {_titles(ahead)}.")


def value(key: str, score: Score | None) -> str:
    """A score without its interval, or "n/a"."""
    if score is None or score.value is None:
        return "n/a"
    return f"{score.value:.{figures.digits(key)}f}"


def interval(key: str, score: Score) -> str:
    """The interval of a score, or that it has none."""
    if score.low is None or score.high is None:
        return NO_INTERVAL
    low, high = (f"{end:.{figures.digits(key)}f}" for end in (score.low, score.high))
    return f"{low} to {high}" if low != high else NO_INTERVAL


def change(key: str, gain: Difference) -> str:
    """A difference with its interval."""
    if isnan(gain.low) or isnan(gain.high) or gain.low == gain.high:
        return figures.signed(key, gain.value)
    return f"{figures.signed(key, gain.value)} ({figures.interval(key, gain)})"


def p_values(gain: Difference) -> str:
    """Both p values; "" where nothing was tested."""
    if isnan(gain.p):
        return ""
    return f"p {_equals(gain.p)}, after Holm {_equals(gain.p_holm)}"


def discordance(apart: Discordance) -> str:
    """On how many questions only one of two is right, with McNemar's test."""
    return (
        f"of {apart.items:,} questions right: only the other {apart.chosen_only:,}, only this {apart.this_only:,} "
        f"(McNemar p {figures.p(apart.p)})"
    )


def _against(one: System, chosen: System, sheet: Sheet) -> str:
    better, worse = one.keys("better"), one.keys("worse")
    unclear = len(one.keys("unclear"))
    whom = f"over {figures.of_patients(*one.compared, sheet.task)}"
    said = f"{one.title} against {chosen.title}, {whom}: "
    if not better and not worse:
        return (
            f"{said}nothing tells them apart. What differences there are may well be chance: none stays below p = "
            f"{LEVEL} after the correction for {figures.count(sheet.tests, 'test')}."
        )
    words = [f"better in {_titles(better)}"] if better else []
    words += [f"worse in {_titles(worse)}"] if worse else []
    rest = ""
    if unclear:
        others = "tested score" if unclear == 1 else f"{unclear} tested scores"
        rest = f" In the other {others} the difference may be chance."
    those = "That is" if len(better) + len(worse) == 1 else "Those are"
    return (
        f"{said}{' and '.join(words)}. {those} more than chance would do: p < {LEVEL} after the correction for "
        f"{figures.count(sheet.tests, 'test')}.{rest}"
    )


def _titles(keys: Sequence[str]) -> str:
    titles = [describe(key).title for key in keys]
    if len(titles) < 3:
        return " and ".join(titles)
    return f"{', '.join(titles[:-1])} and {titles[-1]}"


def _equals(p: float) -> str:
    said = figures.p(p)
    return said if said.startswith("<") else f"= {said}"

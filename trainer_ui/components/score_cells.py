"""Cells of the tables of scores: a figure with its interval, a difference with what it allows to be said, a column."""

from __future__ import annotations

from engine.evaluation import report_figures as figures
from engine.evaluation.keys import Key
from engine.evaluation.statistics import Score
from trainer_ui.components.tables import Cell, Line, Tone
from trainer_ui.services import score_words
from trainer_ui.services.score_sheet import VERDICTS, Sheet, System

Lines = list[Line | tuple[Line, ...]]

TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "ahead": "bad"}
"""Of the verdicts that must not be overlooked; a baseline that is ahead is one of them."""


def column(one: System, sheet: Sheet) -> Cell:
    """What stands above a system's column."""
    made = str(one.about.get("tuned_from") or "")
    if one.name == sheet.against:
        note = "the others are compared with it"
    elif one.baseline:
        note = "baseline, sees no image"
    else:
        note = f"made from {made}" if made else "model"
    return [Line(one.title), Line(note, "small")]


def figure(key: str, score: Score | None, *, count: str = "") -> Lines:
    """A score with its interval; ``count`` is what it is over, such as "12 studies"."""
    if score is None or score.value is None:
        return [Line("n/a", "small")]
    over = f", {count}" if count else ""
    value = Line(score_words.value(key, score), "strong")
    return [(value, Line(f"{score_words.interval(key, score)}{over}", "small"))]


def over(score: Score | None, sheet: Sheet) -> str:
    """How many studies or questions a score is over."""
    return figures.count(score.studies, *sheet.item) if score is not None and score.value is not None else ""


def difference(key: str, one: System) -> Lines:
    """A system's difference to the chosen one, what that allows to be said, and the tests."""
    gain, verdict = one.differences.get(key), one.verdict(key)
    if gain is None or verdict is None:
        return []
    said, tested = Line(VERDICTS[verdict], TONES.get(verdict, "small")), score_words.p_values(gain)
    lines: Lines = [(Line(score_words.change(key, gain)), said)]
    lines += [Line(tested, "small")] if tested else []
    apart = one.discordances.get(key)
    lines += [Line(score_words.discordance(apart), "small")] if apart is not None and not one.baseline else []
    return lines


def way(about: Key) -> str:
    """Which way a score is better; "" for one of which neither is."""
    better = figures.better(about)
    return f"{better} is better" if about.higher_is_better is not None else f"best {better}" if better else ""

"""Figures in a reader's form: scores with their intervals, differences with their sign, p values, counts."""

from __future__ import annotations

from engine.evaluation.keys import KEYS, Key, describe
from engine.evaluation.statistics import Difference, Score


def named(key: str) -> str:
    """The title of a key."""
    return describe(key).title


def better(key: Key) -> str:
    """Which way is better, for a column of that name."""
    if key.higher_is_better is None:
        return "near 1" if key.name == "length_ratio" else ""
    return "higher" if key.higher_is_better else "lower"


def digits(key: str) -> int:
    """Decimals of a score."""
    return 1 if describe(key).unit == "%" else 2


def cell(key: str, score: Score | None) -> str:
    """A score with its interval in brackets, or "n/a"."""
    if score is None or score.value is None:
        return "n/a"
    places = digits(key)
    if score.low is None or score.high is None:
        return f"{score.value:.{places}f}"
    return f"{score.value:.{places}f} ({score.low:.{places}f} to {score.high:.{places}f})"


def signed(key: str, value: float) -> str:
    """A difference with its sign; none for what is shown as 0."""
    shown = f"{value:+.{digits(key)}f}"
    return shown.replace("-", "\u2212") if float(shown) else shown.lstrip("+-")


def interval(key: str, gain: Difference) -> str:
    """The interval of a difference."""
    return f"{signed(key, gain.low)} to {signed(key, gain.high)}"


def of_patients(studies: int, patients: int, task: str = "report") -> str:
    """How many studies of how many patients, or questions about them."""
    if task == "vqa":
        return f"{count(studies, 'question')} about {count(patients, 'patient')}"
    return f"{count(studies, 'study', 'studies')} of {count(patients, 'patient')}"


def items(task: str) -> str:
    """What is answered one by one: studies, or questions."""
    return "questions" if task == "vqa" else "studies"


def turned(key: str, gain: Difference) -> tuple[float, float, float]:
    """A difference so that more is better."""
    if KEYS[key].higher_is_better:
        return gain.value, gain.low, gain.high
    return -gain.value, -gain.high, -gain.low


def p(value: float) -> str:
    """A p value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int, one: str, several: str = "") -> str:
    """For "1 study" and "2 studies"."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def sentence(text: str) -> str:
    """With a full stop."""
    return text if text.endswith(".") else f"{text}."

"""One score as a function, for whoever chooses the best of several checkpoints.

    best = metric("progression_f1_macro_3")
    value = best(references, answers)           # nan where it is not defined for these studies
    better = best.better(value, before)

A score of one's own is a function in a Python file, ``metric("file.py:function")``: it gets the references and the
answers as two lists of texts in the same order and gives back a number. **It is run**, with all that the file does.
"""

from __future__ import annotations

import logging
import math
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from engine.datasets.libra import Answer, Reference
from engine.errors import InputError, UsageError
from engine.evaluation.keys import KEYS, describe, named
from engine.evaluation.scoring import Evaluation, Scorer, unavailable

log = logging.getLogger(__name__)

RUNS_CODE = "The metric '{}' is Python code of your own: it is run, with all that its file does."

Function = Callable[[Sequence[str], Sequence[str]], float]


class Metric(Protocol):
    """A score and which way is better."""

    name: str
    higher_is_better: bool
    warning: str
    """What to tell the user before it is used: that code of their own is run; else ""."""

    def __call__(self, references: Mapping[str, Reference], answers: Mapping[str, str]) -> float:
        """The score of ``answers`` (id -> text) over the studies that have a reference; nan where it is undefined.

        Raises:
            InputError: no answer belongs to a reference, or a function of one's own failed.
        """
        ...

    def better(self, value: float, than: float | None) -> bool:
        """Whether ``value`` is an improvement; anything is better than None and nan, and nan than nothing."""
        ...


class _Ordered:
    """What all metrics have: the comparison of two values."""

    warning = ""

    def __init__(self, name: str, higher_is_better: bool) -> None:
        self.name = name
        self.higher_is_better = higher_is_better

    def better(self, value: float, than: float | None) -> bool:
        if math.isnan(value):
            return False
        if than is None or math.isnan(than):
            return True
        return value > than if self.higher_is_better else value < than


class _Own(_Ordered):
    """A score of the table."""

    def __init__(self, name: str, higher_is_better: bool, scorers: Sequence[Scorer]) -> None:
        super().__init__(name, higher_is_better)
        self._scorers = scorers

    def __call__(self, references: Mapping[str, Reference], answers: Mapping[str, str]) -> float:
        written = {identity: Answer(identity, "", text, "", "") for identity, text in answers.items()}
        sheet = Evaluation(references, {}, self._scorers).score(written, intervals=False, wanted=(self.name,))
        score = sheet.scores.get(self.name)
        return math.nan if score is None or score.value is None else score.value


class _Users(_Ordered):
    """A function of the user's file."""

    def __init__(self, name: str, higher_is_better: bool, function: Function) -> None:
        super().__init__(name, higher_is_better)
        self.warning = RUNS_CODE.format(name)
        self._function = function

    def __call__(self, references: Mapping[str, Reference], answers: Mapping[str, str]) -> float:
        ids = [identity for identity in references if identity in answers]
        if not ids:
            raise InputError("None of the answers belongs to one of the references: their ids do not match.")
        try:
            value = self._function([references[one].text for one in ids], [answers[one] for one in ids])
            return float(value)
        except Exception as cause:  # the user's code may raise anything
            raise InputError(
                f"The metric '{self.name}' failed with {type(cause).__name__}. It must take two lists of texts, "
                "references and answers, and give back one number."
            ) from cause


def metric(name: str, scorers: Sequence[Scorer] = ()) -> Metric:
    """The score of that name, or the user's ``file.py:function``.

    Args:
        name: a key of the score table, or a file and function. A function says by its attribute ``higher_is_better``
            which way is better; higher is, where it does not.
        scorers: those that need a checkpoint or an environment, where there are any.

    Raises:
        UsageError: no such score (the known ones are named), one that has no better way, or no such function.
    """
    if ".py:" in name:
        return _users(name)
    if not named(name):
        raise UsageError(f"There is no score '{name}'. There are: {', '.join(known())}; or your own file.py:function.")
    higher = describe(name).higher_is_better
    if higher is None:
        raise UsageError(f"'{name}' has no better way, so it cannot choose. Take one of: {', '.join(known())}.")
    reason = unavailable(name, scorers)
    if reason:
        raise UsageError(f"'{name}' cannot be computed here: {reason}.")
    return _Own(name, higher, scorers)


def known() -> tuple[str, ...]:
    """The names that `metric` takes, the general form of those in brackets ("finding_f1[...]") as such."""
    return tuple(name for name, key in KEYS.items() if key.higher_is_better is not None)


def _users(name: str) -> Metric:
    path, _, wanted = name.rpartition(":")
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"'{file.name}' was not found; a metric of your own is named file.py:function.")
    log.warning("a metric of the user's own is run")
    try:
        found = runpy.run_path(str(file)).get(wanted)
    except Exception as cause:  # the user's code may raise anything
        raise UsageError(f"'{file.name}' cannot be run: {type(cause).__name__}.") from cause
    if not callable(found):
        raise UsageError(f"'{file.name}' has no function '{wanted}'.")
    return _Users(name, bool(getattr(found, "higher_is_better", True)), found)

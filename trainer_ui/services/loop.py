"""Where the user is in the loop: data, training, evaluation, promotion. Counts what lies in the folders of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from trainer_ui import addresses
from trainer_ui.services import datasets


@dataclass(frozen=True)
class Step:
    """One of the four steps: the page it is done on, what is there, and what can be done now."""

    page: str
    name: str
    purpose: str
    there: str
    then: str
    begun: bool


def steps() -> tuple[Step, ...]:
    """The four steps in their order."""
    sets = [data for data in datasets.found() if data.files and data.state == "whole"]
    runs = [state for folder in _folders("runs") if (state := _json(folder / "state.json"))]
    done = sum(state.get("state") == "done" for state in runs)
    evaluated = sum((folder / "evaluation.json").is_file() for folder in _folders("evaluations"))
    raised = len(promoted())
    samples = sum(data.training for data in sets)
    return (
        Step(
            addresses.DATA,
            "Data",
            "Pairs of radiographs with their reports.",
            f"{_count(len(sets), 'data set')}, {_count(samples, 'sample')}" if sets else "No data set yet",
            "Make or add another" if sets else "Make a demonstration set, or add your own",
            bool(sets),
        ),
        Step(
            addresses.TRAIN,
            "Train",
            "A model learns from a data set.",
            f"{_count(len(runs), 'run')}, {done} finished" if runs else "No run yet",
            "Look at the runs" if runs else "Choose a data set and a model" if sets else "Needs a data set first",
            bool(runs),
        ),
        Step(
            addresses.EVALUATE,
            "Evaluate",
            "Is it better than before, and on whom?",
            _count(evaluated, "evaluation") if evaluated else "No evaluation yet",
            "Look at the scores" if evaluated else "Let models answer the same questions",
            bool(evaluated),
        ),
        Step(
            addresses.EXPORT,
            "Export",
            "The better model goes to the viewer.",
            f"{_count(raised, 'model')} promoted" if raised else "No model promoted yet",
            "See what is in use" if raised else "Promote a model that has been evaluated",
            bool(raised),
        ),
    )


def promoted() -> tuple[str, ...]:
    """Names of the models that were promoted after an evaluation."""
    folder = paths.models()
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(entry.name for entry in folder.iterdir() if (_json(entry / "interval.json") or {}).get("promoted"))
    )


def _folders(name: str) -> Iterator[Path]:
    folder = paths.home() / name
    if folder.is_dir():
        yield from (entry for entry in sorted(folder.iterdir()) if entry.is_dir())


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

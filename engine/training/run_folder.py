"""The folder of one training run: what lies in it under which name, written so that a crash leaves nothing half.

    recipe.yaml     the recipe as it was given                 data.json      what was trained on: hashes, counts
    log.jsonl       figures of steps and of evaluations        samples.jsonl  what was generated at each evaluation
    state.json      where the run is now                       forecast.json  memory: planned, after 3 steps, the most
    curves.svg      losses and scores                          validation/    the answers of each evaluation
    stages/NAME/    checkpoint-N, best and the stage's result
    model/          the trained model or adapter, with its card and training.json

After a resume steps repeat in the two logs: the last line of a step counts, and ``figures`` gives just those. This
module knows files; it imports neither torch nor transformers, so that a page can read a run without waiting for them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from engine import paths
from engine.errors import UsageError

RUNNING: Final = "running"
STOPPED: Final = "stopped"
DONE: Final = "done"
FAILED: Final = "failed"
Where = Literal["running", "stopped", "done", "failed"]
RECIPE, STOP = "recipe.yaml", "STOP"


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    stage: str
    step: int
    metric: str
    value: float


@dataclass(frozen=True)
class State:
    """Where a run is.

    Attributes:
        state: "running", "stopped" (it can be resumed), "done" or "failed"; a run that was killed says "running".
        stage, step, steps: the stage it is in and its steps, done and all.
        seconds_left: of this stage; None where it cannot be told yet.
        updated: when this was written, seconds since 1970.
        best: the best evaluation of the stage.
        message: a sentence, of a run that failed.
    """

    state: Where
    stage: str = ""
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    updated: float = 0.0
    best: Best | None = None
    message: str = ""


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.recipe = folder / RECIPE
        self.log = folder / "log.jsonl"
        self.samples = folder / "samples.jsonl"
        self.model = folder / "model"
        self.curves = folder / "curves.svg"
        self.validation = folder / "validation"

    @property
    def name(self) -> str:
        """What the run is called: its folder's name."""
        return self.path.name

    def stage(self, name: str) -> Path:
        """The folder of a stage's checkpoints."""
        return self.path / "stages" / name

    def state(self) -> State | None:
        """Where the run is; None for a folder that says nothing."""
        content = read_json(self.path / "state.json")
        if not content:
            return None
        try:
            best = content.pop("best", None)
            return State(**content, best=Best(**best) if best else None)
        except TypeError:
            return None

    def write_state(self, state: State) -> None:
        """Say where the run is now."""
        write_json(self.path / "state.json", asdict(state) | {"updated": time.time()})

    def append(self, file: Path, line: Mapping[str, Any]) -> None:
        """Add one line to a log."""
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")

    def figures(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl, one for each step and each evaluation, in their order."""
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in lines(self.log):
            found[line.get("stage"), line.get("step"), "evaluation" in line] = line
        stages = {stage: place for place, stage in enumerate(dict.fromkeys(key[0] for key in found))}

        def order(line: Mapping[str, Any]) -> tuple[int, float, bool]:
            return stages[line.get("stage")], float(line.get("step") or 0), "evaluation" in line

        return sorted(found.values(), key=order)

    def generated(self) -> list[dict[str, Any]]:
        """The lines of samples.jsonl, one for each evaluation and question."""
        found = {(line.get("stage"), line.get("step"), line.get("id")): line for line in lines(self.samples)}
        return list(found.values())

    def document(self, name: str) -> dict[str, Any]:
        """What data.json, forecast.json or another file of that kind says; {} where there is none."""
        return read_json(self.path / name)

    def ask_to_stop(self) -> None:
        """Ask the run to write a checkpoint and end."""
        (self.path / STOP).touch()

    def asked_to_stop(self) -> bool:
        """Whether somebody did."""
        return (self.path / STOP).exists()


def runs_folder() -> Path:
    """Where runs lie unless a recipe says otherwise."""
    return paths.home() / "runs"


def folders() -> list[RunFolder]:
    """All runs there, newest first."""
    root = runs_folder()
    found = [folder for folder in root.iterdir() if (folder / RECIPE).is_file()] if root.is_dir() else []
    return [RunFolder(folder) for folder in sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)]


def fresh(wanted: Path | None, name: str) -> RunFolder:
    """A new folder for a run: ``wanted``, or one named after ``name`` and the time.

    Raises:
        UsageError: ``wanted`` holds a run, or anything else.
    """
    folder = wanted or runs_folder() / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} already holds a run. Give another 'output', or remove the folder.")
    paths.ensure(folder)
    return RunFolder(folder)


def lines(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file; one that was cut off, or a missing file, is passed over."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            yield content


def read_json(file: Path) -> dict[str, Any]:
    """An object; {} where there is none or it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write an object in one step: whoever reads sees the old file or the new one."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(file)

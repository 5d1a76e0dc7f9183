"""The runs of this machine: what each is doing really, and what can be done with it.

A run's own folder says "running" also after it was killed; the job that runs it tells whether its process is alive. A
run that waits in the queue for the first time has no folder yet and is here all the same. One that was begun in a
terminal has no job: it counts as running as long as it says something now and then.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from engine import paths
from engine.errors import NotFound, UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from engine.jobs.job import State as JobState
from engine.training import run_folder
from engine.training.run_folder import Best, RunFolder
from trainer_ui.services import jobs, recipe_checks, recipes
from trainer_ui.services.jobs import Colour

KIND = "train"
SILENT_S = 600.0
"""Seconds after which a run without a job that has said nothing is taken for interrupted."""

Where = Literal["waiting", "starting", "running", "stopping", "interrupted", "stopped", "failed", "done"]

WORDS: dict[Where, tuple[str, Colour]] = {
    "waiting": ("waiting", "gray"),
    "starting": ("starting", "blue"),
    "running": ("running", "blue"),
    "stopping": ("stopping", "orange"),
    "interrupted": ("interrupted: can be resumed", "orange"),
    "stopped": ("stopped: can be resumed", "orange"),
    "failed": ("failed", "red"),
    "done": ("done", "green"),
}

_STAMP = re.compile(r"-\d{8}-\d{6}(-\d+)?$")
Signature = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        where: what it is doing really.
        why: a sentence to go with that, "" where there is nothing to say.
        stage, step, steps: of the stage it is in; 0 of 0 before it has begun.
        left: seconds to the end of the stage; None where that cannot be told.
        when: begun or queued, seconds since 1970.
        job: the id of the latest job that ran it, "" for none.
        begun: whether its folder is there.
    """

    name: str
    path: Path
    where: Where
    why: str
    stage: str
    step: int
    steps: int
    left: float | None
    best: Best | None
    when: float
    job: str
    begun: bool

    @property
    def title(self) -> str:
        """Its name without the time, which is told apart."""
        return _STAMP.sub("", self.name)

    @property
    def words(self) -> str:
        """Its state in words."""
        return WORDS[self.where][0]

    @property
    def colour(self) -> Colour:
        """Of the badge with the words."""
        return WORDS[self.where][1]

    @property
    def live(self) -> bool:
        """Whether what is shown of it may change by itself."""
        return self.where in ("waiting", "starting", "running", "stopping")

    @property
    def stoppable(self) -> bool:
        """Whether it can be asked to stop."""
        return self.where in ("waiting", "starting", "running")

    @property
    def resumable(self) -> bool:
        """Whether it can be gone on with."""
        return self.begun and self.where in ("interrupted", "stopped", "failed")

    @property
    def trained(self) -> bool:
        """Whether there is a model to evaluate and to export."""
        return self.where == "done" and (self.path / "model").is_dir()

    @property
    def share(self) -> float:
        """How far the stage is, from 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0


def overview() -> tuple[Run, ...]:
    """All runs: those that wait or run first, then the newest."""
    listed = queue.jobs()
    latest = _latest(listed)
    folders = {run.path: run for run in run_folder.folders()}
    order = [job.id for job in listed if job.state is JobState.QUEUED]
    found = [_run(folder, latest.get(path), order) for path, folder in folders.items()]
    found += [_run(RunFolder(path), job, order) for path, job in latest.items() if path not in folders]
    return tuple(sorted(found, key=lambda run: (not run.live, -run.when)))


def find(name: str) -> Run:
    """The run of this name. Raises NotFound."""
    run = next((run for run in overview() if run.name == name), None)
    if run is None:
        raise NotFound(f"There is no run {name}: it may have been deleted.")
    return run


def signature(found: tuple[Run, ...]) -> Signature:
    """Changes when a page that shows the runs has to be drawn anew."""
    return tuple((run.name, run.where) for run in found)


def begin(text: str) -> Run:
    """Queue a run of a recipe that has been checked as it is. Raises UsageError, OSError."""
    recipe = recipes.read(text)
    if not recipe_checks.look(text).passed:
        raise UsageError("Check the recipe first: it, or a file it names, has changed since, or was never checked.")
    file = recipes.save(text, recipe.name)
    folder = _fresh(recipe.name)
    words = ["train", recipes.spoken(file), "--output", recipes.spoken(folder)]
    queue.add(KIND, f"Train {folder.name}", words, folder)
    return find(folder.name)


def resume(name: str) -> Run:
    """Queue the rest of a run that was interrupted. Raises NotFound, UsageError."""
    run = find(name)
    if not run.resumable:
        raise UsageError(f"{name} is {run.words}: there is nothing to resume.")
    queue.add(KIND, f"Resume {name}", ["train", "--resume", recipes.spoken(run.path)], run.path)
    return find(name)


def stop(name: str) -> Run:
    """Ask a run to write a checkpoint and end, or take it out of the queue. Raises NotFound, UsageError."""
    run = find(name)
    if not run.stoppable:
        raise UsageError(f"{name} is {run.words}: there is nothing to stop.")
    job = queue.find(run.job) if run.job else None
    if job is not None and job.active:
        queue.request_stop(run.job)
    else:
        RunFolder(run.path).ask_to_stop()
    return find(name)


def delete(name: str) -> None:
    """Delete a run with its checkpoints and its model, for good. Raises NotFound, UsageError."""
    run = find(name)
    if run.live:
        raise UsageError(f"{name} has not ended. Stop it first.")
    for link in _links():
        if link.resolve().is_relative_to(run.path.resolve()):
            raise UsageError(f"The viewer uses it as {link.name}. Take that promotion back first.")
    if run.begun:
        gone = run.path.with_name(f".deleted-{time.time_ns()}")  # out of sight first: no half of it is ever shown
        run.path.rename(gone)
        shutil.rmtree(gone)
    for job in queue.jobs():
        if job.kind == KIND and job.result == run.path and not job.active:
            queue.remove(job.id)


def dependents(name: str) -> tuple[str, ...]:
    """Runs that started from what this one has made."""
    path = find(name).path
    others = (other for other in run_folder.folders() if other.path != path)
    return tuple(other.name for other in others if _starts_in(other, path))


def command(text: str) -> str:
    """What begins a run of this recipe in a terminal. Raises UsageError for one that cannot be read."""
    recipe = recipes.read(text)
    file, folder = recipes.free(recipe.name), run_folder.runs_folder() / f"{recipe.name}-TIME"
    return f"python launch.py train {recipes.spoken(file)} --output {recipes.spoken(folder)}"


def when(run: Run) -> str:
    """When it was begun, short."""
    return datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")


def titles(found: Sequence[Run]) -> dict[str, str]:
    """Short names by name: without the time, unless two of them would be called the same."""
    short = [run.title for run in found]
    return {run.name: run.title if short.count(run.title) == 1 else run.name for run in found}


def left(run: Run) -> str:
    """The time to the end of its stage in words; "" where it cannot be told."""
    return f"about {jobs.duration(run.left)}" if run.where == "running" and run.left is not None else ""


def _latest(listed: tuple[Job, ...]) -> Mapping[Path, Job]:
    """The latest job of every run."""
    found: dict[Path, Job] = {}
    for job in listed:
        if job.kind == KIND and job.result is not None:
            known = found.get(job.result)
            if known is None or (job.active, job.made) > (known.active, known.made):
                found[job.result] = job
    return found


def _run(folder: RunFolder, job: Job | None, order: list[str]) -> Run:
    begun = folder.recipe.is_file()
    state = folder.state() if begun else None
    where, why = _where(state, job, order)
    left = None
    if state is not None and state.seconds_left is not None and where == "running":
        left = max(0.0, state.seconds_left - max(0.0, time.time() - state.updated))
    return Run(
        name=folder.name,
        path=folder.path,
        where=where,
        why=why,
        stage=state.stage if state is not None else "",
        step=state.step if state is not None else 0,
        steps=state.steps if state is not None else 0,
        left=left,
        best=state.best if state is not None else None,
        when=folder.recipe.stat().st_mtime if begun else (job.made if job is not None else 0.0),
        job=job.id if job is not None else "",
        begun=begun,
    )


def _where(state: run_folder.State | None, job: Job | None, order: list[str]) -> tuple[Where, str]:
    if job is not None and job.active:
        if job.state is JobState.QUEUED:
            place = order.index(job.id) if job.id in order else 0
            return "waiting", "It is next." if place == 0 else f"It is number {place + 1} in the queue."
        if job.stopping:
            return "stopping", "It writes a checkpoint and ends. Then it can be resumed."
        working = state is not None and state.state == run_folder.RUNNING and state.updated >= (job.began or 0.0)
        return ("running", "") if working else ("starting", "The model is being read. This takes a moment.")
    if state is None:
        return _never_begun(job)
    if state.state == run_folder.RUNNING:
        ended = job.ended if job is not None and job.ended is not None else 0.0
        if state.updated > ended and time.time() - state.updated < SILENT_S:
            return "running", "It was started outside the studio."
        return (
            "interrupted",
            "It was ended from outside: a power cut, too little memory, or somebody. Nothing that was "
            "saved at its last checkpoint is lost.",
        )
    if state.state == run_folder.FAILED:
        return "failed", state.message
    return state.state, ""


def _never_begun(job: Job | None) -> tuple[Where, str]:
    if job is None:
        return "interrupted", "It ended before it had begun to learn."
    if job.state is JobState.STOPPED:
        return "stopped", "It was taken out before it had begun."
    if job.state is JobState.FAILED:
        return "failed", "It could not begin. The last lines of its console say why."
    return "interrupted", "It ended before it had begun to learn."


def _fresh(name: str) -> Path:
    """A folder for a run that no run and no job has."""
    taken = {job.result for job in queue.jobs()}
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        folder = run_folder.runs_folder() / f"{name}-{stamp}{'' if number == 1 else f'-{number}'}"
        if folder not in taken and not folder.exists():
            return folder
    raise UsageError(f"Too many runs are called {name}. Choose another name.")


def _links() -> list[Path]:
    """What is linked into the folder of installed models."""
    root = paths.models()
    return [entry for entry in root.rglob("*") if entry.is_symlink()] if root.is_dir() else []


def _starts_in(run: RunFolder, folder: Path) -> bool:
    try:
        content = recipes.document(run.recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False
    start = recipes.value(content, ("start",))
    return isinstance(start, str) and bool(start) and recipes.whole(start).is_relative_to(folder)

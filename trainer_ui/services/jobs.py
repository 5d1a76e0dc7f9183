"""Jobs in the words of the screen. What they are and how they run is engine.jobs' business."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.jobs import console, files, queue
from engine.jobs.job import Job, State
from trainer_ui import addresses

Colour = Literal["blue", "green", "orange", "red", "gray"]

PAGES = {
    "phantoms": addresses.DATA,
    "mimic": addresses.DATA,
    "vqa": addresses.DATA,
    "ct-phantoms": addresses.DATA,
    "captions": addresses.DATA,
    "vqa-rad": addresses.DATA,
    "convert": addresses.DATA,
    "signed": addresses.DATA,
    "validate": addresses.DATA,
    "split": addresses.DATA,
    "train": addresses.TRAIN,
    "evaluate": addresses.EVALUATE,
    "score": addresses.EVALUATE,
    "merge": addresses.EXPORT,
    "promote": addresses.EXPORT,
    "setup": addresses.TRAIN,
}
"""Kind of a job to the page it is begun on."""

STATES: dict[State, tuple[str, Colour]] = {
    State.QUEUED: ("waiting", "gray"),
    State.RUNNING: ("running", "blue"),
    State.DONE: ("done", "green"),
    State.FAILED: ("failed", "red"),
    State.STOPPED: ("stopped", "orange"),
    State.CRASHED: ("ended from outside", "red"),
}
LATELY = 8
"""So many jobs that have ended are shown at first."""

Signature = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class View:
    """One job on the screen.

    Attributes:
        state: one or two words, and the colour of their badge.
        when: when it began, ended, how long it took.
        share: how far it is, 0 to 1; None where it has not said, or does not run.
        progress: the same in words, with the time left.
        first, last: of those that wait.
    """

    id: str
    title: str
    state: str
    colour: Colour
    when: str
    active: bool
    waiting: bool
    stopping: bool
    share: float | None
    progress: str
    first: bool = True
    last: bool = True


@dataclass(frozen=True)
class Details:
    """What is shown of one job when it is opened."""

    command: str
    result: str
    why: str
    tail: str


@dataclass(frozen=True)
class Overview:
    """The jobs of a page. ``more`` have ended longer ago; ``elsewhere`` of other pages run or wait."""

    jobs: tuple[View, ...]
    more: int
    elsewhere: int
    signature: Signature

    @property
    def active(self) -> bool:
        """Whether anything may change by itself."""
        return self.elsewhere > 0 or any(job.active for job in self.jobs)


def overview(page: str = addresses.HOME, *, everything: bool = False) -> Overview:
    """The jobs that were begun on a page, on HOME all of them. Starts a worker where one is missing."""
    found = queue.jobs()
    if any(job.active for job in found):
        queue.ensure_worker()
    here = [job for job in found if page in (addresses.HOME, PAGES.get(job.kind, addresses.HOME))]
    ended = [job for job in here if not job.active]
    shown = [job for job in here if job.active] + (ended if everything else ended[:LATELY])
    waiting = [job.id for job in found if job.state is State.QUEUED]
    return Overview(
        tuple(view(job, waiting) for job in shown),
        len(here) - len(shown),
        sum(job.active for job in found) - sum(job.active for job in here),
        tuple((job.id, job.state.value) for job in found),
    )


def view(job: Job, waiting: list[str]) -> View:
    """One job; ``waiting`` are the ids of those that wait, in their order."""
    state, colour = STATES[job.state]
    runs = job.state is State.RUNNING
    if runs and job.stopping:
        state, colour = "stopping", "orange"
    share = job.progress.share if runs and job.progress is not None else None
    place = waiting.index(job.id) if job.id in waiting else None
    return View(
        id=job.id,
        title=job.title,
        state=state,
        colour=colour,
        when=_when(job, place),
        active=job.active,
        waiting=place is not None,
        stopping=runs and job.stopping,
        share=share,
        progress=_progress(job) if runs else "",
        first=place in (None, 0),
        last=place in (None, len(waiting) - 1),
    )


def details(identity: str) -> Details:
    """One job, opened. Raises NotFound."""
    job = queue.find(identity)
    return Details(
        command=f"python launch.py {shlex.join(job.words)}",
        result=str(job.result) if job.result is not None else "",
        why=_why(job),
        tail=console.tail(job.folder / files.CONSOLE),
    )


def duration(seconds: float) -> str:
    """A span of time as one would say it: 40 s, 3 min, 2 h 10 min, 3 days."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(round(minutes / 10) * 10, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(hours / 24)} days"


def clock(when: float) -> str:
    """A moment as one would say it today: the time, before today with its date."""
    moment = datetime.fromtimestamp(when)
    return moment.strftime("%H:%M" if moment.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def _when(job: Job, place: int | None) -> str:
    if place is not None:
        return "next" if place == 0 else f"number {place + 1} in the queue"
    if job.state is State.RUNNING:
        return f"since {clock(job.began or time.time())}"
    if job.ended is None:
        return ""
    if job.began is None:
        return f"{clock(job.ended)}, never begun"
    return f"{clock(job.ended)}, after {duration(job.seconds)}"


def _progress(job: Job) -> str:
    if job.progress is None:
        return f"for {duration(job.seconds)}" if job.began is not None else ""
    told = job.progress
    words = f"{told.done:,} of {told.total:,} {told.words}"
    return words if told.seconds_left is None else f"{words}, about {duration(told.seconds_left)} left"


def _why(job: Job) -> str:
    """How a job ended that did not end well, and the way on."""
    if job.state is State.CRASHED:
        signal = f" by signal {-job.exit_status}" if job.exit_status is not None else ""
        return (
            f"The command was ended from outside{signal}, for instance because the memory was used up or the machine "
            "went down. What it had saved is there."
        )
    if job.state is State.FAILED:
        return "The command ended with an error. Its last lines say which."
    if job.state is State.STOPPED:
        return "It was stopped." if job.began is not None else "It was taken out of the queue before it began."
    return ""

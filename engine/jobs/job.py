"""A job as its folder tells it: what is to be done, how far it is, how it ended.

Reading changes nothing and needs no worker. What is told is what is true now: a job that is recorded as running and
whose process is gone has "crashed", unless the command has left its exit status. Knows nothing of the queue.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.jobs import files
from engine.jobs.process import Identity

STOPPED_STATUS = 130
RECORDING_S = 0.1
"""Seconds in which a worker records the end of a command that it has seen."""


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """The command ended and said why: the last lines of its console."""
    STOPPED = "stopped"
    """Somebody has asked it to stop, or it was never begun."""
    CRASHED = "crashed"
    """The command was ended from outside, or the machine went down: it could say nothing."""


@dataclass(frozen=True)
class Progress:
    """How far a command is, as it said last: ``done`` of ``total`` ``words`` (3 of 5 cases).

    ``seconds_left`` is None as long as nothing can be said.
    """

    done: int
    total: int
    words: str
    seconds_left: float | None

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


@dataclass(frozen=True)
class Job:
    """One job. Times are seconds since 1970.

    Attributes:
        id: its folder's name; sorts by when it was made.
        kind: what kind of work it is, in one word ("train"); for whoever shows it.
        title: one line for a person.
        words: what follows ``launch.py``.
        result: the folder that holds the result, once there is one.
        place: among the queued ones, the lowest is next.
        process: the process that runs or ran the command.
        exit_status: of the command; negative is the number of the signal that ended it; None where nobody saw it.
        stopping: somebody has asked it to stop.
    """

    id: str
    folder: Path
    kind: str
    title: str
    words: tuple[str, ...]
    made: float
    result: Path | None
    state: State
    place: int
    process: Identity | None
    began: float | None
    ended: float | None
    exit_status: int | None
    stopping: bool
    progress: Progress | None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in (State.QUEUED, State.RUNNING)

    @property
    def seconds(self) -> float:
        """For how long it has run, or ran."""
        return max(0.0, (self.ended or time.time()) - self.began) if self.began is not None else 0.0

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """The job in ``folder`` as it is now; None where there is none."""
        what, record = files.read(folder / files.JOB), files.read(folder / files.STATE)
        if what is None or record is None:
            return None
        process = Identity.read(record)
        if record.get("state") == State.RUNNING and process is not None and not process.alive():
            time.sleep(RECORDING_S)
            record = files.read(folder / files.STATE) or record
            if record.get("state") == State.RUNNING:
                record = ending(folder, record, None)
        try:
            return cls(
                id=folder.name,
                folder=folder,
                kind=str(what["kind"]),
                title=str(what["title"]),
                words=tuple(map(str, what["words"])),
                made=float(what["made"]),
                result=Path(what["result"]) if what.get("result") else None,
                state=State(record["state"]),
                place=int(record["place"]),
                process=Identity.read(record),
                began=record.get("began"),
                ended=record.get("ended"),
                exit_status=record.get("exit_status"),
                stopping=(folder / files.STOP).exists(),
                progress=_progress(folder),
            )
        except (KeyError, TypeError, ValueError):
            return None


def ending(folder: Path, record: dict[str, Any], status: int | None) -> dict[str, Any]:
    """The record of a job whose command has ended.

    ``status`` is its exit status as its parent saw it. Where nobody did, what the command itself has left counts.
    """
    ended = time.time()
    if status is None:
        left = files.read(folder / files.EXIT) or {}
        status, ended = left.get("exit_status"), left.get("ended", ended)
    asked = (folder / files.STOP).exists()
    if status == 0:
        state = State.DONE
    elif status == STOPPED_STATUS or (asked and (status is None or status < 0)):
        state = State.STOPPED
    elif status is None or status < 0:
        state = State.CRASHED
    else:
        state = State.FAILED
    return {**record, "state": state, "ended": ended, "exit_status": status}


def _progress(folder: Path) -> Progress | None:
    told = files.read(folder / files.PROGRESS)
    if told is None:
        return None
    try:
        done, total = int(told["done"]), int(told["total"])
        gone, since = done - int(told["first"]), float(told["updated"]) - float(told["began"])
        left = None
        if gone > 0 and since > 0:
            left = max(0.0, since / gone * (total - done) - max(0.0, time.time() - float(told["updated"])))
        return Progress(done, total, str(told["words"]), left)
    except (KeyError, TypeError, ValueError):
        return None

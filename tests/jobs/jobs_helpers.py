"""A worker in front of the stand-in door, and waiting for what processes do."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from engine.jobs import files, queue
from engine.jobs.job import Job, State

PATIENCE_S = 60.0
WORKER = (sys.executable, str(Path(__file__).resolve().parent / "stand_in_worker.py"))


def wait(condition: Callable[[], object]) -> None:
    """Until it holds; machines that test may be very busy."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def recorded(job: Job) -> str:
    """The state that stands in the job's folder."""
    return str((files.read(job.folder / files.STATE) or {}).get("state"))


def ended(job: Job) -> Job:
    """The job once it has ended and its worker has recorded that."""
    wait(lambda: recorded(job) not in (State.QUEUED, State.RUNNING))
    return queue.find(job.id)


def begun(job: Job) -> Job:
    """The job once its process is known."""
    wait(lambda: queue.find(job.id).process is not None)
    return queue.find(job.id)


def lines(file: Path) -> list[str]:
    """What was noted."""
    return file.read_text().splitlines() if file.exists() else []


def workers() -> list[psutil.Process]:
    """The workers of this test's data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get("INTERVAL_HOME") == str(files.root().parent)
            if ours and WORKER[1] in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found

"""The queue of jobs: add, list, stop, reorder, remove.

Any number of programs may use it at once, on one data folder. Every change happens under one lock, so that no job is
begun twice, and none is taken out while it begins. Whoever adds a job starts the worker where there is none; nothing
here waits for a job.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import Conflict, NotFound, ResourceError, UsageError
from engine.jobs import files, process
from engine.jobs.job import Job, State
from engine.jobs.locking import Lock, held

WORKER = (sys.executable, "-m", "engine.jobs.worker")


@contextmanager
def changing() -> Iterator[None]:
    """The moment in which a queue is changed, for the block; others wait for its end."""
    with held(files.root() / "queue.lock"):
        yield


def worker_lock() -> Lock:
    """What the worker holds as long as it lives; to be tried while the queue is ``changing`` only."""
    return Lock(files.root() / "worker.lock")


def add(kind: str, title: str, words: Sequence[str], result: Path | None = None) -> Job:
    """Put ``launch.py WORDS...`` at the end of the queue and see to it that somebody takes it up.

    ``result`` is the folder that will hold what comes of it, for whoever shows the job later.
    Raises UsageError for words that no command line can hold, OSError where the data folder cannot be written.
    """
    if not words or any("\0" in word for word in words):
        raise UsageError("A job needs a command, and none of its words may hold a null character.")
    now = time.time()
    folder = files.root() / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(3)}"
    with changing():
        paths.ensure(folder)
        try:
            place = 1 + max((job.place for job in _read()), default=0)
            files.write(folder / files.STATE, {"state": State.QUEUED, "place": place})
            what = {"kind": kind, "title": title, "words": list(words), "made": now}
            files.write(folder / files.JOB, {**what, "result": str(result) if result is not None else None})
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    ensure_worker()
    return find(folder.name)


def jobs() -> tuple[Job, ...]:
    """All of them: first what runs, then what waits in its order, then what has ended, the latest first."""

    def rank(job: Job) -> tuple[int, float]:
        if job.state is State.RUNNING:
            return 0, job.began or job.made
        return (1, job.place) if job.state is State.QUEUED else (2, -(job.ended or job.made))

    return tuple(sorted(_read(), key=rank))


def find(identity: str) -> Job:
    """The job of this id; raises NotFound."""
    known = Path(identity).name == identity and identity not in ("", ".", "..")
    job = Job.read(files.root() / identity) if known else None
    if job is None:
        raise NotFound("There is no such job: it may have been removed from the list.")
    return job


def request_stop(identity: str) -> Job:
    """Take a queued job out of the queue, or ask a running one to stop, once; raises NotFound.

    A command that runs is interrupted as by Ctrl-C and ends when it has saved what can be taken up again.
    """
    with changing():
        job = find(identity)
        if job.state is State.QUEUED:
            record = {"state": State.STOPPED, "place": job.place, "ended": time.time()}
            files.write(job.folder / files.STATE, record)
        elif job.state is State.RUNNING and not job.stopping:
            (job.folder / files.STOP).touch(mode=0o600)
            if job.process is not None:  # else the worker does so, which is just starting it
                job.process.interrupt()
    return find(identity)


def kill(identity: str) -> Job:
    """End a running job at once, with all it has started; what it has not saved is lost. Raises NotFound."""
    with changing():
        job = find(identity)
        if job.state is State.RUNNING and job.process is not None:
            (job.folder / files.STOP).touch(mode=0o600)
            job.process.kill()
    return find(identity)


def move(identity: str, by: int) -> None:
    """Move a queued job ``by`` places, negative to the front; beyond an end it stays there.

    Raises NotFound, and Conflict when it waits no longer.
    """
    with changing():
        find(identity)
        waiting = [job for job in jobs() if job.state is State.QUEUED]
        order = [job.id for job in waiting]
        if identity not in order:
            raise Conflict("This job waits no longer: it has begun or was taken out of the queue.")
        here = order.index(identity)
        waiting.insert(max(0, here + by), waiting.pop(here))
        places = sorted(job.place for job in waiting)
        for job, place in zip(waiting, places, strict=True):
            if job.place != place:
                files.write(job.folder / files.STATE, {"state": State.QUEUED, "place": place})


def remove(identity: str) -> None:
    """Delete what is known of a job that has ended; its result stays where it is. Raises NotFound and Conflict."""
    with changing():
        job = find(identity)
        if job.active:
            raise Conflict("This job has not ended. Stop it first.")
        (job.folder / files.JOB).unlink()  # from here on it is no job, whatever else goes wrong
        shutil.rmtree(job.folder, ignore_errors=True)


def ensure_worker() -> bool:
    """Start the worker if something is to be done and nobody is at it; whether it was started.

    Raises ResourceError where the system starts no process.
    """
    with changing():
        waits = any(_unsettled(record) for _, record in records())
        lock = worker_lock()
        if not waits or not lock.take(wait=False):
            return False
        lock.release()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop(files.VARIABLE, None)
    try:
        started = process.start(list(WORKER), files.root() / "worker.log", environment)
    except OSError as cause:
        raise ResourceError(
            "The system starts no more processes, so that the job waits. Close other programs and try again."
        ) from cause
    # It outlives us; should it end before, somebody has to collect it.
    threading.Thread(target=started.wait, name="jobs worker", daemon=True).start()
    return True


def records() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder of every job and what is recorded of it, whether or not that is still true."""
    try:
        folders = sorted(entry for entry in files.root().iterdir() if (entry / files.JOB).is_file())
    except FileNotFoundError:
        return
    for folder in folders:
        if (record := files.read(folder / files.STATE)) is not None:
            yield folder, record


def _unsettled(record: dict[str, Any]) -> bool:
    return record.get("state") in (State.QUEUED, State.RUNNING)


def _read() -> list[Job]:
    found = (Job.read(folder) for folder, _ in records())
    return [job for job in found if job is not None]

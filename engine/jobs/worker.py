"""The worker: takes the jobs of the queue in their order, one at a time, and ends when none is left.

``python -m engine.jobs.worker``, started by ``queue.ensure_worker``. There is one for a data folder. It needs no
screen, and who started it may go. If it is killed, the command it had started goes on; the next worker finds it by its
process and waits for it before it takes another job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from engine import logs, paths
from engine.jobs import files, process, queue
from engine.jobs.job import State, ending
from engine.jobs.process import Identity

log = logging.getLogger("engine.jobs.worker")  # started with -m, this module is called __main__

LOOK_S = 0.5
"""Seconds between two looks at a command that another worker has started."""

DOOR = paths.PROJECT / "launch.py"


def main() -> int:
    """Work until the queue is empty; 0, also where another worker is at it."""
    _keep_private()
    logs.start()
    lock = queue.worker_lock()
    with queue.changing():
        if not lock.take(wait=False):
            return 0
    log.info("worker begins")
    try:
        while True:
            for folder in _interrupted():
                _follow(folder)
            with queue.changing():
                taken = _take()
                if taken is None:
                    lock.release()  # before anybody may add another, and would count on us
                    log.info("worker ends")
                    return 0
            _run(taken)
    finally:
        lock.release()


def _keep_private() -> None:
    """What a job writes is its user's alone; Ctrl-C means a stop to it, also where whoever started us ignored that."""
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(ImportError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _interrupted() -> list[Path]:
    """Jobs that are recorded as running: we run none, so an earlier worker began them."""
    return [folder for folder, record in queue.records() if record.get("state") == State.RUNNING]


def _follow(folder: Path) -> None:
    """Wait for a command that is not our child, and record its end."""
    record = files.read(folder / files.STATE) or {}
    identity = Identity.read(record)
    if identity is None and (identity := process.running(folder)) is not None:
        log.info("job %s found at work", folder.name)
        record = _begun(folder, record, identity)
    while identity is not None and identity.alive():
        time.sleep(LOOK_S)
    _ended(folder, record, identity, None)


def _take() -> Path | None:
    """Mark the next job as running and give its folder; None if nothing waits. The queue is ours alone meanwhile."""
    waiting = [
        (record.get("place", 0), folder) for folder, record in queue.records() if record["state"] == State.QUEUED
    ]
    if not waiting:
        return None
    place, folder = min(waiting)
    files.write(folder / files.STATE, {"state": State.RUNNING, "place": place, "began": time.time()})
    return folder


def _run(folder: Path) -> None:
    """Start the command of a job, wait for it, record its end."""
    record = files.read(folder / files.STATE) or {}
    what = files.read(folder / files.JOB) or {}
    # Passive: threads that wait for work sleep. A job shares the machine with the viewer and others, and where threads
    # spin it took half as long again.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, files.VARIABLE: str(folder), "PYTHONUNBUFFERED": "1"}
    # In this very Python: nothing may be installed below the feet of programs that run.
    command = [sys.executable, str(DOOR), "--no-venv", *map(str, what.get("words", ()))]
    try:
        child = process.start(command, folder / files.CONSOLE, environment)
    except OSError as error:
        log.error("job %s could not be started", folder.name, exc_info=error)
        with contextlib.suppress(OSError), (folder / files.CONSOLE).open("a", encoding="utf-8") as console:
            console.write("The system could not start the command. Close other programs and try again.\n")
        _ended(folder, record, None, 1)
        return
    identity = Identity.of(child.pid)
    if identity is not None:
        record = _begun(folder, record, identity)
    _ended(folder, record, identity, child.wait())


def _begun(folder: Path, record: dict[str, Any], identity: Identity) -> dict[str, Any]:
    """Record which process is at a job. Who asked it to stop before this was known could not reach it: we do."""
    record = {**record, **identity.record()}
    with queue.changing():
        files.write(folder / files.STATE, record)
        if (folder / files.STOP).exists():
            identity.interrupt()
    log.info("job %s is process %d", folder.name, identity.pid)
    return record


def _ended(folder: Path, record: dict[str, Any], identity: Identity | None, status: int | None) -> None:
    """Record how a job ended, and end what its command has left running."""
    for process_left in identity.left_behind() if identity is not None else ():
        with contextlib.suppress(Exception):
            process_left.kill()
    with queue.changing():
        record = ending(folder, record, status)
        if (folder / files.JOB).exists():  # else it was removed meanwhile
            files.write(folder / files.STATE, record)
    log.info("job %s is %s with exit status %s", folder.name, record["state"], record["exit_status"])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as fault:
        log.error("worker gives up", exc_info=fault)
        sys.exit(1)

"""What a command says of itself while it runs as a job: how far it is, and in the end its exit status.

Outside a job (without the environment variable INTERVAL_JOB) all of this does nothing, so that a command need not ask
whether it is one. Standard library only. A full disk never ends a command here: it only becomes silent.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from engine.jobs import files

LEAST_S = 0.5
"""Seconds between two writings; what is complete is written at once."""


class _Told:
    """What was said last, by this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.subject: tuple[str, int] | None = None
        self.began = self.written = 0.0
        self.first = 0


_told = _Told()


def folder() -> Path | None:
    """The folder of the job that this process is part of; None where it is part of none."""
    named = os.environ.get(files.VARIABLE)
    return Path(named) if named else None


def report(done: int, total: int, words: str, *, began: float | None = None) -> None:
    """``done`` of ``total`` ``words`` are done, such as 3 of 5 cases. May be called for every single one.

    The time left goes by what was done since the first call, which says where the command takes up its work; or since
    ``began`` (seconds since 1970), when none was done.
    """
    job = folder()
    if job is None:
        return
    now = time.time()
    with _told.lock:
        if _told.subject != (words, total):
            _told.subject = (words, total)
            _told.began, _told.first = (now, done) if began is None else (began, 0)
        elif now - _told.written < LEAST_S and done < total:
            return
        _told.written = now
        content = {"done": done, "total": total, "words": words, "first": _told.first, "began": _told.began}
        with contextlib.suppress(OSError):
            files.write(job / files.PROGRESS, {**content, "updated": now}, durable=False)


def stop_requested() -> bool:
    """Whether somebody has asked this job to stop. What can be taken up again later is to be saved first.

    On POSIX systems the command is interrupted besides, as by Ctrl-C. That is the faster way and no sure one: while a
    library is being imported an interrupt may be lost.
    """
    job = folder()
    return job is not None and (job / files.STOP).exists()


def ended(status: int) -> None:
    """The command is about to end with this exit status. Said by the job's own process, not by what it has started."""
    job = folder()
    if job is None or (os.name == "posix" and os.getsid(0) != os.getpid()):
        return
    with contextlib.suppress(OSError):
        files.write(job / files.EXIT, {"exit_status": status, "ended": time.time()})

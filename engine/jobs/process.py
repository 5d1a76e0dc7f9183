"""Processes that are found again: the same one, not another that has been given its number since.

A process is known by its number (pid), by when it was started (``create_time``) and by the start of the system it
belongs to. Where the clock has been set meanwhile, both times have moved alike, so what counts is their difference.
A process that has ended and still waits to be collected by its parent (a zombie) counts as ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from engine import paths
from engine.jobs import files

TOLERANCE_S = 1.5
"""The system tells when it was started in whole seconds, and twice within a second it may tell two of them."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Identity:
    """One process. Times are seconds since 1970; ``boot_id`` is empty where the system has none."""

    pid: int
    create_time: float
    boot_time: float
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has the number ``pid`` now; None if none has."""
        try:
            return cls(pid, psutil.Process(pid).create_time(), psutil.boot_time(), boot_id())
        except psutil.Error:
            return None

    @classmethod
    def read(cls, record: dict[str, Any]) -> Identity | None:
        """As ``record()`` gave it; None where the record names no process."""
        pid, created, boot = record.get("pid"), record.get("create_time"), record.get("boot_time")
        if (
            type(pid) is not int
            or pid <= 0
            or not isinstance(created, int | float)
            or not isinstance(boot, int | float)
        ):
            return None
        return cls(pid, created, boot, str(record.get("boot_id", "")))

    def record(self) -> dict[str, Any]:
        """Values for a JSON file."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether this very process is still running."""
        return self._process() is not None

    def interrupt(self) -> None:
        """Ask it to stop, as Ctrl-C would. Where the system cannot, only the file STOP has asked."""
        if self.alive() and os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it at once, with all it has started."""
        process = self._process()
        children: list[psutil.Process] = []
        if process is not None:
            with contextlib.suppress(psutil.Error):
                children = process.children(recursive=True)
            with contextlib.suppress(psutil.Error):
                process.kill()
        for child in (*children, *self.left_behind()):
            with contextlib.suppress(psutil.Error):
                child.kill()

    def left_behind(self) -> list[psutil.Process]:
        """Processes of the session this one leads or led, which it has not ended before its own end.

        No new process is given the number while a session goes by it: if another one has it, that session is over.
        """
        now = Identity.of(self.pid)
        if os.name != "posix" or self.boot_id != boot_id() or (now is not None and not self._is(now)):
            return []
        found = []
        for other in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if (
                    other.pid != self.pid
                    and os.getsid(other.pid) == self.pid
                    and other.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(other)
        return found

    def _is(self, other: Identity) -> bool:
        ages = (self.create_time - self.boot_time, other.create_time - other.boot_time)
        return (self.pid, self.boot_id) == (other.pid, other.boot_id) and abs(ages[0] - ages[1]) <= TOLERANCE_S

    def _process(self) -> psutil.Process | None:
        now = Identity.of(self.pid)
        if now is None or not self._is(now):
            return None
        try:
            process = psutil.Process(self.pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.Error:
            return None


def boot_id() -> str:
    """Which start of the system this is; empty where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def running(folder: Path) -> Identity | None:
    """The process that runs the job in ``folder``, found by what it was told at its start; None without one."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            leads = os.name != "posix" or os.getsid(process.pid) == process.pid
            if leads and process.environ().get(files.VARIABLE) == str(folder):
                return Identity.of(process.pid)
    return None


def start(command: list[str], console: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start ``command`` detached: in a session of its own, without a terminal, its words appended to ``console``.

    No pipe is involved: a command whose reader is gone would stand still when the pipe is full. Raises OSError.
    """
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    with console.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=paths.PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **detached,
        )

"""The parent's side of the worker process: ask, wait no longer than the deadline, start again after a crash.

One warm worker serves one :class:`Reader`; it is started by the first request and ends with the block. The program
itself never parses a dropped file. Knows nothing of studies.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from engine import paths
from engine.errors import ResourceError, UnreadableFile
from engine.imaging.archives import Member, Unpacked
from engine.imaging.limits import Limits
from engine.imaging.refusal import Refusal
from engine.imaging.types import Image
from engine.imaging.wire import from_wire

__all__ = ["Reader"]

log = logging.getLogger(__name__)

LONGEST_ANSWER = 8_000_000
_QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A decoder needs no pool of threads, and each thread would count against the memory limit."""


class _Died(Exception):
    """The worker ended or said something that is no answer."""


class _TooSlow(Exception):
    """The deadline passed; the worker was killed."""


class Reader:
    """A context that opens untrusted files in a worker process. Safe to share between threads; one file at a time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unpacked = 0

    def __enter__(self) -> Reader:
        try:
            self._folder = self._stack.enter_context(paths.scratch("intake"))
        except OSError as error:
            raise ResourceError("The data folder cannot be written; files cannot be opened.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stop()
        self._stack.close()

    def read(self, path: Path, source: str | None = None) -> Image:
        """The image in ``path``. Raises UnreadableFile with one sentence that names ``source``."""
        source = path.name if source is None else source
        with self._lock:
            folder = self._fresh("image")
            reply = self._ask("read", path, source, folder)
            try:
                return from_wire(reply["image"], folder, self.limits.pixels)
            except (KeyError, TypeError, ValueError, OSError, OverflowError) as error:
                self._stop()
                raise UnreadableFile(Refusal("could not be read.").sentence(source)) from error

    def unpack(self, path: Path, source: str) -> Unpacked:
        """The files of a ZIP archive, in a private folder that lives as long as this reader. Raises UnreadableFile."""
        with self._lock:
            self._unpacked += 1
            folder = self._fresh(f"archive{self._unpacked}")
            reply = self._ask("unpack", path, source, folder)
            try:
                members = [Member(str(name), folder / str(int(file)).zfill(6)) for name, file in reply["members"]]
                problems = [(str(name), str(sentence)) for name, sentence in reply["problems"]]
            except (KeyError, TypeError, ValueError) as error:
                self._stop()
                raise UnreadableFile(Refusal("could not be opened.").sentence(source)) from error
            return Unpacked(tuple(members), tuple(problems))

    def _fresh(self, name: str) -> Path:
        if self._folder is None:
            raise RuntimeError("a Reader is used in a with block")
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        return paths.ensure(folder)

    def _ask(self, do: str, path: Path, source: str, folder: Path) -> dict[str, Any]:
        request = {"do": do, "path": str(path.absolute()), "source": source, "folder": str(folder)}
        try:
            reply = self._exchange(json.dumps(request))
        except _TooSlow as error:
            log.warning("worker killed: no answer in %.0f s", self.limits.seconds)
            words = f"took longer than {self.limits.seconds:.0f} seconds to read and was given up."
            raise UnreadableFile(Refusal(words).sentence(source)) from error
        except _Died as error:
            log.warning("worker ended while it read a file")
            words = "is damaged or hostile: reading it stopped the reader, which was started again."
            raise UnreadableFile(Refusal(words).sentence(source)) from error
        if "refused" in reply:
            raise UnreadableFile(str(reply["refused"])[:1000])
        return reply

    def _exchange(self, line: str) -> dict[str, Any]:
        process = self._running()
        try:
            if process.stdin is None:
                raise _Died
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = self._answers.get(timeout=self.limits.seconds)
            reply = json.loads(answer) if answer else None
        except queue.Empty as error:
            self._stop(patience=0)
            raise _TooSlow from error
        except (OSError, ValueError, RecursionError) as error:
            self._stop(patience=0)
            raise _Died from error
        if not isinstance(reply, dict):
            self._stop(patience=0)
            raise _Died
        return reply

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop(patience=0)
        environment = {**os.environ, **_QUIET, "PYTHONPATH": str(paths.PROJECT)}
        try:
            # -P: the folder the program was started in is no place to import from
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "engine.imaging.worker", json.dumps(asdict(self.limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                text=True,
                encoding="ascii",
                errors="replace",
            )
        except OSError as error:
            raise ResourceError("The reader of files could not be started; is the memory or disk full?") from error
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(process.stdout, self._answers), daemon=True).start()
        self._process = process
        return process

    def _stop(self, patience: float = 1.0) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                log.debug("the worker was gone already")
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listen(stream: IO[str] | None, answers: queue.SimpleQueue[str | None]) -> None:
    """Pass on each line of the worker, and None at its end."""
    if stream is not None:
        with stream:
            while line := stream.readline(LONGEST_ANSWER):
                answers.put(line)
    answers.put(None)

"""The check of a recipe before it is started: a command of its own beside the queue, which a long run may be holding.

A check belongs to a recipe's text and to the files it names as they are now: change one of them, and there is none.
What it found lies in the data folder, so that a page that is opened again, or a studio that is started again, has it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine import paths
from engine.errors import ResourceError
from engine.jobs import console, files, process, queue
from engine.training.recipe import Recipe
from trainer_ui.services import recipes

Severity = Literal["ok", "warning", "error"]
State = Literal["none", "running", "done", "failed"]

COMMAND = (sys.executable, str(paths.PROJECT / "launch.py"), "--no-venv", "train")
KEPT = 30
_RECIPE, _RESULT, _PROCESS = "recipe.yaml", "result.json", "process.json"
_BUSY = " Another run holds memory now: started, this one waits in the queue until that has ended."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``rows`` are the first of the file's rows it concerns, ``more`` the others."""

    subject: str
    severity: Severity
    says: str
    rows: tuple[tuple[int, str], ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Check:
    """A check as it is now.

    Attributes:
        state: "none" for a recipe that has not been checked as it is.
        share, progress: how far one that runs is; None and "" where it has not said.
        findings: those that keep it from starting first.
        why: how one ended that found nothing.
    """

    state: State
    findings: tuple[Finding, ...] = ()
    share: float | None = None
    progress: str = ""
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the recipe may be started."""
        return self.state == "done" and not any(found.severity == "error" for found in self.findings)


def look(text: str) -> Check:
    """The check of this recipe with its files as they are now. Raises UsageError for a recipe that cannot be read."""
    folder = _folder(text)
    if not (folder / _PROCESS).is_file():
        return Check("none")
    left = files.read(folder / files.EXIT)
    identity = process.Identity.read(files.read(folder / _PROCESS) or {})
    if left is None and identity is not None and identity.alive():
        return Check("running", share=_share(folder), progress=_words(folder))
    result = _result(folder / _RESULT)
    if result is None:
        why = console.tail(folder / files.CONSOLE, lines=6)
        return Check("failed", why=why or "It was ended from outside, for instance because the memory was used up.")
    busy = any(job.active for job in queue.jobs())
    findings = [_softened(found, busy) for found in _findings(result)]
    order = {"error": 0, "warning": 1, "ok": 2}
    return Check("done", tuple(sorted(findings, key=lambda found: order[found.severity])))


def begin(text: str) -> Check:
    """Start the check unless it is at work; one that is done or failed is made again. Raises UsageError, OSError."""
    folder = _folder(text)
    if look(text).state == "running":
        return look(text)
    shutil.rmtree(folder, ignore_errors=True)
    _sweep()
    paths.ensure(folder)
    (folder / _RECIPE).write_text(text, encoding="utf-8")
    environment = os.environ | {files.VARIABLE: str(folder), "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    try:
        with (folder / _RESULT).open("wb") as result, (folder / files.CONSOLE).open("wb") as words:
            started = subprocess.Popen(
                [*COMMAND, str(folder / _RECIPE), "--check", "--json"],
                cwd=paths.PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=words,
                start_new_session=True,
            )
    except OSError as cause:
        raise ResourceError("The system starts no more processes. Close other programs and try again.") from cause
    identity = process.Identity.of(started.pid)
    files.write(folder / _PROCESS, identity.record() if identity is not None else {})
    threading.Thread(target=started.wait, name="recipe check", daemon=True).start()  # somebody has to collect it
    return look(text)


def stop(text: str) -> None:
    """End the check of a recipe; what it has found so far is lost."""
    folder = _folder(text)
    identity = process.Identity.read(files.read(folder / _PROCESS) or {})
    if identity is not None:
        identity.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    return paths.home() / "studio" / "checks"


def _folder(text: str) -> Path:
    """One for each recipe with its files: by the text, and by size and time of what it names."""
    recipe = recipes.read(text)
    told = [text, *(f"{file}:{_stamp(file)}" for file in _files(recipe))]
    return _root() / hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()[:24]


def _files(recipe: Recipe) -> Iterator[Path]:
    yield from (*recipe.samples, *recipe.truth)
    if recipe.validation is not None:
        yield recipe.validation.questions
    if recipe.start is not None:
        yield from (recipe.start / name for name in ("config.json", "interval.json"))


def _stamp(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return "gone"
    return f"{status.st_size}:{status.st_mtime_ns}"


def _result(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("findings"), list) else None


def _findings(result: dict[str, Any]) -> Iterator[Finding]:
    for one in result["findings"]:
        rows = tuple((int(row), str(reason)) for row, reason in one["rows"])
        yield Finding(str(one["subject"]), one["severity"], str(one["says"]), rows, int(one["more"]))


def _softened(found: Finding, busy: bool) -> Finding:
    """While something else runs, memory that is short now need not be short when this run's turn comes."""
    if found.subject == "memory" and found.severity == "error" and busy:
        return Finding(found.subject, "warning", found.says + _BUSY)
    return found


def _share(folder: Path) -> float | None:
    told = files.read(folder / files.PROGRESS)
    return min(1.0, told["done"] / told["total"]) if told and told.get("total") else None


def _words(folder: Path) -> str:
    told = files.read(folder / files.PROGRESS)
    return f"{told['done']:,} of {told['total']:,} {told['words']}" if told and told.get("total") else ""


def _sweep() -> None:
    """Forget the oldest checks."""
    found = sorted(_root().iterdir(), key=lambda place: place.stat().st_mtime) if _root().is_dir() else []
    for folder in found[: max(0, len(found) - KEPT)]:
        shutil.rmtree(folder, ignore_errors=True)

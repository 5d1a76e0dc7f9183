"""The files of a job's folder: their names, and JSON that is written whole or not at all.

Standard library only: a command imports this before it has imported anything else. Knows nothing of what the files say.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from engine import paths

JOB, STATE, PROGRESS, EXIT = "job.json", "state.json", "progress.json", "exit.json"
CONSOLE, STOP = "console.log", "STOP"
VARIABLE = "INTERVAL_JOB"
"""Environment variable that tells a command the folder of the job it is."""

LARGEST = 1 << 20
"""Bytes of a file of ours at most; a longer one is not ours."""


def root() -> Path:
    """The folder of all jobs. Not created here."""
    return paths.home() / "jobs"


def write(path: Path, content: dict[str, Any], *, durable: bool = True) -> None:
    """Put ``content`` in place of what ``path`` holds; a reader sees the old or the new, never a part.

    ``durable``: also after a power cut. Raises OSError, and then leaves what was there.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False)  # ASCII: also for names that are no text
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def read(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; None where there is none or the file holds something else."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None

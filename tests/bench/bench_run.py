"""The command called in this process, with what it said and wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from engine.cli import main


@dataclass(frozen=True)
class Ran:
    """Exit status, standard output as JSON, words on standard error, the folder of --output and the data folder."""

    status: int
    result: dict[str, Any]
    words: str
    output: Path
    home: Path


def bench(home: Path, output: Path, *options: str) -> Ran:
    """``bench --json``; INTERVAL_HOME is set by the caller."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = main(["bench", *options, "--threads", "1", "--json", "--output", str(output)])
    return Ran(status, json.loads(out.getvalue()), err.getvalue(), output, home)


def leave_behind(home: Path, name: str, owner: int) -> None:
    """A temporary folder of a bench that belongs to the process ``owner``."""
    folder = home / "tmp" / name
    folder.mkdir(parents=True)
    (folder / "owner").write_text(str(owner))
    (folder / "model.safetensors").write_bytes(b"large")


def dead_process() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid

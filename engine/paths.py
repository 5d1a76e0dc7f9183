"""Where things are: the project folder, the models, and the one data folder that is written.

Everything the program writes lies under ``home()``: ``saves/`` beside the code, or the folder named by
``INTERVAL_HOME``.
This module knows names only; it opens nothing and creates a folder only where the function says so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The data folder: ``INTERVAL_HOME`` if set, else ``saves/`` in the project. Not created here."""
    override = os.environ.get("INTERVAL_HOME")
    return Path(override).expanduser().resolve() if override else PROJECT / "saves"


def models() -> Path:
    """The folder of installed models."""
    return PROJECT / "models"


def ensure(folder: Path) -> Path:
    """Create ``folder`` and what leads to it, readable by this user alone where the system has modes; return it."""
    for parent in reversed((folder, *folder.parents)):
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A private folder under ``home()/tmp`` that is gone when the block ends, also after an error.

    Nothing of a patient is ever put into the system's own temp folder.
    """
    parent = ensure(home() / "tmp")
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

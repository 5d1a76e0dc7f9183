"""What the studio remembers between two starts: JSON files in the data folder, changed by one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import paths
from engine.jobs import files
from engine.jobs.locking import held


def read(name: str) -> dict[str, Any]:
    """What is kept under ``name``; empty if nothing is."""
    return files.read(_path(name)) or {}


@contextmanager
def changed(name: str) -> Iterator[dict[str, Any]]:
    """What is kept under ``name``, to be changed in the block and kept as the block leaves it. Raises OSError."""
    with held(_path("studio").with_suffix(".lock")):
        content = read(name)
        yield content
        files.write(paths.ensure(_path(name).parent) / _path(name).name, content)


def _path(name: str) -> Path:
    return paths.home() / "studio" / f"{name}.json"

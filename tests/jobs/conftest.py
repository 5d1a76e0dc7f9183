"""A queue whose jobs do what a test wants; whatever still runs when the test ends is ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jobs_helpers import WORKER, workers

from engine.jobs import queue
from engine.jobs.process import Identity


@pytest.fixture(autouse=True)
def stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that go through the stand-in door."""
    monkeypatch.setattr(queue, "WORKER", WORKER)
    yield
    for process in workers():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for _, record in queue.records():
        if (identity := Identity.read(record)) is not None:
            identity.kill()

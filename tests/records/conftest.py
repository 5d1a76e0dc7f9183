"""Real histories in temporary folders."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from records_desk import Clock, Desk

from engine.records import Records

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: every write of a history waits for its disk."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="interval-test-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    folder = tmp_path / "dropped"
    folder.mkdir()
    with Records.open(tmp_path / "history", who="tester", application="Interval test", clock=clock) as records:
        yield Desk(records, folder)


@pytest.fixture
def foreign(desk: Desk) -> Callable[..., list[tuple[object, ...]]]:
    """Run SQL as any other program would: no settings of ours."""

    def run(sql: str, *parameters: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(desk.home / "history.db", timeout=10)) as connection, connection:
            return connection.execute(sql, parameters).fetchall()

    return run

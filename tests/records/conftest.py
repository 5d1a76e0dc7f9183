"""Real histories in temporary folders."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from records_desk import Clock, Desk

from engine.records import Records


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

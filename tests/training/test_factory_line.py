"""The line between a run and its worker: a stranger on it neither takes the worker's place nor keeps it out."""

from __future__ import annotations

import json
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from engine.training.factory.link import ADDRESS, KEY, line


def test_a_stranger_is_turned_away_and_the_worker_comes_all_the_same() -> None:
    with line() as (link, where):
        with pytest.raises(AuthenticationError):
            Client(where[ADDRESS], authkey=b"a guess")
        assert not link.wait(0.05)
        with Client(where[ADDRESS], authkey=bytes.fromhex(where[KEY])) as worker:
            assert link.wait(5)
            worker.send_bytes(json.dumps({"event": "begin"}).encode())
            assert link.poll(5) and link.receive() == {"event": "begin"}
        with pytest.raises(EOFError):
            link.receive()

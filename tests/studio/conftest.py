"""The studio's services over a data folder of their own, and a queue in which nothing is ever begun."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.jobs import files, queue
from engine.jobs.job import Job
from engine.jobs.process import Identity

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that is started ends at once, so that what is queued stays queued."""
    monkeypatch.setattr(queue, "WORKER", (sys.executable, "-c", ""))


@pytest.fixture(scope="module")
def opened(chromium: str) -> Iterator[Browser]:
    """A browser for the tests of a file."""
    from studio_process import browser

    with browser(chromium) as running:
        yield running


@pytest.fixture
def nothing_left(home: Path) -> Iterator[None]:
    """Whatever still runs when the test ends is ended."""
    yield
    for job in queue.jobs():
        queue.kill(job.id)


@pytest.fixture
def make_job(home: Path) -> MakeJob:
    """Write a job as it is found: its record, and what the command has left."""
    made = 0

    def make(state: str, kind: str = "phantoms", result: Path | None = None, **left: Any) -> Job:
        nonlocal made
        made += 1
        folder = home / "jobs" / f"20260101-00000{made}-abcdef"
        folder.mkdir(parents=True)
        now = time.time()
        what = {"kind": kind, "title": f"Job {made}", "words": ["data", "phantoms"], "made": now}
        files.write(folder / files.JOB, {**what, "result": str(result) if result else None})
        record: dict[str, Any] = {"state": state, "place": made}
        if state == "running":
            own = Identity.of(os.getpid())
            assert own is not None
            record |= {**own.record(), "began": now - 30}
        elif state != "queued":
            record |= {"began": now - 60, "ended": now - 10, "exit_status": left.get("exit_status", 0)}
        files.write(folder / files.STATE, record)
        if "progress" in left:
            files.write(folder / files.PROGRESS, left["progress"])
        if "console" in left:
            (folder / files.CONSOLE).write_text(left["console"])
        return queue.find(folder.name)

    return make


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demonstration set, made once: 24 patients, images of 96 pixels. To be read only."""
    from engine.datasets.phantoms import SITES, write_training

    folder = tmp_path_factory.mktemp("made") / "phantoms"
    write_training(folder, 24, seed=0, site=SITES["a"], size=96, workers=1)
    return folder


@pytest.fixture
def phantoms(home: Path, phantom_set: Path) -> Path:
    """The same in the data folder of this test."""
    return Path(shutil.copytree(phantom_set, home / "data" / "phantoms"))


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """A page of the studio, after its first run."""

    def opened(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(Path(__file__).resolve().parent / "page_script.py"), default_timeout=60)
        page.session_state["page-under-test"] = name
        for key, value in query.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return opened

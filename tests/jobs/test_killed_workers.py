"""Whoever is killed, the next one goes on from what lies in the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jobs_helpers import WORKER, begun, ended, lines, recorded, wait, workers

from engine.jobs import files, process, queue
from engine.jobs.job import Job, State
from engine.jobs.process import Identity

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with jobs."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield other
    other.kill()
    other.wait()


def add(*words: str) -> Job:
    return queue.add("test", "a test", words)


def kill_workers() -> None:
    found = workers()
    assert len(found) == 1
    found[0].kill()
    wait(lambda: not workers())


def running(**record: Any) -> Job:
    """A job that is recorded as running, as a worker that is gone has left it."""
    folder = files.root() / "20200101-000000-abcdef"
    folder.mkdir(parents=True)
    what = {"kind": "test", "title": "a test", "words": ["status", "0"], "made": 0.0, "result": None}
    files.write(folder / files.JOB, what)
    files.write(folder / files.STATE, {"state": "running", "place": 1, "began": time.time(), **record})
    return queue.find(folder.name)


def test_a_job_outlives_its_worker_and_the_next_worker_waits_for_it(tmp_path: Path) -> None:
    gate, order = tmp_path / "gate", tmp_path / "order"
    first = begun(add("until", str(gate), "note", str(order), "first", "status", "4"))
    kill_workers()
    assert queue.find(first.id).state is State.RUNNING
    second = add("note", str(order), "second")
    wait(workers)
    assert begun(first).process == first.process
    time.sleep(0.1)  # long enough for a worker that does not wait
    assert queue.find(second.id).state is State.QUEUED
    gate.touch()
    assert (ended(first).state, queue.find(first.id).exit_status) == (State.FAILED, 4)
    assert ended(second).state is State.DONE
    assert lines(order) == ["first", "second"]


def test_the_end_of_a_job_without_a_worker_is_known_before_and_after_the_next_worker(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = begun(add("until", str(gate)))
    kill_workers()
    gate.touch()
    wait(lambda: not queue.find(job.id).active)
    seen = queue.find(job.id)
    assert (seen.state, seen.exit_status, recorded(job)) == (State.DONE, 0, "running")
    assert queue.ensure_worker()
    settled = ended(job)
    assert (settled.state, settled.exit_status, settled.ended) == (State.DONE, 0, seen.ended)
    wait(lambda: not workers())
    assert not queue.ensure_worker()


@pytest.mark.parametrize("worker_too", [False, True])
def test_a_job_that_is_killed_has_crashed_and_leaves_nothing_running(tmp_path: Path, worker_too: bool) -> None:
    child = tmp_path / "child"
    job = begun(add("leave", str(child), "until", "/nonexistent"))
    wait(lambda: child.exists() and child.read_text())
    left = psutil.Process(int(child.read_text()))
    if worker_too:
        kill_workers()
    assert job.process is not None
    os.kill(job.process.pid, signal.SIGKILL)
    after = add("status", "0")
    assert ended(job).state is State.CRASHED
    assert ended(after).state is State.DONE
    wait(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("wrong", [{"create_time": 5.0}, {"boot_id": "another"}, {"boot_time": 12.5}])
def test_after_a_restart_of_the_machine_another_process_is_never_taken_for_the_job(
    sleeper: subprocess.Popen[bytes], wrong: dict[str, Any]
) -> None:
    identity = Identity.of(sleeper.pid)
    assert identity is not None and identity.alive()
    job = running(**(identity.record() | wrong))
    assert job.state is State.CRASHED
    queue.request_stop(job.id)
    queue.kill(job.id)
    assert job.process is not None
    job.process.kill()
    job.process.interrupt()
    assert queue.ensure_worker()
    assert ended(job).state is State.CRASHED and recorded(job) == "crashed"
    assert sleeper.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="how psutil tells the time there")
def test_a_clock_that_was_set_changes_nothing(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity.of(sleeper.pid)
    assert identity is not None
    job = running(**identity.record())
    boot = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600)
    moved = Identity.of(sleeper.pid)
    assert moved is not None and moved.create_time == pytest.approx(identity.create_time + 3600, abs=2)
    assert job.state is State.RUNNING and identity.alive()


def test_a_zombie_counts_as_ended(sleeper: subprocess.Popen[bytes]) -> None:
    identity = Identity.of(sleeper.pid)
    assert identity is not None
    sleeper.kill()
    wait(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)
    assert not identity.alive()


@pytest.fixture
def found_at_work(tmp_path: Path) -> Iterator[tuple[Job, subprocess.Popen[bytes]]]:
    """A job whose command was started by a worker that died before it wrote which process that is."""
    job = running()
    door = Path(__file__).resolve().parent / "stand_in_door.py"
    command = [sys.executable, str(door), "--no-venv", "save", str(tmp_path / "file"), str(tmp_path / "gate")]
    child = process.start(command, job.folder / files.CONSOLE, {**os.environ, files.VARIABLE: str(job.folder)})
    wait(lambda: lines(tmp_path / "file") == ["working"])
    yield job, child
    child.kill()
    child.wait()


def test_a_worker_that_died_while_it_began_a_job_has_not_lost_it(
    found_at_work: tuple[Job, subprocess.Popen[bytes]],
) -> None:
    job, child = found_at_work
    assert queue.ensure_worker()
    known = begun(job)
    assert known.process is not None and known.process.pid == child.pid
    assert known.state is State.RUNNING and not known.stopping


def test_a_stop_before_the_process_is_known_reaches_it_all_the_same(
    tmp_path: Path, found_at_work: tuple[Job, subprocess.Popen[bytes]]
) -> None:
    job, child = found_at_work
    assert queue.request_stop(job.id).stopping
    assert queue.ensure_worker()
    wait(lambda: lines(tmp_path / "file") == ["working", "saved True"])
    (tmp_path / "gate").touch()
    assert child.wait() == 130
    assert (ended(job).state, queue.find(job.id).exit_status) == (State.STOPPED, 130)


def test_a_job_of_which_nothing_was_begun_but_the_record_has_crashed() -> None:
    job = running()
    assert queue.ensure_worker()
    assert ended(job).state is State.CRASHED


def test_a_running_command_hears_a_stop_once_and_saves_first(tmp_path: Path) -> None:
    file, gate = tmp_path / "file", tmp_path / "gate"
    job = add("save", str(file), str(gate))
    wait(lambda: lines(file) == ["working"])
    assert queue.request_stop(job.id).stopping
    wait(lambda: lines(file) == ["working", "saved True"])
    queue.request_stop(job.id)
    queue.request_stop(job.id)
    gate.touch()
    assert (ended(job).state, queue.find(job.id).exit_status) == (State.STOPPED, 130)
    assert lines(file) == ["working", "saved True"]


def test_a_command_that_hears_nothing_can_be_killed_with_all_it_has_started(tmp_path: Path) -> None:
    file, child = tmp_path / "file", tmp_path / "child"
    job = add("leave", str(child), "save", str(file), "/nonexistent")
    wait(lambda: lines(file) == ["working"])
    left = psutil.Process(int(child.read_text()))
    queue.request_stop(job.id)
    wait(lambda: len(lines(file)) == 2)
    assert queue.find(job.id).state is State.RUNNING
    queue.kill(job.id)
    assert ended(job).state is State.STOPPED
    wait(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


def test_stop_works_where_whoever_started_the_worker_ignored_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell has its background jobs do."""
    monkeypatch.setattr(queue, "WORKER", ("sh", "-c", 'trap "" INT; exec "$0" "$1"', *WORKER))
    file, gate = tmp_path / "file", tmp_path / "gate"
    gate.touch()
    job = add("save", str(file), str(gate))
    wait(lambda: lines(file) == ["working"])
    queue.request_stop(job.id)
    assert ended(job).state is State.STOPPED

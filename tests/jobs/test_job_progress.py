"""What a command says of itself, and what is shown of what it printed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs_helpers import ended, wait

from engine import paths
from engine.errors import Cancelled
from engine.jobs import console, files, progress, queue, worker
from engine.jobs.job import Job, State


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is part of a job, and has said nothing yet."""
    monkeypatch.setenv(files.VARIABLE, str(tmp_path))
    monkeypatch.setattr(progress, "_told", progress._Told())
    return tmp_path


def told(folder: Path) -> dict[str, object] | None:
    return files.read(folder / files.PROGRESS)


def test_progress_is_written_twice_a_second_at_most_and_always_when_all_is_done(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = 1000.0, []
    monkeypatch.setattr(time, "time", lambda: now)
    write = files.write
    monkeypatch.setattr(
        files, "write", lambda path, content, **how: (written.append(content["done"]), write(path, content, **how))
    )
    for done in range(101):
        progress.report(done, 100, "cases")
        now += 0.01
    assert written == [0, 50, 100] or written == [0, 51, 100]
    assert told(job) is not None and told(job)["done"] == 100  # type: ignore[index]


def test_the_time_left_goes_by_what_this_command_has_done_itself(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that was taken up at 50 of 100 and has done 10 since, in 20 seconds, needs 80 more."""
    clock = iter((1000.0, 1020.0))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    progress.report(50, 100, "cases")
    progress.report(60, 100, "cases")
    monkeypatch.setattr(time, "time", lambda: 1025.0)
    files.write(job / files.JOB, {"kind": "test", "title": "t", "words": ["x"], "made": 0.0})
    files.write(job / files.STATE, {"state": "running", "place": 1})
    read = Job.read(job)
    assert read is not None and read.progress is not None
    assert (read.progress.done, read.progress.total, read.progress.words) == (60, 100, "cases")
    assert read.progress.seconds_left == pytest.approx(75)
    assert read.progress.share == pytest.approx(0.6)


def test_the_time_left_counts_from_when_none_was_done(job: Path) -> None:
    """The first that is said may come late: 50 of 200 after 10 seconds leave 30."""
    began = time.time() - 10
    progress.report(50, 200, "cases", began=began)
    files.write(job / files.JOB, {"kind": "test", "title": "t", "words": ["x"], "made": 0.0})
    files.write(job / files.STATE, {"state": "running", "place": 1})
    read = Job.read(job)
    assert read is not None and read.progress is not None
    assert read.progress.seconds_left == pytest.approx(30, abs=2)


def test_outside_a_job_nothing_is_written_and_nobody_asks_for_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(files.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    progress.report(1, 2, "cases")
    progress.ended(0)
    assert not progress.stop_requested() and list(tmp_path.iterdir()) == []


def test_a_command_that_tells_how_far_it_is_is_stopped_by_the_file_alone(job: Path, tmp_path: Path) -> None:
    """As where the interrupt that goes with it was lost."""
    (job / files.STOP).touch()
    command = [sys.executable, str(paths.PROJECT / "launch.py"), "--no-venv", "data", "phantoms", "--count", "64"]
    done = subprocess.run([*command, "--output", str(tmp_path / "made")], capture_output=True, text=True)
    assert done.returncode == Cancelled.exit_status and "Stopped." in done.stderr
    said = told(job)
    assert said is not None and said["done"] < said["total"]  # type: ignore[operator]


def test_a_folder_that_is_gone_does_not_end_the_command(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(files.VARIABLE, str(job / "removed"))
    progress.report(1, 2, "cases")
    progress.ended(0)
    assert not progress.stop_requested()


def test_only_the_command_itself_says_how_it_ended(job: Path) -> None:
    """This process was not started as a job: it is something that one has started, and its end is not the job's."""
    progress.ended(0)
    assert not (job / files.EXIT).exists()


def test_a_real_command_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "WORKER", (queue.sys.executable, "-m", "engine.jobs.worker"))
    output = tmp_path / "phantoms"
    words = ("data", "phantoms", "--output", str(output), "--count", "3", "--size", "64", "--workers", "1")
    job = ended(queue.add("phantoms", "3 cases", words, output))
    assert job.state is State.DONE, console.tail(job.folder / files.CONSOLE)
    assert job.progress is not None and (job.progress.done, job.progress.total) == (3, 3)
    assert job.progress.words == "cases" and "3 cases are in" in console.tail(job.folder / files.CONSOLE)
    assert job.result is not None and list(job.result.iterdir())
    wait(lambda: queue.worker_lock().take(wait=False))
    assert worker.DOOR.name == "launch.py"


def test_the_tail_shows_what_a_terminal_would(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(
        b"\x1b[32mgreen\x1b[0m\r\n 10%\r 50%\r100%\nM\xc3\xbcller <b>\x00\x07\n\xff\n\x1b]0;title\x07end\n\n"
    )
    assert console.tail(log) == "green\n100%\nMüller <b>\n�\nend"
    assert console.tail(log, lines=1) == "end"
    assert console.tail(tmp_path / "nothing") == ""


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert console.tail(log, lines=3) == "line 99997\nline 99998\nline 99999"
    assert console.tail(log, lines=10**6).startswith("line ")


@given(st.binary(max_size=300), st.integers(1, 5))
def test_whatever_was_printed_is_shown_as_few_plain_lines(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, n: int
) -> None:
    log = tmp_path_factory.getbasetemp() / "console.log"
    log.write_bytes(raw)
    shown = console.tail(log, lines=n)
    assert len(shown.split("\n")) <= n
    assert all(character in "\n\t" or character >= " " for character in shown) and "\x7f" not in shown

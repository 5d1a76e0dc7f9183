"""Jobs are begun in their order, one at a time, each exactly once, and end as their commands do."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from jobs_helpers import begun, ended, lines, wait, workers

from engine.errors import Conflict, NotFound, UsageError
from engine.jobs import files, queue
from engine.jobs.job import Job, State


def add(*words: str) -> Job:
    return queue.add("test", "a test", words)


def states() -> list[str]:
    return [job.state.value for job in queue.jobs()]


def test_the_queue_goes_on_in_its_order_and_the_order_can_be_changed(tmp_path: Path) -> None:
    order, gate = tmp_path / "order", tmp_path / "gate"
    first = add("note", str(order), "first", "until", str(gate))
    wait(lambda: lines(order) == ["first"])
    second, third, fourth = (add("note", str(order), word) for word in ("second", "third", "fourth"))
    assert [job.id for job in queue.jobs()] == [first.id, second.id, third.id, fourth.id]
    queue.move(fourth.id, -1)
    queue.move(second.id, 5)
    assert [job.id for job in queue.jobs()] == [first.id, fourth.id, third.id, second.id]
    assert lines(order) == ["first"] and states() == ["running", "queued", "queued", "queued"]
    with pytest.raises(Conflict, match="waits no longer"):
        queue.move(first.id, 1)
    gate.touch()
    for job in (first, second, third, fourth):
        assert ended(job).state is State.DONE
    assert lines(order) == ["first", "fourth", "third", "second"]
    assert [job.id for job in queue.jobs()] == [second.id, third.id, fourth.id, first.id]
    wait(lambda: not workers())


@pytest.mark.parametrize(
    ("status", "state"), [(0, State.DONE), (3, State.FAILED), (5, State.FAILED), (130, State.STOPPED)]
)
def test_the_exit_status_of_the_command_is_kept(status: int, state: State) -> None:
    job = ended(add("say", "these words", "status", str(status)))
    assert (job.state, job.exit_status) == (state, status)
    assert (job.folder / files.CONSOLE).read_text() == "these words\n"
    assert job.began is not None and job.ended is not None and job.made <= job.began <= job.ended


def test_a_command_that_does_not_exist_has_failed_and_says_why() -> None:
    job = ended(add("--no-such-option"))
    assert (job.state, job.exit_status) == (State.FAILED, 2)
    assert "--no-such-option" in (job.folder / files.CONSOLE).read_text()


def test_a_queued_job_that_is_stopped_is_never_begun(tmp_path: Path) -> None:
    order, gate = tmp_path / "order", tmp_path / "gate"
    first, second = add("until", str(gate)), add("note", str(order), "second")
    begun(first)
    assert queue.request_stop(second.id).state is State.STOPPED
    gate.touch()
    assert ended(first).state is State.DONE
    wait(lambda: not workers())
    assert lines(order) == [] and queue.find(second.id).began is None


def test_two_workers_and_many_who_add_begin_every_job_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    folder = str(files.root().parent)
    others = [subprocess.Popen(queue.WORKER, env={**os.environ, "INTERVAL_HOME": folder}) for _ in range(2)]
    added: list[Job] = []

    def add_three(who: int) -> None:
        for n in range(3):
            added.append(add("note", str(log), f"in {who} {n}", "note", str(log), f"out {who} {n}"))

    threads = [threading.Thread(target=add_three, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in added:
        assert ended(job).state is State.DONE
    for other in others:
        assert other.wait() == 0
    noted = lines(log)
    assert sorted(noted[::2]) == sorted(f"in {who} {n}" for who in range(2) for n in range(3))
    assert [line.replace("in", "out") for line in noted[::2]] == noted[1::2], "two jobs ran at once"
    assert len({job.place for job in added}) == 6


def test_what_has_ended_can_be_removed_and_its_result_stays(tmp_path: Path) -> None:
    gate, result = tmp_path / "gate", tmp_path / "result"
    result.mkdir()
    job = queue.add("test", "a test", ("until", str(gate)), result)
    assert begun(job).result == result
    with pytest.raises(Conflict, match="Stop it first"):
        queue.remove(job.id)
    gate.touch()
    ended(job)
    queue.remove(job.id)
    assert not job.folder.exists() and result.is_dir() and queue.jobs() == ()
    with pytest.raises(NotFound):
        queue.find(job.id)


@pytest.mark.parametrize("name", ["", ".", "..", "../jobs", "a/b", "nothing"])
def test_only_the_id_of_a_job_finds_one(name: str, home: Path) -> None:
    (home / "jobs").mkdir(parents=True)
    (home / files.JOB).write_text("{}")
    for act in (queue.find, queue.request_stop, queue.kill, queue.remove):
        with pytest.raises(NotFound):
            act(name)


@pytest.mark.parametrize("words", [(), ("a\0b",)])
def test_words_that_no_command_line_holds_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        queue.add("test", "a test", words)
    assert queue.jobs() == ()


def test_names_that_are_no_text_reach_the_command(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(str(tmp_path)) + b"/M\xfcller und 10 %")
    assert ended(add("note", name, "arrived")).state is State.DONE
    assert lines(Path(name)) == ["arrived"]


def test_a_full_disk_leaves_no_half_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write

    def full(path: Path, content: dict[str, object], *, durable: bool = True) -> None:
        if path.name == files.JOB:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content, durable=durable)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space"):
        add("status", "0")
    assert [entry for entry in files.root().iterdir() if entry.is_dir()] == []


@pytest.mark.parametrize("damage", ["", "[1]", '{"state": "flying", "place": 1}', '{"state": "done"}', "{" * 5000])
def test_a_damaged_folder_is_no_job_and_disturbs_none(damage: str) -> None:
    broken = files.root() / "20200101-000000-abcdef"
    broken.mkdir(parents=True)
    files.write(broken / files.JOB, {"kind": "test", "title": "t", "words": ["x"], "made": 0})
    (broken / files.STATE).write_text(damage)
    job = ended(add("status", "0"))
    assert [other.id for other in queue.jobs()] == [job.id]


def test_what_is_written_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    files.write(file, {"n": 0, "pad": "x" * 5000})
    seen, done = set(), threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(json.loads(file.read_text())["n"])

    watcher = threading.Thread(target=look)
    watcher.start()
    for n in range(300):
        files.write(file, {"n": n, "pad": "x" * 5000}, durable=False)
    done.set()
    watcher.join()
    assert seen <= set(range(300))
    with pytest.raises(ValueError):
        files.write(file, {"n": float("nan")})
    assert json.loads(file.read_text())["n"] == 299 and list(tmp_path.iterdir()) == [file]

"""Jobs, the loop and the machine in words."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import paths
from engine.errors import DatasetError, ModelError, NotFound, UsageError
from engine.jobs.job import Job
from trainer_ui import addresses, errors
from trainer_ui.components.words import literal
from trainer_ui.services import jobs, loop, machine

MakeJob = Callable[..., Job]


def test_a_running_job_says_how_far_it_is_and_how_long_it_takes(make_job: MakeJob) -> None:
    now = time.time()
    told = {"done": 1000, "total": 4000, "words": "cases", "first": 0, "began": now - 100, "updated": now}
    make_job("running", progress=told)
    view = jobs.overview().jobs[0]
    assert (view.state, view.share, view.active) == ("running", 0.25, True)
    assert view.progress == "1,000 of 4,000 cases, about 5 min left" and view.when.startswith("since ")


def test_the_queue_is_told_by_number(make_job: MakeJob) -> None:
    for state in ("running", "queued", "queued", "queued"):
        make_job(state)
    seen = jobs.overview()
    assert [job.when for job in seen.jobs[1:]] == ["next", "number 2 in the queue", "number 3 in the queue"]
    assert [(job.first, job.last) for job in seen.jobs[1:]] == [(True, False), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("state", "status", "shown", "why"),
    [
        ("done", 0, "done", ""),
        ("failed", 3, "failed", "Its last lines say which"),
        ("stopped", 130, "stopped", "It was stopped"),
        ("crashed", -9, "ended from outside", "by signal 9"),
        ("crashed", None, "ended from outside", "from outside, for instance because the memory"),
    ],
)
def test_an_end_is_told_with_the_way_on(
    make_job: MakeJob, state: str, status: int | None, shown: str, why: str
) -> None:
    job = make_job(state, exit_status=status, console="first\nlast words\n", result=paths.home() / "r")
    view = jobs.overview().jobs[0]
    assert (view.state, view.share, view.progress, view.active) == (shown, None, "", False)
    assert view.when.endswith(", after 50 s")
    details = jobs.details(job.id)
    assert why in details.why and details.tail == "first\nlast words"
    assert details.command == "python launch.py data phantoms" and details.result == str(paths.home() / "r")


def test_a_page_shows_its_own_jobs_and_the_first_page_all(make_job: MakeJob) -> None:
    for kind in ("phantoms", "train", "merge", "something new"):
        make_job("queued", kind)
    assert len(jobs.overview().jobs) == 4 and jobs.overview().elsewhere == 0
    for page in (addresses.DATA, addresses.TRAIN, addresses.EXPORT):
        seen = jobs.overview(page)
        assert (len(seen.jobs), seen.elsewhere, seen.active) == (1, 3, True)
    assert jobs.overview(addresses.EVALUATE).jobs == ()


def test_old_jobs_are_shown_on_request(make_job: MakeJob) -> None:
    for _ in range(jobs.LATELY + 1):
        make_job("done")
    assert (len(jobs.overview().jobs), jobs.overview().more) == (jobs.LATELY, 1)
    assert (len(jobs.overview(everything=True).jobs), jobs.overview(everything=True).more) == (jobs.LATELY + 1, 0)
    assert not jobs.overview().active


def test_a_job_that_was_removed_is_said_to_be_gone() -> None:
    with pytest.raises(NotFound, match="no such job"):
        jobs.details("20200101-000000-abcdef")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (89, "89 s"),
        (100, "2 min"),
        (5000, "83 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (250_000, "3 days"),
    ],
)
def test_spans_of_time_are_told_as_one_would_say_them(seconds: float, words: str) -> None:
    assert jobs.duration(seconds) == words


def test_the_loop_begins_with_data_and_says_where_one_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "models", lambda: home / "models")
    assert [(step.page, step.begun) for step in loop.steps()] == [
        (addresses.DATA, False),
        (addresses.TRAIN, False),
        (addresses.EVALUATE, False),
        (addresses.EXPORT, False),
    ]
    assert loop.steps()[1].then == "Needs a data set first"
    files = {
        "data/a/train.json": [{"conversations": []}],
        "runs/one/state.json": {"state": "done"},
        "runs/two/state.json": {"state": "running"},
        "runs/three/other.json": {},
        "evaluations/first/evaluation.json": {},
        "models/good/interval.json": {"promoted": {"by": "somebody"}},
        "models/plain/interval.json": {"name": "plain"},
    }
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(content))
    assert [step.there for step in loop.steps()] == [
        "1 data set, 1 sample",
        "2 runs, 1 finished",
        "1 evaluation",
        "1 model promoted",
    ]
    assert loop.promoted() == ("good",)


def test_the_machine_is_told_with_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint('NVIDIA RTX 4080, SUPER, 16376, 15000\\nNVIDIA T4, 15360, 100')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = {part.name: part for part in machine.parts()}
    assert words["GPU"].words == "NVIDIA RTX 4080, SUPER, 16 of 17 GB free; NVIDIA T4, 0 of 16 GB free"
    assert not words["GPU"].little and "cores" in words["Processor"].words
    assert "GB free" in words["Memory"].words and "data folder" in words["Disk"].words


@pytest.mark.parametrize("program", [None, "import sys; sys.exit(9)", "print('no devices were found')"])
def test_a_machine_without_a_gpu_is_told_what_that_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    if program is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!{sys.executable}\n{program}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none found" in {part.name: part.words for part in machine.parts()}["GPU"]


def test_an_error_is_told_in_its_own_words_and_a_fault_by_a_number() -> None:
    assert errors.sentence(UsageError("Do it so.")) == "Do it so."
    assert (
        errors.sentence(ModelError("Not usable.", ("no weights", "no tokenizer")))
        == "Not usable. no weights no tokenizer"
    )
    assert errors.sentence(DatasetError("Rows are wrong.", ((3, "no image"),))) == "Rows are wrong. Row 3: no image."
    assert errors.sentence(OSError(28, "No space left")) == "The disk is full. Free some space and try again."
    told = errors.sentence(ValueError("PHANTOM^TESTPERSON"))
    assert "TESTPERSON" not in told and "fault" in told


@pytest.mark.parametrize(
    "text", ["**bold**", "<b>", "![x](http://evil.example/x.png)", "$x$", ":red[x]", "# head", "a\n\nb"]
)
def test_text_from_elsewhere_is_no_markdown(text: str) -> None:
    shown = literal(text)
    assert "\n" not in shown
    for sign in "*<![($:#":
        assert all(shown[n - 1] == "\\" for n, character in enumerate(shown) if character == sign)

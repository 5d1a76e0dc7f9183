"""Two processes, one evaluation: each its share, put together by ids, whatever dies in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from echo import Echo, model_folder, question_file
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.libra import Question, read_answers, read_questions
from engine.drafting import Decoding
from engine.errors import UsageError
from engine.evaluation import sharding
from engine.evaluation.contenders import contenders
from engine.evaluation.folder import Asked, Folder
from engine.evaluation.running import Way, run
from engine.evaluation.sharding import Shard

COUNT = 31


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts ``evaluate`` as one of the processes that torchrun would start."""
    file = question_file(tmp_path / "data", COUNT)
    model = model_folder(tmp_path / "model")

    def start(rank: int, world: int, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("echo.py")), str(tmp_path), "evaluate"]
        command += ["--model", str(model), "--questions", str(file), "--output", str(tmp_path / "out"), *options]
        project = Path(__file__).resolve().parents[2]
        environment = os.environ | {"RANK": str(rank), "WORLD_SIZE": str(world), "PYTHONPATH": str(project)}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    return start


def test_two_processes_and_one_that_was_killed(tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    answers = tmp_path / "out" / "answers"
    (tmp_path / "hold-1").touch()
    first, second = start(0, 2), start(1, 2)
    part = answers / "model.part-1-of-2.jsonl"
    end = time.monotonic() + 60
    while (not part.exists() or part.read_bytes().count(b"\n") < 3) and time.monotonic() < end:
        time.sleep(0.01)
    second.kill()
    assert second.wait() != 0
    assert first.wait() == 0
    assert not (answers / "model.jsonl").exists()
    kept = part.read_text()
    questions = read_questions(tmp_path / "data" / "questions.jsonl")
    again = contenders([str(tmp_path / "model")])
    way = Way(Decoding(), resume=True)
    (one,) = run(Folder.find(tmp_path / "out"), again, questions, lambda _: Echo("model"), way, shard=Shard(1, 2))
    assert one.whole and one.outcome is not None and one.outcome.kept >= 3
    assert [file.name for file in sorted(answers.glob("*.json*"))] == ["model.jsonl"]
    lines = (answers / "model.jsonl").read_text().splitlines(keepends=True)
    assert [json.loads(line)["question_id"] for line in lines] == [f"q{number}" for number in range(COUNT)]
    assert set(kept.splitlines(keepends=True)[:3]) <= set(lines)
    (entry,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["contenders"]
    assert entry["sha256"] == "model" * 4


@given(st.integers(0, 40), st.integers(1, 7))
def test_every_question_is_somebodys(count: int, world: int) -> None:
    questions = [Question(str(number), (), "") for number in range(count)]
    shares = [Shard(rank, world).mine(questions) for rank in range(world)]
    assert sorted(int(question.id) for share in shares for question in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_other_numbers_of_processes_go_on_with_what_there_is(tmp_path: Path) -> None:
    file = question_file(tmp_path / "data", 10)
    questions = read_questions(file)
    folder = Folder.create(tmp_path / "out", Asked(file, None, "true", None, {}))
    found = contenders([str(model_folder(tmp_path / "model"))])

    def answered(shard: Shard, resume: bool = True) -> tuple[int, bool]:
        (one,) = run(
            folder, found, questions, lambda _: Echo("model"), Way(Decoding(), resume=resume), shard=shard
        )  # fmt: skip
        assert one.outcome is not None
        return one.outcome.written, one.whole

    assert answered(Shard(0, 3), resume=False) == (4, False)  # 0 3 6 9
    assert answered(Shard(1, 2)) == (3, False)  # 1 3 5 7 9 without 3 and 9
    assert answered(Shard(0, 1)) == (3, True)
    answers = folder.answers("model")
    assert list(read_answers(answers)) == [f"q{number}" for number in range(10)]
    assert sharding.parts(answers) == [answers]
    assert answered(Shard(1, 2)) == (0, True)


def test_what_every_process_left_out_is_known_and_tried_again(tmp_path: Path) -> None:
    file = question_file(tmp_path / "data", 4)
    good = (tmp_path / "data" / "a.png").read_bytes()
    (tmp_path / "data" / "a.png").write_bytes(b"no picture")
    questions = read_questions(file)
    folder = Folder.create(tmp_path / "out", Asked(file, None, "true", None, {}))
    found = contenders([str(model_folder(tmp_path / "model"))])

    def whole(rank: int) -> bool:
        way = Way(Decoding(), resume=True)
        return run(folder, found, questions, lambda _: Echo("model"), way, shard=Shard(rank, 2))[0].whole

    assert [whole(0), whole(1)] == [False, True]
    assert set(sharding.failed(folder.answers("model"))) == {"q0", "q1", "q2", "q3"}
    (tmp_path / "data" / "a.png").write_bytes(good)
    assert [whole(0), whole(1)] == [True, True]
    assert len(read_answers(folder.answers("model"))) == 4
    assert not sharding.failed(folder.answers("model"))


def test_a_rank_outside_its_world(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sharding.from_environment() == Shard(0, 1, 0)
    for rank, world in (("2", "2"), ("-1", "2"), ("x", "2"), ("0", "0")):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", world)
        with pytest.raises(UsageError):
            sharding.from_environment()


def test_lines_of_any_text_are_put_together_whole(tmp_path: Path) -> None:
    answers = tmp_path / "a [x].jsonl"
    rows = [{"question_id": f"q{n}", "text": "one\u2028two\x85three\nfour"} for n in range(3)]
    text = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    Shard(0, 2).file(answers).write_text(text[2] + text[0] + '{"question_id": "cut', encoding="utf-8")
    Shard(1, 2).file(answers).write_text("damaged\n" + text[1] + text[0], encoding="utf-8")
    sharding.merge(answers, ["q0", "q1", "q2"])
    assert answers.read_text(encoding="utf-8") == "".join(text)
    assert sharding.parts(answers) == [answers]

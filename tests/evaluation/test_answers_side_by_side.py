"""Answers written side by side by a real engine: those of one by one, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from engine import Decoding, Engine
from engine.cli import main
from engine.datasets.libra import Question, read_answers, read_questions
from engine.evaluation.answering import answer

COUNT = 24


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny checkpoint; not to be changed."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models" / "golden"))
    from tiny_checkpoint import build

    return Path(build(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of questions of different lengths about images of different sizes, every third without a prior."""
    folder = tmp_path_factory.mktemp("asked")
    stream = np.random.RandomState(3)
    rows: list[dict[str, Any]] = []
    for number in range(COUNT):
        names = [f"{number}.png", f"{number}-prior.png"]
        for name in names:
            coarse = Picture.fromarray(stream.randint(0, 256, (9, 7)).astype(np.uint8))
            coarse.resize((60 + number, 90), Picture.Resampling.BICUBIC).save(folder / name)
        text = "Describe." + f" Following clinical context: {'Cough. ' * (number % 5)}" * (number % 5 > 0)
        rows.append({"question_id": f"q{number}", "image": names if number % 3 else names[0], "text": text})
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def questions(asked: Path) -> list[Question]:
    return list(read_questions(asked, asked.parent))


@pytest.fixture(scope="module")
def expected(tiny: Path, questions: list[Question], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The answers of one by one."""
    output = tmp_path_factory.mktemp("alone") / "answers.jsonl"
    engine = Engine.load(tiny, dtype="float32", device="cpu")
    answer(engine, questions, output, decoding=Decoding(max_new_tokens=60), batch_size=1)
    assert list(read_answers(output)) == [question.id for question in questions]
    return texts(output)


def texts(output: Path) -> dict[str, str]:
    return {name: found.text for name, found in read_answers(output).items()}


def evaluate(tiny: Path, asked: Path, output: Path, *options: str) -> list[str]:
    return [
        "evaluate", "--model", str(tiny), "--questions", str(asked), "--images", str(asked.parent), "--output",
        str(output), "--max-new-tokens", "60", "--device", "cpu", "--dtype", "float32", "--threads", "1", *options,
    ]  # fmt: skip


def test_the_command_writes_the_same_answers(
    tiny: Path, asked: Path, expected: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "answers.jsonl"
    assert main(evaluate(tiny, asked, output, "--json", "--batch-size", "5")) == 0
    assert json.loads(capsys.readouterr().out)["written"] == COUNT
    assert texts(output) == expected
    assert len(set(expected.values())) > COUNT / 2
    together = [found.metadata["together"] for found in read_answers(output).values()]
    assert max(together) == 5
    assert sum(found.metadata["seconds"] for found in read_answers(output).values()) > 0


def test_an_unreadable_image_is_left_out_and_named(
    tiny: Path, questions: list[Question], expected: dict[str, str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    mixed = [*questions[:3], Question("bad", (bad,), "Describe."), *questions[3:6]]
    engine = Engine.load(tiny, dtype="float32", device="cpu")
    outcome = answer(engine, mixed, tmp_path / "a.jsonl", decoding=Decoding(max_new_tokens=60))
    assert outcome.written == 6
    assert [name for name, reason in outcome.failed if "bad.png" in reason] == ["bad"]
    assert texts(tmp_path / "a.jsonl") == {question.id: expected[question.id] for question in questions[:6]}


def test_a_run_that_was_killed_goes_on(tiny: Path, asked: Path, expected: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    start = "import sys; from engine.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, *evaluate(tiny, asked, output, "--batch-size", "2")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while (not output.exists() or output.read_bytes().count(b"\n") < 4) and time.monotonic() < end:
            time.sleep(0.002)
        process.kill()
    before = output.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 4 <= whole.count(b"\n") < COUNT
    assert main(evaluate(tiny, asked, output, "--resume")) == 0
    assert output.read_bytes().startswith(whole)
    assert output.read_bytes().count(b"\n") == COUNT
    assert texts(output) == expected


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_batch_size_that_is_none(
    tiny: Path, asked: Path, tmp_path: Path, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(evaluate(tiny, asked, tmp_path / "answers.jsonl", "--batch-size", size)) == 2
    assert "--batch-size" in capsys.readouterr().err

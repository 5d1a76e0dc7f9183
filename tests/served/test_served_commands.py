"""``draft``, ``chat`` and ``evaluate`` with a model behind an address; what an evaluation of one keeps and refuses."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from chat_server import Body, Server, parts
from PIL import Image

from engine import cli
from engine.datasets.libra import read_answers
from engine.drafting.engine import Engine

TEXT = "The heart is normal. No effusion."
COUNT = 6


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Questions about small pictures, two of them with a prior."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a", "b"):
        Image.radial_gradient("L").resize((40, 50)).save(folder / f"{name}.png")
    rows = [
        {
            "question_id": f"q{number}",
            "image": ["a.png", "b.png"] if number < 2 else "a.png",
            "text": f"<image>\nWhat is number {number}? Following clinical context: Cough.",
            "reference": "No effusion." if number % 2 else "Left pleural effusion.",
            "patient": f"p{number // 2}",
        }
        for number in range(COUNT)
    ]
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def numbered(body: Body) -> list[str]:
    """An answer that says which question it is to."""
    words = str(parts(body)[-1]["text"]).split()
    return ["No ", "effusion, ", next(word for word in words if word.endswith("?"))]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = cli.main(words)
    out, err = capsys.readouterr()
    return status, out, err


def evaluation(server: Server, data: Path, output: Path, *more: str) -> list[str]:
    return ["evaluate", "--questions", str(data), "--output", str(output), *more]


# -- draft and chat ---------------------------------------------------------------------------------------------------


def test_draft_streams_and_says_where_images_go(
    server: Server, films: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["draft", "--model", server.url, "--current", str(films[0]), "--prior", str(films[1])]
    status, out, err = run(words, capsys)
    assert (status, out.strip()) == (0, TEXT)
    assert "are sent to the program that listens at" in err and "Which weights it has is not known here" in err
    status, out, _ = run([*words, "--json"], capsys)
    said = json.loads(out)
    assert (said["text"], said["model"]["served"], said["model"]["sha256"]) == (TEXT, server.url, "")
    assert said["timings"]["tokens"] == 10


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        (["--num-beams", "4"], 2, "beams"),
        (["--adapter", "x"], 2, "--adapter"),
        (["--served-as", "other"], 4, "has no model 'other'"),
        (["--model", "http://10.0.0.1:8000"], 2, "--allow-remote"),
        (["--model", "http://127.0.0.1:1"], 4, "No server answers at 127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_has_its_status(
    server: Server,
    films: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    status: int,
    words: str,
) -> None:
    found, out, err = run(["draft", "--model", server.url, "--current", str(films[0]), *more], capsys)
    assert (found, out) == (status, "") and words in err


def test_chat_sends_the_turns_before(
    server: Server, films: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Is it large?\n/findings\n/quit\n"))
    status, out, _ = run(["chat", "--model", server.url, "--current", str(films[0])], capsys)
    assert status == 0 and out.splitlines() == [TEXT, TEXT]
    first, second = server.bodies
    assert len(first["messages"]) == 2 and len(second["messages"]) == 4
    assert second["messages"][2] == {"role": "assistant", "content": TEXT}
    assert parts(second)[1]["text"] == "Is it large?"


# -- evaluate ---------------------------------------------------------------------------------------------------------


def test_many_questions_are_answered_scored_and_gone_on_with(
    server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = numbered
    output = tmp_path / "out"
    words = evaluation(server, data, output, "--model", f"{server.url}#tiny-vl")
    # The server dies in the middle; nothing that was said is lost.
    server.answers = lambda body, number: (500, {}) if number > 4 else None
    status, _, err = run([*words, "--batch-size", "1"], capsys)
    assert status == 4 and "failed (status 500)" in err
    answers = output / "answers" / "tiny-vl.jsonl"
    assert len(read_answers(answers)) == 4
    server.answers = lambda body, number: None
    before = len(server.bodies)
    status, out, err = run([*words, "--resume", "--score", "--json"], capsys)
    assert status == 0 and len(server.bodies) == before + 2
    found = read_answers(answers)
    assert {key: one.text for key, one in found.items()} == {f"q{n}": f"No effusion, {n}?" for n in range(COUNT)}
    metadata = found["q0"].metadata
    assert (metadata["model_sha256"], metadata["served"]) == ("", f"{server.url}#tiny-vl")
    assert metadata["tokens"] == 6 and metadata["seconds"] > 0 and metadata["has_prior"]
    (contender,) = json.loads((output / "evaluation.json").read_text())["contenders"]
    assert (contender["model"], contender["served"], contender["family"]) == (
        f"{server.url}#tiny-vl", f"{server.url}#tiny-vl", "served",
    )  # fmt: skip
    report = (output / "report.html").read_text()
    assert f"served by {server.url}, weights not known to this program" in report
    assert json.loads(out.splitlines()[0])["contenders"][0]["whole"]
    # All is there: the server is not asked again.
    before = len(server.paths)
    assert run([*words, "--resume"], capsys)[0] == 0 and len(server.paths) == before


def test_answers_of_another_model_are_not_mixed_in(
    server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Path
) -> None:
    server.says = numbered
    output = tmp_path / "out"
    words = evaluation(server, data, output, "--model", f"mine={server.url}")
    server.answers = lambda body, number: (500, {}) if number > 2 else None
    run([*words, "--batch-size", "1"], capsys)
    server.answers = lambda body, number: None
    # The address is the same, and another model is served there now.
    server.models = [{"id": "another"}]
    status, _, err = run([*words, "--resume"], capsys)
    assert status == 2 and "holds answers of another model" in err
    # The name is taken by the served model.
    again = evaluation(server, data, output, "--model", f"mine={tiny}", "--resume")
    status, _, err = run(again, capsys)
    assert status == 2 and "another model or wording is called 'mine'" in err
    # One file for one model: a folder's answers and a server's do not share it.
    file = tmp_path / "answers.jsonl"
    server.models = [{"id": "tiny-vl"}]
    first = evaluation(server, data, file, "--model", server.url, "--limit", "2")
    assert run(first, capsys)[0] == 0
    more = evaluation(server, data, file, "--model", str(tiny), "--limit", "3", "--resume", "--dtype", "float32")
    status, _, err = run(more, capsys)
    assert status == 2 and "holds answers of another model" in err


def test_a_served_model_beside_one_of_this_machine(
    server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says = numbered
    loaded: list[Any] = []
    known = Engine.load

    def load(path: Path, **options: Any) -> Engine:
        loaded.append(path)
        return known(path, **options)

    monkeypatch.setattr(Engine, "load", load)
    folder = Path(__file__).resolve().parent.parent.parent / "models" / "demo-tac"
    if not (folder / "config.json").is_file():
        pytest.skip("there is no demonstration model")
    words = evaluation(
        server, data, tmp_path / "out", "--model", str(folder), "--model", server.url, "--served-as", "tiny-vl",
        "--image-max-pixels", "1000", "--limit", "2", "--max-new-tokens", "4", "--no-base",
    )  # fmt: skip
    status, _, err = run(words, capsys)
    assert status == 0, err
    assert loaded == [folder]
    assert {file.stem for file in (tmp_path / "out" / "answers").glob("*.jsonl")} == {"demo-tac", "tiny-vl"}


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        (["http://10.0.0.1:8000/v1"], [], "--allow-remote"),
        (["http://127.0.0.1:9/v1"], ["--base", "x"], "machine"),
        (["http://127.0.0.1:9/v1#a"], ["--served-as", "b"], "named twice"),
        (["no good=http://127.0.0.1:9/v1"], [], "cannot be a name"),
        (["http://127.0.0.1:9/v1?x=1"], [], "no name, password or query"),
        (["http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"], [], "Two models would be called"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_written(
    server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], models: list[str], more: list[str],
    words: str,
) -> None:  # fmt: skip
    named = [word for model in models for word in ("--model", model)]
    status, _, err = run(evaluation(server, data, tmp_path / "out", *named, *more), capsys)
    assert status == 2 and words in err and not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of this machine."""
    from tiny_checkpoint import build

    return Path(build(tmp_path_factory.mktemp("tiny")))

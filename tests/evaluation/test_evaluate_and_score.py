"""``evaluate --score``: answers and scores in one command, and never scores of answers that are still to come."""

from __future__ import annotations

import json
from pathlib import Path

import echo
import pytest
from echo import model_folder, question_file


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    model = model_folder(tmp_path / "models" / "one")
    file = question_file(tmp_path / "data")
    return ["evaluate", "--questions", str(file), "--output", str(tmp_path / "out"), "--model", str(model)]


def test_answers_are_scored_when_all_are_there(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert echo.main(tmp_path, [*command, "--score", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["contenders"][0]["whole"] and "report.html" in err and "launch.py score" not in err
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["models"]["one"]["studies"] == 4
    assert scores["positives"] == {"Pleural Effusion": 2, "No Finding": 2}
    assert (tmp_path / "out" / "report.pdf").is_file()


def test_a_share_of_the_questions_is_not_scored(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("1", "0"):
        assert not (tmp_path / "out" / "scores.json").exists()
        monkeypatch.setenv("RANK", rank)
        assert echo.main(tmp_path, [*command, "--score"]) == 0
    assert (tmp_path / "out" / "scores.json").is_file()  # by whoever came last


def test_options_of_scoring_need_scoring(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert echo.main(tmp_path, [*command, "--bertscore", str(tmp_path)]) == 2
    assert "--bertscore" in capsys.readouterr().err
    command[command.index("--output") + 1] = str(tmp_path / "answers.jsonl")
    assert echo.main(tmp_path, [*command, "--score"]) == 2
    assert "--output DIR" in capsys.readouterr().err
    assert not (tmp_path / "answers.jsonl").exists()

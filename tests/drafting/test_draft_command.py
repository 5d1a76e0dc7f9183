"""`draft` and `models` as commands: exit status, what goes where, and Libra's golden answers in one JSON object."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main

NAME = "libra-v1.0-7b-tiny"


def arguments(model: Path, current: Path, *more: object) -> list[str]:
    return ["draft", "--model", str(model), "--current", str(current), *map(str, more)]


def test_json_is_all_of_standard_output(
    tiny: Path, pictures: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tiny, pictures[0], "--prior", pictures[1], "--max-new-tokens", 5, "--json")) == 0
    captured = capsys.readouterr()
    draft = json.loads(captured.out)
    assert len(draft["token_ids"]) == 5
    assert [image["role"] for image in draft["images"]] == ["current", "prior"]
    assert "Demonstration model" in captured.err


def test_words(tiny: Path, pictures: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(tiny, pictures[0], "--max-new-tokens", 8)) == 0
    streamed = capsys.readouterr()
    assert "No prior" in streamed.err
    assert "cut off" in streamed.err
    assert main(arguments(tiny, pictures[0], "--max-new-tokens", 8, "--json")) == 0
    assert streamed.out.strip() == json.loads(capsys.readouterr().out)["text"]
    options = ("--num-beams", 3, "--num-return-sequences", 2, "--max-new-tokens", 8)
    assert main(arguments(tiny, pictures[0], *options)) == 0
    assert capsys.readouterr().out.count("\n\n") >= 1


def test_stop_texts_and_hints(
    tiny: Path, pictures: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--max-new-tokens", 24, "--json")
    assert main(arguments(tiny, pictures[0], *options)) == 0
    plain = json.loads(capsys.readouterr().out)
    report = tmp_path / "earlier.txt"
    report.write_text(plain["text"], encoding="utf-8")
    assert main(arguments(tiny, pictures[0], *options, "--hints", report)) == 0
    hinted = json.loads(capsys.readouterr().out)
    assert hinted["token_ids"] == plain["token_ids"]
    assert hinted["timings"]["passes"] <= plain["timings"]["passes"]
    middle = plain["text"][len(plain["text"]) // 2 :][:3]
    assert main(arguments(tiny, pictures[0], *options, "--stop", middle)) == 0
    stopped = json.loads(capsys.readouterr().out)
    assert stopped["text"] == plain["text"].split(middle)[0].strip()
    assert stopped["finished"] == "stop"
    assert main(arguments(tiny, pictures[0], "--hints", pictures[0])) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("--num-beams", "0"), 2),
        (("--section", "technique"), 2),
        (("--prompt", "a", "--section", "impression"), 2),
        (("--conversation", "none"), 2),
        (("--quantization", "q4_k_m"), 2),
        (("--adapter", "nowhere"), 4),
        (("--prior", "no-such-file.png"), 3),
        (("--tower", "nowhere"), 4),
    ],
)
def test_exit_status(tiny: Path, pictures: tuple[Path, Path], more: tuple[str, ...], status: int) -> None:
    assert main(arguments(tiny, pictures[0], *more)) == status


def test_a_damaged_model(
    tiny: Path, pictures: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "tokenizer.json").unlink()
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    assert main(arguments(folder, pictures[0], "--json")) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cut off" in captured.err
    assert "tokenizer" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("case", ["pair", "single", "swapped"])
def test_libras_golden_answers(case: str, libra: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    expected = np.load(libra / "golden" / f"{NAME}.{case}.npz")
    manifest = json.loads((libra / "golden" / "manifest.json").read_text())["checkpoints"][NAME]
    files = [shared / image for image in manifest["cases"][case]["images"]]
    options: list[object] = [
        "--context",
        "History: chest pain.",
        "--dtype",
        "float32",
        "--max-new-tokens",
        32,
        "--json",
    ]
    if len(files) == 2:
        options += ["--prior", files[1]]

    def draft(*more: object) -> Any:
        assert main(arguments(libra / "ckpts" / NAME, files[0], *options, *more)) == 0
        return json.loads(capsys.readouterr().out)

    greedy = draft()
    assert greedy["prompt_token_ids"] == expected["prompt_ids"].tolist()
    assert greedy["token_ids"] == expected["greedy_ids"].tolist()
    best = draft("--num-beams", 3, "--length-penalty", 2)
    assert best["token_ids"] == expected["beam3_ids"].tolist()
    three = draft("--num-beams", 3, "--length-penalty", 2, "--num-return-sequences", 3)
    assert [s["token_ids"] for s in three["sequences"]] == expected["beam3x3_ids"].tolist()
    np.testing.assert_allclose([s["score"] for s in three["sequences"]], expected["beam3x3_scores"], atol=1e-5)
    # The same query as a prompt of one's own gives the same ids.
    options[:2] = ["--prompt", manifest["query"]]
    assert draft()["token_ids"] == greedy["token_ids"]


class TestModels:
    def test_inspect(self, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "inspect", str(tiny), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["usable"], found["family"], found["demonstration"]) == (True, "libra-tac", True)
        assert (found["image_size"], found["hidden_size"], found["layers"]) == ([56, 56], 32, 2)
        assert main(["models", "inspect", str(tiny)]) == 0
        assert "Tiny (demonstration)" in capsys.readouterr().out

    def test_inspect_what_cannot_be_used(self, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = tmp_path / "model"
        shutil.copytree(tiny, folder)
        assert main(["models", "inspect", str(folder), "--json"]) == 4  # its tower is not beside it any more
        found = json.loads(capsys.readouterr().out)
        assert not found["usable"]
        assert any("tower" in problem for problem in found["problems"])
        assert main(["models", "inspect", str(tmp_path / "none")]) == 4

    def test_list(
        self, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from engine import paths

        shutil.copytree(tiny.parent, tmp_path / "models")
        (tmp_path / "models" / "notes").mkdir()
        monkeypatch.setattr(paths, "models", lambda: tmp_path / "models")
        assert main(["models", "list", "--json"]) == 0
        assert [model["name"] for model in json.loads(capsys.readouterr().out)["models"]] == ["Tiny"]
        assert main(["models", "list"]) == 0
        assert "ready" in capsys.readouterr().out
        monkeypatch.setattr(paths, "models", lambda: tmp_path / "none")
        assert main(["models", "list"]) == 0

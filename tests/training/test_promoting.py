"""From an adapter to the viewer and back: by the commands, with a certificate and an evaluation beside the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from adaptation_runs import PROJECT, lora_recipe, make_phantoms, write_recipe

from engine import paths
from engine.cli import main
from engine.models.survey import survey
from engine.training.exporting import promoted
from engine.training.run import run


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("adapter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(place / "home"))
        document = lora_recipe(make_phantoms(place / "phantoms", 6, 3), validation=None, stage={"epochs": 1})
        return run(write_recipe(place, document), place / "run")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed models of this test's own, with the demonstration model in it."""
    folder = tmp_path / "models"
    shutil.copytree(PROJECT / "models" / "demo-tac", folder / "demo-tac")
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


def test_merge_promote_and_take_back(
    adapter: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = tmp_path / "merged"
    assert main(["merge", "--adapter", str(adapter), "--output", str(merged), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certificate"]["passed"] and told["certificate"]["cases"] == 20
    card = (merged / "README.md").read_text()
    assert "The merged model is base and adapter" in card and "demo-tac" in card

    scores = tmp_path / "evaluation"
    scores.mkdir()
    (scores / "scores.json").write_text(json.dumps({"models": {"merged": {"ROUGE-L": 61.5}}}))
    words = ["promote", str(merged), "--name", "site-b", "--evaluation", str(scores), "--json"]
    assert main(words) == 0
    folder = Path(json.loads(capsys.readouterr().out)["model"])
    assert folder == models / "site-b"
    assert json.loads((folder / "evaluation.json").read_text())["models"]["merged"]["ROUGE-L"] == 61.5
    assert json.loads((folder / "certificate.json").read_text())["passed"]
    found = survey(folder)
    assert not found.problems and found.model is not None and found.model.name == "site-b"
    assert [one.name for one, _ in promoted()] == ["site-b"]

    assert main(words) == 2, "a name is never overwritten"
    assert main(["promote", "--undo", "demo-tac"]) == 2, "what was not promoted is not taken back"
    assert main(["promote", "--undo", "site-b"]) == 0
    assert not folder.exists() and (merged / "model.safetensors").is_file()
    assert promoted() == []


def test_an_adapter_is_promoted_over_its_base(adapter: Path, models: Path) -> None:
    assert main(["promote", str(adapter), "--name", "site-b"]) == 0
    found = survey(models / "site-b")
    assert not found.problems and found.model is not None and found.model.adapter is not None
    assert main(["promote", "--undo", "site-b"]) == 0


def test_a_model_whose_certificate_says_no_is_not_promoted(
    adapter: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = tmp_path / "merged"
    shutil.copytree(models / "demo-tac", merged)
    (merged / "certificate.json").write_text(json.dumps({"passed": False, "words": "The merged model is NOT it."}))
    assert main(["promote", str(merged), "--name", "other"]) == 4
    assert "NOT it" in capsys.readouterr().err
    assert not (models / "other").exists()

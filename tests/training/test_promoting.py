"""From an adapter to the viewer and back: by the commands, with a certificate and an evaluation beside the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from adaptation_runs import PROJECT, lora_recipe, make_phantoms, write_recipe
from scored_evaluations import write_scores

from engine import Engine, paths
from engine.cli import main
from engine.errors import UsageError
from engine.models import promotion
from engine.models.identity import fingerprint
from engine.models.recognition import examine
from engine.models.survey import survey
from engine.training.exporting import promote, promoted
from engine.training.run import run


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("adapter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(place / "home"))
        document = lora_recipe(make_phantoms(place / "phantoms", 6, 3), validation=None, stage={"epochs": 1})
        return run(write_recipe(place, document), place / "run")


def few(adapter: Path) -> list[str]:
    """Three small cases to compare on instead of twenty."""
    return ["--questions", str(adapter.parents[1] / "phantoms" / "held-out" / "eval.jsonl")]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed models of this test's own, with the demonstration model in it."""
    folder = tmp_path / "models"
    shutil.copytree(PROJECT / "models" / "demo-tac", folder / "demo-tac")
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


def test_merge_promote_and_take_back(
    adapter: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.exporting.CASES", 4)
    merged = tmp_path / "merged"
    assert main(["merge", "--adapter", str(adapter), "--output", str(merged), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certificate"]["passed"] and told["certificate"]["cases"] == 4, "phantoms"
    card = (merged / "README.md").read_text()
    assert "The merged model is base and adapter" in card and "demo-tac" in card

    scores = write_scores(tmp_path / "evaluation", told["certificate"]["sha256"])
    words = ["promote", str(merged), "--name", "site-b", "--evaluation", str(scores), "--json"]
    assert main(words) == 0
    folder = Path(json.loads(capsys.readouterr().out)["model"])
    assert folder == models / "site-b"
    beside = promotion.read(folder)
    assert beside is not None and beside.evaluated is not None
    assert (beside.evaluated.of, beside.evaluated.basis, beside.evaluated.name) == ("site-b", "weights", "evaluation")
    assert (
        beside.certificate.startswith("Certified to be base and adapter in one: 4 of 4 texts") and beside.demonstration
    )
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


@pytest.fixture(scope="module")
def merged(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged model with its certificate; not to be changed."""
    place = tmp_path_factory.mktemp("merged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(place / "home"))
        assert main(["merge", "--adapter", str(adapter), "--output", str(place / "site-b"), *few(adapter)]) == 0
    return place / "site-b"


def test_an_evaluation_of_other_weights_is_refused(
    merged: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_scores(tmp_path / "other", "e" * 64)
    assert main(["promote", str(merged), "--name", "new", "--evaluation", str(other)]) == 2
    said = capsys.readouterr().err
    assert "The evaluation other is of other weights" in said and "demo-tac, site-b" in said
    (tmp_path / "empty").mkdir()
    assert main(["promote", str(merged), "--name", "new", "--evaluation", str(tmp_path / "empty")]) == 2
    assert "There are no scores" in capsys.readouterr().err
    assert not (models / "new").exists()


def test_an_evaluation_of_the_adapter_it_was_merged_from_is_taken(
    adapter: Path, merged: Path, models: Path, tmp_path: Path
) -> None:
    of_adapter = write_scores(tmp_path / "before", fingerprint(examine(adapter)), name="tuned")
    assert main(["promote", str(merged), "--name", "new", "--evaluation", str(of_adapter)]) == 0
    found = promotion.read(models / "new")
    assert found is not None and found.evaluated is not None
    assert (found.evaluated.of, found.evaluated.basis, found.evaluated.against) == ("tuned", "adapter", "demo-tac")
    assert [(one.key, one.value, one.base) for one in found.evaluated.few] == [
        ("finding_f1_micro", 58.5, 41.0),
        ("progression_f1_macro_3", 47.25, 33.0),
        ("prior_hallucination_rate", 3.0, 12.0),
        ("ROUGE-L", 61.5, 48.2),
    ]
    assert found.evaluated.few[2].better == "lower" and found.evaluated.few[0].gain == 17.5
    assert {one.title for one in found.evaluated.figures} >= {"BLEU-4", "Finding F1: Edema"}


def test_a_quantised_model_needs_an_evaluation_of_its_own(
    adapter: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "small"
    words = ["merge", "--adapter", str(adapter), "--output", str(output), "--quantization", "nf4", "--json"]
    assert main([*words, *few(adapter)]) == 0
    told = json.loads(capsys.readouterr().out)["certificate"]
    assert told["passed"] and told["quantization"] == "nf4" and told["dtype"] == "float32"
    assert "Quantised to nf4: near to base and adapter, not the same" in (output / "README.md").read_text()
    sha256 = fingerprint(examine(adapter))
    of_adapter = write_scores(tmp_path / "before", sha256)
    assert main(["promote", str(output), "--evaluation", str(of_adapter)]) == 2
    of_adapter = write_scores(tmp_path / "before", sha256, quantization="nf4")
    assert main(["promote", str(output), "--evaluation", str(of_adapter)]) == 0
    folder = models / "site-b-nf4"
    assert Engine.load(folder).info.quantization == "nf4"
    found = promotion.read(folder)
    assert found is not None and "not the same" in found.certificate
    recipe = lora_recipe(adapter.parents[1] / "phantoms", validation=None, start=str(folder))
    with pytest.raises(UsageError, match="stored quantised; train from the model in 16 or 32 bits"):
        run(write_recipe(tmp_path / "recipe", recipe), tmp_path / "run")


def test_a_certificate_is_of_these_weights_or_of_none(
    merged: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(merged, changed)
    said = json.loads((changed / "certificate.json").read_text())
    (changed / "certificate.json").write_text(json.dumps(said | {"sha256": "0" * 64}))
    assert main(["promote", str(changed), "--name", "new"]) == 4
    assert "its certificate is of other weights" in capsys.readouterr().err
    (changed / "certificate.json").unlink()
    assert main(["promote", str(changed), "--name", "new"]) == 4
    assert "never compared" in capsys.readouterr().err
    assert not (models / "new").exists()


def test_what_cannot_be_finished_leaves_nothing(
    merged: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", str(merged), "--name", "owner/new"]) == 2
    assert "holds a slash" in capsys.readouterr().err

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.training.exporting.provenance.write", full)
    with pytest.raises(OSError, match="No space"):
        promote(merged, name="new")
    assert sorted(entry.name for entry in models.iterdir() if not entry.name.startswith(".")) == ["demo-tac"]


def test_an_evaluation_beside_the_source_does_not_come_along(merged: Path, models: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(merged, source)
    (source / "evaluation.json").write_text('{"models": {}}')
    assert main(["promote", str(source), "--name", "new", "--link"]) == 0
    assert not (models / "new" / "evaluation.json").exists()
    assert json.loads((source / "evaluation.json").read_text()) == {"models": {}}
    assert (models / "new" / "model.safetensors").is_symlink()

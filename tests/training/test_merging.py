"""Merged models: the same as base and adapter, in every layout an adapter comes in, and certified as such."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from adaptation_runs import PROJECT, lora_recipe, make_phantoms, write_recipe
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.datasets.libra import Question, read_questions
from engine.errors import ModelError, UsageError
from engine.models import merging
from engine.models.checkpoint import load_model
from engine.models.merging import merge
from engine.training.certificate import certify
from engine.training.run import run

DEMO = PROJECT / "models" / "demo-tac"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Question]]:
    """An adapter with a connector beside it, and held-out questions."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(place / "home"))
        phantoms = make_phantoms(place / "phantoms", 8, 3)
        document = lora_recipe(phantoms, validation=None, stage={"epochs": 1, "learning_rate": 0.01})
        model = run(write_recipe(place, document), place / "run")
    return model, read_questions(phantoms / "held-out" / "eval.jsonl")


def test_a_merged_model_is_base_and_adapter(trained: tuple[Path, list[Question]], tmp_path: Path) -> None:
    adapter, questions = trained
    merged = merge(None, adapter, tmp_path / "merged", name="site-b-merged")
    assert merged.base.resolve() == DEMO.resolve()
    found = certify(None, adapter, merged.folder, questions)
    assert found.passed and found.same_texts == found.cases == 3, found.words()
    assert found.largest_difference <= 1e-4 * found.largest_logit
    assert found.top_agreement == 1.0

    own = json.loads((merged.folder / "interval.json").read_text())
    assert own["name"] == "site-b-merged" and own["demonstration"] is True
    assert own["merged_from"]["base_sha256"] == json.loads((DEMO / "interval.json").read_text())["sha256"]
    assert set(own["sha256"]) == {"model.safetensors", "dinov2/model.safetensors"}
    assert not (merged.folder / "training.json").exists()
    assert Engine.load(merged.folder).info.adapter == ""


def test_another_model_gets_no_certificate(trained: tuple[Path, list[Question]], tmp_path: Path) -> None:
    adapter, questions = trained
    found = certify(None, adapter, DEMO, questions[:2])
    assert not found.passed and "NOT" in found.words()


def test_a_model_in_16_bits_is_compared_as_such(trained: tuple[Path, list[Question]], tmp_path: Path) -> None:
    adapter, questions = trained
    merged = merge(DEMO, adapter, tmp_path / "merged", dtype="bfloat16")
    tensors = load_file(merged.folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    found = certify(DEMO, adapter, merged.folder, questions)
    assert found.dtype == "bfloat16" and found.largest_difference > 0
    assert found.top_agreement > 0.9


def test_a_large_model_is_written_in_several_files(
    trained: tuple[Path, list[Question]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "SHARD", 2_000_000)
    whole = load_model(trained[0], dtype="float32").model.state_dict()
    merged = merge(None, trained[0], tmp_path / "merged")
    assert len(list(merged.folder.glob("model-*.safetensors"))) > 2
    parts = load_model(merged.folder, dtype="float32").model.state_dict()
    assert whole.keys() == parts.keys()
    assert all(torch.allclose(whole[name], parts[name], atol=1e-6) for name in whole)


@pytest.mark.parametrize("kind", ["rslora", "alpha_pattern", "dora"])
def test_every_sort_of_adapter_is_merged_as_peft_merges_it(
    trained: tuple[Path, list[Question]], tmp_path: Path, kind: str
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(trained[0], adapter)
    (adapter / "non_lora_trainables.bin").unlink()
    settings = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    base = load_model(DEMO, dtype="float32").model.language_model.state_dict()
    if kind == "rslora":
        settings["use_rslora"] = True
    if kind == "alpha_pattern":
        settings["alpha_pattern"] = {"self_attn.q_proj": 64}
    if kind == "dora":
        settings["use_dora"] = True
        for name in [name for name in tensors if name.endswith("lora_A.weight")]:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            lengths = base[f"{module}.weight"].norm(dim=1) * torch.linspace(0.5, 1.5, len(base[f"{module}.weight"]))
            tensors[name.replace("lora_A.weight", "lora_magnitude_vector")] = lengths
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    save_file(tensors, adapter / "adapter_model.safetensors")
    expected = load_model(adapter, dtype="float32").model.language_model.state_dict()
    found = load_model(
        merge(None, adapter, tmp_path / "merged").folder, dtype="float32"
    ).model.language_model.state_dict()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, atol=1e-5), name


def test_libras_own_adapter_is_merged(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = shared / "reference" / "libra" / "ckpts"
    monkeypatch.chdir(checkpoints)
    base, adapter = checkpoints / "libra-v1.0-7b-tiny", checkpoints / "libra-v1.0-7b-tiny-lora"
    expected = load_model(adapter, base=base, dtype="float32").model
    monkeypatch.chdir(tmp_path)  # away from where its tower is found by a relative path
    merged = merge(base, adapter, tmp_path / "merged", dtype="float32")
    found = load_model(merged.folder, dtype="float32").model
    assert (merged.folder / "dinov2" / "config.json").is_file(), "its tower could not be found from the new folder"
    for name, tensor in expected.state_dict().items():
        assert torch.allclose(found.state_dict()[name], tensor, atol=1e-6), name


def test_what_cannot_be_merged_is_refused(trained: tuple[Path, list[Question]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an adapter"):
        merge(None, DEMO, tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        merge(None, trained[0], tmp_path / "full")
    with pytest.raises(ModelError):
        merge(tmp_path / "nowhere", trained[0], tmp_path / "b")
    assert not (tmp_path / "b").exists() or not any((tmp_path / "b").iterdir())

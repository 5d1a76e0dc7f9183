"""Every kind of checkpoint Libra publishes can be trained on: its connector, its language model, by LoRA or whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from adaptation_runs import write_recipe
from safetensors.torch import load_file

from engine import Comparison, Decoding, Engine
from engine.errors import ModelError, UsageError
from engine.models.checkpoint import load_model
from engine.training.run import run

CHANGED = {"mm_vision_tower", "torch_dtype", "vocab_size", "tune_mm_mlp_adapter"}
ANSWER = "The lungs are clear. No pneumothorax is seen. The heart is not enlarged."


@pytest.fixture
def checkpoints(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shared / "reference" / "libra" / "ckpts"
    monkeypatch.chdir(folder)  # the towers are named by relative paths
    return folder


@pytest.fixture
def samples(shared: Path, tmp_path: Path) -> Path:
    data = shared / "data"
    rows = [
        {
            "id": str(number),
            "image": [str(data / "pair_current.jpg"), str(data / "pair_prior.jpg")][: 2 - number % 2],
            "conversations": [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": ANSWER}],
        }
        for number in range(4)
    ]
    file = tmp_path / "train.json"
    file.write_text(json.dumps(rows))
    return file


def recipe(start: Path, samples: Path, stage: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"name": "s", "epochs": 3, "batch_size": 2, "learning_rate": 0.01, **stage}
    return {"name": "tuned", "start": str(start), "samples": str(samples), "stages": [whole], "threads": 1, **more}


def losses(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("name", ["libra-v1.0-7b-tiny", "libra-qwen3-tiny", "libra-Med-CXRGen-F-tiny"])
def test_the_connector_alone_and_a_folder_of_the_same_kind(
    checkpoints: Path, samples: Path, tmp_path: Path, name: str, shared: Path
) -> None:
    start = checkpoints / name
    model = run(write_recipe(tmp_path, recipe(start, samples, {"train": ["connector"]})), tmp_path / "run")
    seen = losses(tmp_path / "run")
    assert seen[-1] < seen[0]

    before, after = load_model(start, dtype="float32"), load_model(model, dtype="float32")
    assert after.info.family == before.info.family and after.info.conversation == before.info.conversation
    language = before.model.language_model.state_dict()
    same = after.model.language_model.state_dict()
    assert all(torch.equal(language[key], same[key]) for key in language), "only the connector learnt"
    changed = [
        key for key, tensor in before.model.connector.state_dict().items()
        if not torch.equal(tensor, after.model.connector.state_dict()[key])
    ]  # fmt: skip
    assert changed
    kept = json.loads((start / "config.json").read_text())
    written = json.loads((model / "config.json").read_text())
    assert {key for key in kept if kept[key] != written.get(key)} <= CHANGED
    pair = shared / "data"
    draft = Engine.load(model).draft(
        Comparison.open(pair / "pair_current.jpg", pair / "pair_prior.jpg"), decoding=Decoding(max_new_tokens=3)
    )
    assert draft.token_ids

    # the connector as projectors are published: the start of another run
    projector = tmp_path / "run" / "projector" / "mm_projector.bin"
    further = recipe(start, samples, {"train": ["connector"], "epochs": 0.5}, projector=str(projector))
    again = run(write_recipe(tmp_path / "again", further), tmp_path / "again" / "run")
    assert losses(again.parent)[0] < seen[0]


@pytest.mark.parametrize("name", ["libra-v1.0-7b-tiny", "libra-qwen3-tiny"])
def test_factors_on_a_frozen_connector(checkpoints: Path, samples: Path, tmp_path: Path, name: str) -> None:
    stage = {"train": ["language_model"], "lora": {"rank": 4, "alpha": 8}}
    model = run(write_recipe(tmp_path, recipe(checkpoints / name, samples, stage)), tmp_path / "run")
    assert not (model / "non_lora_trainables.bin").exists()
    factors = load_file(model / "adapter_model.safetensors")
    assert all(key.startswith("base_model.model.model.layers.") for key in factors)
    assert any(bool(tensor.abs().sum() > 0) for key, tensor in factors.items() if "lora_B" in key)
    assert load_model(model, dtype="float32").info.adapter == "model"


def test_all_of_a_language_model(checkpoints: Path, samples: Path, tmp_path: Path) -> None:
    start = checkpoints / "libra-qwen3-tiny"
    stage = {"train": ["connector", "language_model"], "learning_rate": 0.001}
    model = run(write_recipe(tmp_path, recipe(start, samples, stage)), tmp_path / "run")
    seen = losses(tmp_path / "run")
    assert seen[-1] < seen[0]
    one, two = (load_model(place, dtype="float32").model.language_model.state_dict() for place in (start, model))
    assert any(not torch.equal(one[key], two[key]) for key in one)


def test_what_cannot_be_trained_on_is_refused(checkpoints: Path, samples: Path, tmp_path: Path) -> None:
    stage = {"train": ["language_model"], "lora": {"rank": 4, "alpha": 8}}
    adapter = recipe(checkpoints / "libra-v1.0-7b-tiny-lora", samples, stage)
    with pytest.raises((UsageError, ModelError)):
        run(write_recipe(tmp_path / "a", adapter), tmp_path / "a" / "run")
    other = checkpoints / "libra-v1.0-7b-tiny-pretrain" / "mm_projector.bin"
    misfit = recipe(checkpoints / "libra-Med-CXRGen-F-tiny", samples, {"train": ["connector"]}, projector=str(other))
    with pytest.raises(ModelError, match="does not fit"):
        run(write_recipe(tmp_path / "b", misfit), tmp_path / "b" / "run")

"""The memory of the weights: as many bytes as the loaded model really has, counted from headers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_multimodal import llava, qwen2vl

from engine.models.checkpoint import load_model
from engine.models.footprint import footprint
from engine.models.survey import survey


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny.parent, tmp_path / "root")
    return tmp_path / "root" / tiny.name


def test_it_is_what_the_loaded_model_takes(tiny: Path) -> None:
    counted = footprint(survey(tiny))
    model = load_model(tiny, dtype="float32").model
    values = sum(parameter.numel() for parameter in model.parameters())
    assert counted["float32"] == 4 * values
    assert counted["bfloat16"] == 2 * values
    layers = model.language_model.model.layers
    matrices = [module.weight for module in layers.modules() if isinstance(module, torch.nn.Linear)]
    quantised = sum(matrix.numel() for matrix in matrices)
    rest = 2 * (values - quantised)
    assert counted["int8"] == rest + quantised + 4 * sum(matrix.shape[0] for matrix in matrices)
    scales = [math.ceil(matrix.numel() / 64) for matrix in matrices]
    assert counted["nf4"] == rest + quantised // 2 + sum(scales) + 4 * sum(math.ceil(n / 256) for n in scales)
    assert counted["nf4"] < counted["int8"] < counted["bfloat16"] < counted["float32"]


@pytest.mark.parametrize("make", [qwen2vl, llava])
def test_of_models_that_are_one_piece(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    counted = footprint(survey(folder))
    assert counted["float32"] == 4 * load_model(folder, dtype="float32").info.parameters
    assert counted["nf4"] < counted["int8"] < counted["bfloat16"]


def test_a_tower_inside_counts_only_where_it_is_used(folder: Path) -> None:
    before = footprint(survey(folder))
    file = folder / "model.safetensors"
    own = {"model.vision_tower.vision_tower.embeddings.cls_token": torch.zeros(1, 1, 24)}
    save_file(load_file(file) | own, file, {"format": "pt"})
    assert footprint(survey(folder)) == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"unfreeze_mm_vision_tower": True}))
    tower = sum(tensor.numel() for tensor in load_file(folder.parent / "towers/dinov2-tiny/model.safetensors").values())
    assert footprint(survey(folder))["float32"] == before["float32"] - 4 * tower + 4 * 24


def test_a_folder_without_weights_takes_nothing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    shutil.rmtree(folder.parent / "towers")
    assert footprint(survey(folder)) == {}

"""Loading and writing model folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import ModelError, ResourceError, UsageError
from engine.models import towers
from engine.models.checkpoint import load_model
from engine.models.composite import LibraModel
from engine.models.preprocessing import Padding
from engine.models.saving import save_model
from engine.models.tokens import encode_with_image


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny.parent, tmp_path / "root")
    return tmp_path / "root" / tiny.name


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_information(folder: Path) -> None:
    loaded = load_model(folder)
    info = loaded.info
    assert (info.family, info.dtype, info.quantization, info.demonstration) == ("libra-tac", "float32", "none", True)
    assert info.parameters == sum(p.numel() for p in loaded.model.parameters())
    assert loaded.stop_ids == (2,)
    assert not loaded.model.training


def test_saved_and_loaded_is_the_same_model_in_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = load_model(folder, dtype="float32")
    names = {"conversation": "libra_v0", "name": "Copy", "license": "CC0", "demonstration": True}
    saved = save_model(first.model, first.tokenizer, first.processor, tmp_path / "saved", **names)
    second = load_model(saved, dtype="float32")
    state, again = first.model.state_dict(), second.model.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert second.processor == first.processor
    assert (second.info.name, second.info.license, second.template.name) == ("Copy", "CC0", "libra_v0")
    text = "the <image>\nright lung </s> é"
    assert encode_with_image(second.tokenizer, text) == encode_with_image(first.tokenizer, text)
    other = save_model(second.model, second.tokenizer, second.processor, tmp_path / "other", **names)
    for file in sorted(saved.rglob("*.*")):
        assert file.read_bytes() == (other / file.relative_to(saved)).read_bytes(), file.name


def test_a_saved_folder_can_be_moved(folder: Path, tmp_path: Path) -> None:
    loaded = load_model(folder)
    saved = save_model(
        loaded.model, loaded.tokenizer, loaded.processor, tmp_path / "a", conversation="libra_v1", name="x"
    )
    load_model(saved.rename(tmp_path / "elsewhere"))


def test_saved_names_are_libras(folder: Path, tmp_path: Path) -> None:
    loaded = load_model(folder)
    saved = save_model(
        loaded.model, loaded.tokenizer, loaded.processor, tmp_path / "a", conversation="libra_v1", name="x"
    )
    assert load_file(saved / "model.safetensors").keys() == load_file(folder / "model.safetensors").keys()
    tower = folder.parent / "towers" / "dinov2-tiny" / "model.safetensors"
    assert load_file(saved / "dinov2" / "model.safetensors").keys() == load_file(tower).keys()
    config = json.loads((saved / "config.json").read_text())
    assert (config["model_type"], config["mm_projector_type"]) == ("libra", "TAC")
    assert "dino" in config["mm_vision_tower"]


@pytest.mark.parametrize("padding", list(Padding))
def test_padding_and_heads_are_kept(tmp_path: Path, folder: Path, padding: Padding) -> None:
    loaded = load_model(folder)
    torch.manual_seed(1)
    model = LibraModel.from_config(
        {"hidden_size": 24, "num_hidden_layers": 12, "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
        {"vocab_size": len(loaded.tokenizer), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
         "num_attention_heads": 4},
        connector_heads=6,
    )  # fmt: skip
    processor = replace(loaded.processor, padding=padding)
    saved = save_model(model, loaded.tokenizer, processor, tmp_path / "a", conversation="libra_v1", name="x")
    again = load_model(saved)
    assert again.processor == processor
    assert again.model.connector.heads == again.model.connector.cros_attention.num_heads == 6


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_out_of_memory(folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("engine.models.libra.assemble", fail)
    with pytest.raises(ResourceError, match="not enough memory to load Tiny"):
        load_model(folder)


def test_bin_equals_safetensors(folder: Path) -> None:
    expected = load_model(folder).model.state_dict()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = load_model(folder).model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(folder: Path, dtype: str) -> None:
    loaded = load_model(folder, dtype=dtype)
    assert loaded.info.dtype == dtype
    assert {str(p.dtype) for p in loaded.model.parameters()} == {f"torch.{dtype}"}


def test_loading_leaves_the_files_alone(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.parent.rglob("*.*")}
    loaded = load_model(folder, dtype="bfloat16")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.add_(1)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_tower_in_the_checkpoint_counts_only_if_it_was_trained(folder: Path) -> None:
    tower = load_file(folder.parent / "towers" / "dinov2-tiny" / "model.safetensors")
    tensors = load_file(folder / "model.safetensors")
    changed = {f"model.vision_tower.vision_tower.{name}": t + 1 for name, t in tower.items()}
    save_file(tensors | changed, folder / "model.safetensors", {"format": "pt"})
    key = "embeddings.cls_token"
    ignored = load_model(folder).model.vision_tower.state_dict()[key]
    torch.testing.assert_close(ignored, tower[key].float())
    edit(folder, unfreeze_mm_vision_tower=True)
    used = load_model(folder).model.vision_tower.state_dict()[key]
    torch.testing.assert_close(used, (tower[key] + 1).float())


def test_a_padded_vocabulary_shrinks_to_the_tokenizer(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    rows = len(load_model(folder).tokenizer)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = torch.cat((tensors[name], tensors[name].new_zeros(20, 32)))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    edit(folder, vocab_size=rows + 20)
    loaded = load_model(folder)
    assert loaded.model.language_model.lm_head.weight.shape == (rows, 32)
    assert not loaded.warnings


def test_missing_rows_are_the_mean_and_said(folder: Path) -> None:
    expected = load_file(folder / "model.safetensors")["lm_head.weight"].float().mean(dim=0)
    edit(folder, mm_use_im_patch_token=True, mm_use_im_start_end=True)
    loaded = load_model(folder)
    head = loaded.model.language_model.lm_head.weight
    assert len(head) == len(loaded.tokenizer)
    torch.testing.assert_close(head[-3:], expected.expand(3, -1))
    assert "3 tokens more" in loaded.warnings[0]
    assert loaded.image_marks == ("<im_start>", "<im_end>")


def test_several_stop_ids(folder: Path) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    assert load_model(folder).stop_ids == (2, 7)
    (folder / "generation_config.json").unlink()
    edit(folder, eos_token_id=5)
    assert load_model(folder).stop_ids == (5,)


def test_nan_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = torch.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="not numbers"):
        load_model(folder)


def test_hash_covers_model_and_tower(folder: Path) -> None:
    first = load_model(folder).info.sha256
    file = folder.parent / "towers" / "dinov2-tiny" / "model.safetensors"
    tower = load_file(file)
    tower["layernorm.bias"] += 1
    save_file(tower, file, {"format": "pt"})
    assert load_model(folder).info.sha256 != first


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"device": "tpu"}, {"device": "mps"}, {"template": "none"}])
def test_unknown_options(folder: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        load_model(folder, **options)


def test_transformers_stays_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(folder)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


class TestWhereTheTowerIs:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        (tmp_path / "shelf" / "model").mkdir(parents=True)
        return tmp_path / "shelf" / "model"

    def put(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        return folder

    @pytest.mark.parametrize("where", ["shelf/model/a/b", "shelf/a/b", "a/b"])
    def test_relative_to_the_model(self, place: Path, tmp_path: Path, where: str) -> None:
        tower = self.put(tmp_path / where)
        assert towers.find("a/b", place) == tower

    def test_override_comes_first(self, place: Path, tmp_path: Path) -> None:
        self.put(place / "a")
        chosen = self.put(tmp_path / "chosen")
        assert towers.find("a", place, override=chosen) == chosen
        with pytest.raises(ModelError, match="no vision tower"):
            towers.find("a", place, override=tmp_path / "nowhere")

    def test_a_path(self, place: Path, tmp_path: Path) -> None:
        tower = self.put(tmp_path / "far" / "away")
        assert towers.find(str(tower), place) == tower

    def test_installed_models(self, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(towers.paths, "models", lambda: tmp_path / "installed")
        tower = self.put(tmp_path / "installed" / "a" / "b")
        assert towers.find("a/b", place) == tower

    @pytest.mark.parametrize("name", ["microsoft/no-such-tower", "../x", "", "a b"])
    def test_nowhere(self, place: Path, name: str) -> None:
        with pytest.raises(ModelError, match="--tower"):
            towers.find(name, place)

"""A model folder is recognised by what it holds, and everything wrong with it is said at once and quickly."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoint import VISION

from engine.errors import ModelError, UsageError
from engine.models import language
from engine.models.recognition import examine


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, with its tower beside it, to be damaged."""
    shutil.copytree(tiny.parent, tmp_path / "root")
    return tmp_path / "root" / tiny.name


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def rewrite(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def shard(folder: Path, parts: int = 3) -> list[str]:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-{n + 1:05}-of-{parts:05}.safetensors" for n in range(parts)]
    where = {tensor: names[n % parts] for n, tensor in enumerate(tensors)}
    for name in names:
        save_file({t: v for t, v in tensors.items() if where[t] == name}, folder / name, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return names


def test_a_good_folder(folder: Path) -> None:
    found = examine(folder)
    found.check()
    assert (found.family, found.name, found.template, found.template_basis) == (
        "libra-tac",
        "Tiny",
        "libra_v1",
        "interval.json",
    )
    assert found.demonstration
    assert found.weights.dtype == "bfloat16"
    assert found.weights.parameters == sum(t.numel() for t in load_file(folder / "model.safetensors").values())
    assert found.tower is not None
    assert found.tower.folder == folder.parent / "towers" / "dinov2-tiny"


@pytest.mark.parametrize("name", ["libra-lora-v9", "qwen"])
def test_the_folders_name_decides_nothing(folder: Path, name: str) -> None:
    examine(folder.rename(folder.parent / name)).check()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("libra-v1.0-7b-tiny-pretrain", "needs its base model; name it with --base"),
        ("base/meditron-7b-tiny", "LlamaForCausalLM"),
        ("microsoft/rad-dino", "Dinov2Model"),
        ("tokenizers", "not a model folder"),
    ],
)
def test_what_is_not_supported_is_named(libra: Path, name: str, reason: str) -> None:
    found = examine(libra / "ckpts" / name)
    assert not found.family
    with pytest.raises(ModelError, match=reason) as caught:
        found.check()
    assert len(caught.value.problems) == 1


def test_the_reference_checkpoint(libra: Path) -> None:
    began = time.monotonic()
    found = examine(libra / "ckpts" / "libra-v1.0-7b-tiny")
    assert time.monotonic() - began < 2
    assert not found.problems
    assert found.template_basis == "default"
    assert found.warnings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}, "vision_config"),
        ({"model_type": "qwen2_audio", "architectures": ["Qwen2AudioForConditionalGeneration"]}, "Qwen2Audio"),
        ({"model_type": "libra_mpt", "architectures": ["LibraMPTForCausalLM"]}, "LibraMPT"),
        ({"mm_projector_type": "resampler"}, "projector resampler"),
        ({"mm_projector_type": "mlp2x_gelu"}, "needs one layer"),
        ({"mm_vision_select_layer": "-2"}, "all layers"),
        ({"mm_vision_select_layer": "last"}, "names no layer"),
        ({"mm_vision_select_feature": "cls"}, "cls_patch"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"hidden_size": ...}, "hidden_size"),
        ({"hidden_size": 64}, "shape"),
        ({"vocab_size": 5}, "model.embed_tokens.weight"),
        ({"num_hidden_layers": 3}, "model.layers.2.self_attn.q_proj.weight is missing"),
        ({"num_attention_heads": 5}, "multiple"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers"),
        ({"mm_hidden_size": 48}, "vision tower is 24 wide"),
        ({"mm_vision_tower": "no/such"}, "no/such"),
        ({"mm_vision_tower": None}, "names no vision tower"),
    ],
)
def test_configurations_that_cannot_work(folder: Path, changes: dict[str, Any], reason: str) -> None:
    edit(folder, **changes)
    found = examine(folder)
    assert any(reason in problem for problem in found.problems), found.problems


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_damaged_configuration(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert examine(folder).problems == ("config.json is damaged",)


def test_everything_wrong_is_listed_at_once(folder: Path) -> None:
    names = shard(folder)
    (folder / names[0]).unlink()
    file = folder / names[1]
    file.write_bytes(file.read_bytes()[:-100])
    (folder / "tokenizer.json").unlink()
    shutil.rmtree(folder.parent / "towers")
    found = examine(folder)
    text = " | ".join(found.problems)
    for part in (f"{names[0]} is missing", f"{names[1]} is cut off", "no tokenizer", "vision tower"):
        assert part in text
    with pytest.raises(ModelError, match="4 problems"):
        found.check()


def test_shards(folder: Path) -> None:
    shard(folder)
    examine(folder).check()


def test_a_shard_without_its_tensors(folder: Path) -> None:
    names = shard(folder)
    save_file({"other": torch.zeros(1)}, folder / names[2], {"format": "pt"})
    assert any(f"{names[2]} lacks" in problem for problem in examine(folder).problems)


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": 5}', '{"weight_map": {"a": "../../etc/passwd"}}'])
def test_damaged_index(folder: Path, content: str) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(content)
    problems = examine(folder).problems
    assert any("model.safetensors.index.json" in problem for problem in problems)


def test_missing_and_misshapen_tensors(folder: Path) -> None:
    def damage(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.norm.weight"], tensors["model.mm_projector.LFE_prior_bias"]
        tensors["lm_head.weight"] = torch.zeros(3, 3)

    rewrite(folder, damage)
    text = " | ".join(examine(folder).problems)
    assert "model.norm.weight is missing" in text
    assert "model.mm_projector.LFE_prior_bias is missing" in text
    assert "lm_head.weight has the shape [3, 3]" in text


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert any("no weights" in problem for problem in examine(folder).problems)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("preprocessor_config.json", None, "preprocessor_config.json is missing"),
        ("preprocessor_config.json", "{}", "preprocessor_config.json"),
        ("config.json", '{"model_type": "vit_msn"}', "vit_msn"),
        ("config.json", '{"model_type": "clip"}', "clip"),
        ("config.json", '{"model_type": "dinov2", "hidden_size": 24, "patch_size": 14}', "lacks num_hidden_layers"),
        ("config.json", json.dumps({**VISION, "num_hidden_layers": 11}), "TAC needs 12 blocks, config.json says 11"),
        ("config.json", json.dumps({**VISION, "num_hidden_layers": 11}), "the weights hold 12 blocks"),
        ("config.json", json.dumps({**VISION, "patch_size": 16}), "has the shape"),
        ("model.safetensors", None, "no weights"),
        ("model.safetensors", "", "cut off"),
    ],
)
def test_damaged_tower(folder: Path, name: str, content: str | None, reason: str) -> None:
    file = folder.parent / "towers" / "dinov2-tiny" / name
    file.unlink()
    if content is not None:
        file.write_text(content)
    problems = examine(folder).problems
    assert any(reason in problem for problem in problems), problems


def test_conversation_rules(folder: Path) -> None:
    assert examine(folder, template="libra_v0").template_basis == "asked for"
    (folder / "interval.json").write_text('{"conversation": "from a later version"}')
    assert examine(folder).template_basis == "default"
    (folder / "interval.json").unlink()
    assert examine(folder).template_basis == "default"
    edit(folder, hidden_size=3072, num_hidden_layers=28, num_key_value_heads=8)
    assert (examine(folder).template, examine(folder).template_basis) == ("libra_llama_3", "catalogue")
    with pytest.raises(UsageError):
        examine(folder, template="no such")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        examine(tmp_path / "none")


def test_unknown_configuration_fields_go_nowhere(folder: Path) -> None:
    edit(folder, _attn_implementation_internal="evil/kernel", auto_map={"AutoModel": "evil.Evil"}, rope_theta=5e5)
    configured = language.configuration("llama", examine(folder).config)
    assert configured._attn_implementation_internal != "evil/kernel"
    assert not hasattr(configured, "auto_map")
    assert configured.rope_parameters == {"rope_theta": 5e5, "rope_type": "default"}


SIZES = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


def test_llama_3_scaling() -> None:
    scaling = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 8192}
    config = {"rope_theta": 500000.0, "rope_scaling": scaling, "max_position_embeddings": 131072}
    configured = language.configuration("llama", SIZES | config)
    assert configured.rope_parameters == {"rope_theta": 500000.0, **scaling}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "libra"}, "llama"),
        ({"model_type": "libra", "architectures": ["LibraMistralForCausalLM"]}, "mistral"),
        ({"model_type": "libra_phi3", "architectures": None}, "phi3"),
        ({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}, "qwen2"),
        ({"model_type": "libra_mpt"}, None),
        ({}, None),
    ],
)
def test_kinds_of_language_models(config: dict[str, Any], kind: str | None) -> None:
    assert language.kind(config) == kind

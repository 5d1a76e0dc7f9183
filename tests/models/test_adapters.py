"""Adapters and projectors that need a base: found, checked by headers, put together; wrong pairs are named at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import ModelError
from engine.models.checkpoint import load_model
from engine.models.libra import LoadedLibra
from engine.models.recognition import examine

TARGETS = ["q_proj", "v_proj", "down_proj"]


@pytest.fixture
def base(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint with its tower beside it."""
    shutil.copytree(tiny.parent, tmp_path / "models")
    return tmp_path / "models" / tiny.name


@pytest.fixture
def adapter(base: Path) -> Path:
    """A LoRA adapter beside its base, written by peft; its base is recorded by name."""
    folder = base.parent / "adapter"
    make_adapter(base, folder)
    return folder


def make_adapter(base: Path, folder: Path, **options: Any) -> torch.nn.Module:
    torch.manual_seed(5)
    loaded = libra(base)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": TARGETS} | options
    wrapped = peft.get_peft_model(loaded.language_model, peft.LoraConfig(**settings))
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_" in name:
                value.copy_(0.3 * torch.randn_like(value))
    wrapped.save_pretrained(folder)
    edit(folder / "adapter_config.json", base_model_name_or_path=base.name)
    return wrapped


def libra(path: Path, **options: Any) -> LoadedLibra:
    loaded = load_model(path, dtype="float32", device="cpu", **options)
    assert isinstance(loaded, LoadedLibra)
    return loaded


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits(loaded: LoadedLibra) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = loaded.language_model(torch.arange(20)[None]).logits
        return found


def problems(path: Path, **options: Any) -> str:
    return " | ".join(examine(path, **options).problems)


@pytest.mark.parametrize("options", [{}, {"bias": "all"}, {"use_rslora": True}, {"use_dora": True},
                                     {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"v_proj": 3}}])  # fmt: skip
def test_computes_what_peft_computes(base: Path, options: dict[str, Any]) -> None:
    wrapped = make_adapter(base, base.parent / "adapter", **options)
    with torch.inference_mode():
        expected = wrapped(torch.arange(20)[None]).logits
    assert (logits(libra(base)) - expected).abs().max() > 0.1
    for merge in (True, False):
        torch.testing.assert_close(logits(libra(base.parent / "adapter", merge=merge)), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits(libra(base, adapter=base.parent / "adapter")), expected, atol=1e-4, rtol=1e-4)


def test_what_a_draft_says_of_it(base: Path, adapter: Path) -> None:
    info = libra(adapter).info
    assert (info.name, info.adapter, info.family, info.conversation) == ("adapter", "adapter", "libra-tac", "libra_v1")
    assert info.demonstration  # as its base
    assert info.sha256 not in ("", libra(base).info.sha256)


def test_the_older_file_format(base: Path, adapter: Path) -> None:
    expected = logits(libra(adapter))
    torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    torch.testing.assert_close(logits(libra(adapter)), expected)


def test_a_base_named_by_hand(base: Path, adapter: Path, tmp_path: Path) -> None:
    edit(adapter / "adapter_config.json", base_model_name_or_path="someone/elsewhere")
    assert "needs its base model someone/elsewhere" in problems(adapter)
    assert "--base" in problems(adapter)
    assert not problems(adapter, base=base)
    assert f"no base model in {tmp_path / 'none'}" in problems(adapter, base=tmp_path / "none")


def test_another_base(base: Path, adapter: Path) -> None:
    def cut(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:40].contiguous() if "mlp.gate" in name or "mlp.up" in name else tensor

    tensors = load_file(base / "model.safetensors")
    tensors = {
        name: (tensor[:, :40].contiguous() if "mlp.down" in name else cut(name, tensor))
        for name, tensor in tensors.items()
        if not name.startswith("model.layers.1.")
    }
    save_file(tensors, base / "model.safetensors")
    edit(base / "config.json", intermediate_size=40, num_hidden_layers=1)
    found = problems(adapter)
    assert "model.layers.0.mlp.down_proj.lora_A.weight is 64 wide, the base 40" in found
    assert "the base has no model.layers.1.self_attn.q_proj" in found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"r": None}, "no rank"),
        ({"target_modules": None}, "no target modules"),
    ],
)
def test_adapters_that_are_not_supported(adapter: Path, changes: dict[str, Any], reason: str) -> None:
    edit(adapter / "adapter_config.json", **changes)
    assert reason in problems(adapter)


def test_everything_wrong_is_listed_at_once(base: Path, adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    (base / "tokenizer.json").unlink()
    shutil.rmtree(base.parent / "towers")
    found = examine(adapter)
    assert len(found.problems) == 3, found.problems
    for part in ("adapter_model.safetensors is cut off", "no tokenizer", "towers/dinov2-tiny"):
        assert part in " | ".join(found.problems)


@pytest.mark.parametrize("damage", [b"", b"[]", b"{"])
def test_a_damaged_configuration(adapter: Path, damage: bytes) -> None:
    (adapter / "adapter_config.json").write_bytes(damage)
    assert "adapter_config.json" in problems(adapter)


def test_factors_that_find_no_place(adapter: Path) -> None:
    """The configuration names fewer modules than the file has factors for."""
    edit(adapter / "adapter_config.json", target_modules=["q_proj"])
    with pytest.raises(ModelError, match="does not fit"):
        libra(adapter)


def test_an_adapter_on_an_adapter(base: Path, adapter: Path) -> None:
    second = base.parent / "second"
    shutil.copytree(adapter, second)
    assert "is an adapter itself" in problems(second, base=adapter)


def test_a_full_model_needs_no_base(base: Path) -> None:
    assert "needs no base" in problems(base, base=base)


def test_a_projector_alone(base: Path) -> None:
    """Its base is an ordinary language model; the connector's values are the projector's."""
    tensors = load_file(base / "model.safetensors")
    connector = {name: value for name, value in tensors.items() if "mm_projector" in name}
    plain = base.parent / "plain"
    shutil.copytree(base, plain)
    save_file({name: tensors[name] for name in tensors.keys() - connector.keys()}, plain / "model.safetensors")
    edit(plain / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    alone = base.parent / "alone"
    alone.mkdir()
    shutil.copy(base / "config.json", alone)
    changed = {name: value + 1 for name, value in connector.items()}
    torch.save(changed, alone / "mm_projector.bin")

    assert "is a projector and needs its base model" in problems(alone)
    loaded = libra(alone, base=plain)
    torch.testing.assert_close(logits(loaded), logits(libra(base)))
    found = loaded.model.connector.state_dict()["mlp_final.0.weight"]
    torch.testing.assert_close(found, changed["model.mm_projector.mlp_final.0.weight"].float())

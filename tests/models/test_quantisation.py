"""Language models in 8 and 4 bits: what is quantised and what is not, how close it stays, and adapters on top."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import zoo
from PIL import Image
from torch import nn

from engine.decoding.session import Session
from engine.errors import UsageError
from engine.models.checkpoint import load_model
from engine.models.libra import LoadedLibra
from engine.models.quantisation import BYTES, quantise, values

CPU = torch.device("cpu")


def llama(hidden: int = 256) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, attention_bias=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("method", "close"), [("int8", 0.999), ("nf4", 0.97)])
def test_the_logits_stay_close(method: str, close: float, dtype: torch.dtype) -> None:
    full, small = llama().to(dtype), llama().to(dtype)
    count = sum(parameter.numel() for parameter in small.parameters())
    quantise(small.model.layers, method, CPU)
    assert sum(map(values, small.parameters())) == count
    prompt = torch.randn(1, 20, 256, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected, found = (Session(model, prompt) for model in (full, small))
    steps = [session.step(torch.tensor([1, 2])) for session in (expected, found)]
    for one, other in ((expected.logits, found.logits), steps):
        assert torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1] > close
        assert not torch.equal(one, other)


@pytest.mark.parametrize("method", ["int8", "nf4"])
def test_the_layers_shrink_as_planned(method: str) -> None:
    model = llama()
    linear = [m for m in model.model.layers.modules() if isinstance(m, nn.Linear)]
    count = sum(layer.weight.numel() for layer in linear)
    quantise(model.model.layers, method, CPU)
    held = 0
    for layer in model.model.layers.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight
            held += weight.numel() * weight.element_size()
            state = getattr(weight, "quant_state", None)
            if state is not None:
                held += state.absmax.numel() * state.absmax.element_size()
            assert layer.bias is None or layer.bias.dtype == torch.float32
    assert held / count == pytest.approx(BYTES[method], rel=0.05)
    assert type(model.lm_head) is nn.Linear
    assert model.lm_head.weight.dtype == model.model.embed_tokens.weight.dtype == torch.float32


@pytest.mark.parametrize("method", ["int8", "nf4"])
@pytest.mark.parametrize("merge", [True, False])
def test_a_model_with_an_adapter(method: str, merge: bool, tmp_path: Path) -> None:
    from test_adapters import make_adapter

    base = zoo.build(tmp_path, language="qwen3", text={"hidden_size": 64, "intermediate_size": 128}).folder
    adapter = tmp_path / "adapter"
    make_adapter(base, adapter)
    exact = load_model(adapter, base=base, dtype="float32", device="cpu")
    loaded = load_model(adapter, base=base, dtype="float32", device="cpu", quantization=method, merge=merge)
    assert isinstance(loaded, LoadedLibra)
    assert loaded.info.quantization == method
    assert loaded.info.parameters >= exact.info.parameters
    picture = Image.effect_noise((60, 60), 80)
    _, ids = loaded.ask("Any change?", has_prior=False)
    logits = []
    for model in (exact, loaded):
        put = model.embed(ids, model.see(picture), None)
        logits.append(Session(model.language_model, put.embeddings).logits.flatten())
    assert torch.corrcoef(torch.stack(logits))[0, 1] > 0.9
    assert {p.dtype for p in loaded.model.vision_tower.parameters()} == {torch.float32}
    assert {p.dtype for p in loaded.model.connector.parameters()} == {torch.float32}


def test_unknown_methods(tmp_path: Path) -> None:
    folder = zoo.build(tmp_path).folder
    with pytest.raises(UsageError, match="int8, nf4"):
        load_model(folder, quantization="q4_k_m")


def test_layers_of_other_widths_stay_as_they_are() -> None:
    model = llama(80)  # 160 wide inside, which is no whole number of blocks either
    quantise(model.model.layers, "nf4", CPU)
    assert {type(m) for m in model.model.layers.modules() if isinstance(m, nn.Linear)} == {nn.Linear}

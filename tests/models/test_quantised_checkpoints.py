"""Models whose layers are stored quantised: written, read by us and by transformers, and what is wrong with others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.decoding.session import Session
from engine.errors import ModelError, UsageError
from engine.models import stored
from engine.models.checkpoint import load_model
from engine.models.footprint import footprint
from engine.models.identity import fingerprint
from engine.models.libra import LoadedLibra
from engine.models.merging import merge
from engine.models.plan import plan
from engine.models.quantisation import quantise
from engine.models.recognition import examine
from engine.models.survey import survey
from engine.models.weights import look

CPU = torch.device("cpu")
SIZES = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
"""The layers of keys and values are 32 wide: not a whole block, so they are stored as they are."""

PICTURES = [Image.fromarray(np.random.RandomState(n).randint(0, 255, (60, 60)).astype("uint8")) for n in (1, 2)]

Edit = Callable[[dict[str, Tensor]], object]
Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and an adapter on it."""
    from test_adapters import make_adapter

    base = zoo.build(tmp_path_factory.mktemp("base"), text=SIZES).folder
    make_adapter(base, base.parent / "adapter")
    return base, base.parent / "adapter"


@pytest.fixture(scope="module")
def written(pair: tuple[Path, Path]) -> Callable[[str, str], Path]:
    """The merged model of these, stored in a method and a dtype; not to be changed."""

    def folder(method: str, dtype: str) -> Path:
        made = pair[0].parent / f"{method}-{dtype}"
        if not made.is_dir():
            merge(*pair, made, dtype=dtype, quantization=method)
        return made

    return folder


@pytest.fixture
def changed(written: Callable[[str, str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of one with other tensors, or another configuration."""

    def folder(method: str, edit: Edit = lambda tensors: None, **config: Any) -> Path:
        source = written(method, "float32")
        shutil.copytree(source.parent / "tower", tmp_path / "tower")
        made = tmp_path / "changed"
        shutil.copytree(source, made)
        tensors = load_file(made / "model.safetensors")
        edit(tensors)
        save_file(tensors, made / "model.safetensors", {"format": "pt"})
        said = json.loads((made / "config.json").read_text()) | config
        (made / "config.json").write_text(json.dumps(said))
        return made

    return folder


def loaded(folder: Path, **options: Any) -> LoadedLibra:
    found = load_model(folder, device="cpu", **options)
    assert isinstance(found, LoadedLibra)
    # Mapped tensors lie where their file has them, and how they lie decides in which order sums are made.
    for parameter in found.model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.clone()
    return found


def answer(model: LoadedLibra, length: int = 12) -> tuple[Tensor, list[int]]:
    """The logits after a prompt with two images and after each of the likeliest tokens, and these tokens."""
    pictures = [model.see(picture) for picture in PICTURES]
    put = model.embed(model.ask("Any change?", has_prior=True)[1], *pictures)
    session = Session(model.language_model, put.embeddings)
    logits, tokens = [session.logits], []
    for _ in range(length):
        tokens.append(int(logits[-1].argmax()))
        logits.append(session.step(torch.tensor([tokens[-1]])))
    return torch.cat(logits), tokens


def quantised(model: nn.Module) -> dict[str, type]:
    return {name: type(one) for name, one in model.named_modules() if type(one).__module__.startswith("bitsandbytes")}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_it_is_the_merged_model_quantised_when_it_is_loaded(
    pair: tuple[Path, Path], written: Callable[[str, str], Path], tmp_path: Path, method: str, dtype: str
) -> None:
    whole = pair[0].parent / f"whole-{dtype}"
    if not whole.is_dir():
        merge(*pair, whole, dtype=dtype)
    folder = written(method, dtype)
    expected, found = loaded(whole, dtype=dtype, quantization=method), loaded(folder, dtype=dtype)
    assert found.info.quantization == method and found.info.dtype == dtype
    assert found.info.parameters == expected.info.parameters
    assert quantised(found.model) == quantised(expected.model)
    assert "model.layers.0.self_attn.k_proj" not in " ".join(quantised(found.model))
    one, other = answer(expected), answer(found)
    assert torch.equal(one[0], other[0]) and one[1] == other[1]
    size = {place: (place / "model.safetensors").stat().st_size for place in (whole, folder)}
    assert size[folder] < size[whole]
    assert json.loads((folder / "interval.json").read_text())["quantization"] == method
    assert fingerprint(examine(folder)) == found.info.sha256 != expected.info.sha256


@settings(max_examples=12, deadline=None)
@given(
    rows=st.sampled_from((64, 128, 192)),
    columns=st.sampled_from((64, 128, 320)),
    scale=st.sampled_from((1e-4, 1.0, 300.0)),
    method=st.sampled_from(("nf4", "int8")),
    dtype=st.sampled_from((torch.float32, torch.bfloat16, torch.float16)),
)
def test_what_is_read_back_is_what_was_quantised(
    tmp_path_factory: pytest.TempPathFactory, rows: int, columns: int, scale: float, method: str, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(rows + columns)
    model = nn.Sequential(nn.Linear(columns, rows)).requires_grad_(False)
    model[0].weight.data = (scale * torch.randn(rows, columns, generator=generator)).to(dtype)
    model[0].bias.data = model[0].bias.data.to(dtype)
    folder = tmp_path_factory.mktemp("packed")
    tensors = stored.pack("0.weight", model[0].weight.data, method)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    found = stored.gathered(look(folder))
    assert found.problems == () and list(found.entries) == ["0.weight"] and stored.method(found) == method
    assert found.entries["0.weight"].shape == (rows, columns) and found.parameters == rows * columns
    again = nn.Sequential(nn.Linear(columns, rows)).to(dtype).requires_grad_(False)
    again[0].bias = model[0].bias
    again[0].weight = nn.Parameter(stored.stand_ins(found, dtype)["0.weight"], requires_grad=False)
    stored.put(again, found, CPU)
    quantise(model, method, CPU)
    values = torch.randn(3, columns, generator=generator).to(dtype)
    assert type(again[0]) is type(model[0]) and torch.equal(again[0](values), model[0](values))


def as_llama(folder: Path, target: Path, **config: Any) -> Path:
    """The language model of a folder as one that transformers reads by itself."""
    target.mkdir()
    tensors = {n: t for n, t in load_file(folder / "model.safetensors").items() if "mm_projector" not in n}
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    said = {k: v for k, v in json.loads((folder / "config.json").read_text()).items() if not k.startswith("mm_")}
    said |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]} | config
    (target / "config.json").write_text(json.dumps(said))
    return target


def logits(model: Any) -> Tensor:
    prompt = torch.randn(1, 20, SIZES["hidden_size"], generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        found: Tensor = model.eval()(inputs_embeds=prompt).logits
    return found


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_transformers_reads_what_we_have_written(
    written: Callable[[str, str], Path], tmp_path: Path, method: str
) -> None:
    folder = written(method, "float32")
    theirs = transformers.LlamaForCausalLM.from_pretrained(
        as_llama(folder, tmp_path / "llama"), dtype=torch.float32, device_map="cpu"
    )
    ours = loaded(folder, dtype="float32").language_model
    assert quantised(theirs) == quantised(ours)
    assert torch.equal(logits(theirs), logits(ours))


@pytest.mark.parametrize(
    "how",
    [
        {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
        {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False},
        {"load_in_8bit": True},
    ],
)
def test_we_read_what_transformers_has_written(
    pair: tuple[Path, Path], changed: Callable[..., Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    config = transformers.BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.float32, **how)
    theirs = transformers.LlamaForCausalLM.from_pretrained(
        as_llama(pair[0], tmp_path / "llama"), dtype=torch.float32, device_map="cpu", quantization_config=config
    )
    theirs.save_pretrained(tmp_path / "theirs")

    def put(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if "mm_projector" not in name]:
            del tensors[name]
        tensors |= load_file(tmp_path / "theirs" / "model.safetensors")

    said = json.loads((tmp_path / "theirs" / "config.json").read_text())["quantization_config"]
    ours = loaded(changed("nf4", put, quantization_config=said), dtype="float32")
    assert ours.info.quantization == ("nf4" if "load_in_4bit" in how else "int8")
    assert torch.equal(logits(theirs), logits(ours.language_model))


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_its_memory_is_counted_as_it_is(written: Callable[[str, str], Path], method: str) -> None:
    found = survey(written(method, "float32"))
    counted = footprint(found)
    assert counted["bfloat16"] == counted["nf4"] == counted["int8"] < counted["float32"]
    other = {"nf4": "int8", "int8": "nf4"}[method]
    options = {"device": "cpu", "beams": 1, "new_tokens": 64, "free": 10**9}
    assert plan(found, precision=other, **options) is None
    same = plan(found, precision=method, **options)
    assert same is not None and same.loading == 0, "nothing is quantised, so nothing waits for it"
    whole = plan(found, precision="float32", **options)
    assert whole is not None and whole.weights < 4 * found.weights.parameters


def test_it_runs_as_it_is_stored_and_in_no_other_way(written: Callable[[str, str], Path]) -> None:
    folder = written("nf4", "float32")
    assert loaded(folder, quantization="nf4").info.quantization == "nf4"
    with pytest.raises(UsageError, match="runs in nf4 alone"):
        loaded(folder, quantization="int8")


def test_an_adapter_goes_on_the_base_that_is_not_quantised(
    written: Callable[[str, str], Path], pair: tuple[Path, Path]
) -> None:
    found = examine(pair[1], base=written("nf4", "float32"))
    assert "stored quantised; put it on the base in 16 or 32 bits" in " ".join(found.problems)


def replaced(name: str, tensor: Tensor) -> Edit:
    return lambda tensors: tensors.update({name: tensor})


def said(**changes: Any) -> Edit:
    """The JSON text of a matrix with other values."""

    def edit(tensors: dict[str, Tensor]) -> None:
        name = f"{Q}.quant_state.bitsandbytes__nf4"
        content = json.loads(bytes(tensors[name].tolist())) | changes
        tensors[name] = torch.tensor(list(json.dumps(content).encode()), dtype=torch.uint8)

    return edit


NF4_TEXT = f"{Q}.quant_state.bitsandbytes__nf4"
WRONG: list[tuple[str, Edit, str]] = [
    ("nf4", said(shape=[64, 65]), "contradicts itself"),
    ("nf4", said(shape=[1, 4096]), "has the shape [1, 4096], the configuration says [64, 64]"),
    ("nf4", said(shape="all"), "contradicts itself"),
    ("nf4", said(shape=[-64, -64]), "contradicts itself"),
    ("nf4", said(quant_type="fp4"), "contradicts itself"),
    ("nf4", said(blocksize=128), "contradicts itself"),
    ("nf4", said(dtype="load"), "contradicts itself"),
    ("nf4", said(nested_offset="__import__"), "contradicts itself"),
    ("nf4", said(nested_dtype="float16"), "contradicts itself"),
    ("nf4", replaced(NF4_TEXT, torch.tensor(list(b"{" * 90), dtype=torch.uint8)), "contradicts itself"),
    ("nf4", replaced(NF4_TEXT, torch.zeros(100_000, dtype=torch.uint8)), "contradicts itself"),
    ("nf4", replaced(f"{Q}.absmax", torch.zeros(63, dtype=torch.uint8)), "contradicts itself"),
    ("nf4", lambda tensors: tensors.pop(f"{Q}.absmax"), "contradicts itself"),
    ("nf4", lambda tensors: tensors.pop(NF4_TEXT), "whole numbers without the scales"),
    ("nf4", lambda tensors: tensors.pop(Q), "not supported; nf4 and int8 are"),
    ("nf4", lambda t: t.update({f"{Q}.quant_state.bitsandbytes__fp4": t.pop(NF4_TEXT)}), "stored in fp4"),
    ("nf4", lambda t: t.update(stored.pack("lm_head.weight", torch.randn(512, 64), "nf4")), "only the language model"),
    ("nf4", lambda t: t.update(stored.pack("model.layers.1.mlp.up_proj.weight", torch.zeros(128, 64), "int8")),
     "partly in nf4 and partly in int8"),
    ("int8", lambda tensors: tensors.pop("model.layers.0.self_attn.q_proj.SCB"), "whole numbers without the scales"),
    ("int8", replaced("model.layers.0.self_attn.q_proj.SCB", torch.ones(3)), "contradicts itself"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "edit", "words"), WRONG)
def test_what_is_wrong_is_found_before_anything_is_loaded(
    changed: Callable[..., Path], method: str, edit: Edit, words: str
) -> None:
    folder = changed(method, edit)
    assert words in " | ".join(examine(folder).problems)
    with pytest.raises(ModelError):
        load_model(folder)


def test_values_that_are_no_numbers_and_another_order_of_bytes_are_refused(changed: Callable[..., Path]) -> None:
    order = replaced("model.layers.0.self_attn.q_proj.weight_format", torch.tensor(2, dtype=torch.uint8))
    with pytest.raises(ModelError, match="order of its bytes"):
        load_model(changed("int8", order))


def test_scales_that_are_no_numbers_are_refused(changed: Callable[..., Path]) -> None:
    folder = changed("nf4", replaced(f"{Q}.nested_absmax", torch.full((1,), float("nan"))))
    with pytest.raises(ModelError, match="not numbers"):
        load_model(folder)


def test_other_ways_of_storing_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(pair[0].parent / "tower", tmp_path / "tower")
    folder = tmp_path / "model"
    shutil.copytree(pair[0], folder)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert "stored quantised (gptq), which is not supported" in " ".join(examine(folder).problems)


def test_a_model_without_such_layers_is_not_written(tiny: Path, tmp_path: Path) -> None:
    from test_adapters import make_adapter

    shutil.copytree(tiny.parent, tmp_path / "models")
    base = tmp_path / "models" / tiny.name
    make_adapter(base, tmp_path / "models" / "adapter")
    with pytest.raises(UsageError, match="no layers that can be stored quantised"):
        merge(base, tmp_path / "models" / "adapter", tmp_path / "out", quantization="nf4")
    with pytest.raises(UsageError, match="no quantisation named"):
        merge(base, tmp_path / "models" / "adapter", tmp_path / "out", quantization="q4")
    assert not (tmp_path / "out").exists()


def test_only_libras_format_is_written_so(tmp_path: Path) -> None:
    from tiny_multimodal import adapter, llava

    base = llava(tmp_path / "llava")
    put_on = adapter(base, tmp_path / "adapter", ("q_proj",))
    with pytest.raises(UsageError, match="Libra's format"):
        merge(base, put_on, tmp_path / "out", quantization="nf4")
    assert fingerprint(examine(put_on, base=base)) == load_model(put_on, base=base).info.sha256


def test_the_fingerprint_is_that_of_the_loaded_model(pair: tuple[Path, Path]) -> None:
    assert fingerprint(examine(pair[0])) == load_model(pair[0]).info.sha256
    assert fingerprint(examine(pair[1])) == load_model(pair[1]).info.sha256 != load_model(pair[0]).info.sha256

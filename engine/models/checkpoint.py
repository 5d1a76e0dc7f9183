"""Load a model of any family, and write one in Libra's checkpoint format.

``load_model`` examines the folder first (recognition.py) and reads tensors only if nothing is wrong. ``save_model``
writes what ``load_model`` reads, the tower in a folder of its own inside the model's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import UsageError
from engine.models import families, provenance, quantisation, recognition
from engine.models.assembly import quiet
from engine.models.composite import LibraModel
from engine.models.libra import CONNECTOR, LoadedLibra
from engine.models.loaded import LoadedModel, ModelInfo, Precision, Prompt
from engine.models.memory import memory_errors
from engine.models.preprocessing import ImageProcessor, Padding

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "LoadedLibra",
    "LoadedModel",
    "ModelInfo",
    "Prompt",
    "choose_device",
    "choose_dtype",
    "load_model",
    "save_model",
]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOWER_FOLDER = "dinov2"
"""Libra tells the kind of a tower by its name, so the name says it."""

WEIGHTS = ("model.safetensors", f"{TOWER_FOLDER}/model.safetensors")
"""Files that ``save_model`` writes."""

LANGUAGE_FIELDS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps", "pad_token_id", "bos_token_id",
    "eos_token_id", "tie_word_embeddings", "attention_bias", "attention_dropout", "mlp_bias", "head_dim",
)  # fmt: skip
"""Of a llama, in the order in which they are written."""


def load_model(
    path: str | Path,
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    merge: bool = True,
    dtype: str = "auto",
    quantization: str = "none",
    device: str = "auto",
    tower: str | Path | None = None,
    template: str | None = None,
) -> LoadedModel:
    """Load a model.

    Args:
        path: the model folder: a full checkpoint, or an adapter or a projector over a base.
        base: the base of an adapter or projector, instead of the one it names.
        adapter: an adapter folder to put on ``path``.
        merge: add an adapter to the weights instead of keeping it beside them.
        dtype: "float32", "bfloat16", "float16", "auto" or "fastest"; see choose_dtype.
        quantization: "int8" or "nf4" for the language model's layers, or "none".
        device: "cpu", "cuda" (or "cuda:1"), or "auto": the first GPU if there is one.
        tower: folder of the vision tower, instead of the one the checkpoint names.
        template: name of the conversation template, instead of the one the rules choose.

    Raises:
        ModelError: the folder cannot be used; ``problems`` lists everything wrong at once.
        ResourceError: it does not fit into memory.
        UsageError: an unknown dtype, quantisation, device or template.
    """
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    folder = recognition.examine(Path(path).expanduser(), base=base, adapter=adapter, tower=tower, template=template)
    folder.check()
    with memory_errors(f"There is not enough memory to load {folder.name}; a smaller dtype (bfloat16) needs less."):
        family = families.of(folder.config, folder.weights)
        assert family is not None  # or check would have raised
        return family.load(folder, Precision(place, kind, quantisation.check(quantization), merge))


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, else the CPU. Raises UsageError for one that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise UsageError(f"There is no device named {device!r}; use auto, cpu or cuda.") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("This machine has no GPU that PyTorch can use; use --device cpu.")
    if place.type not in ("cpu", "cuda"):
        raise UsageError(f"The device {device!r} is not supported; use auto, cpu or cuda.")
    return place


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype of that name. Raises UsageError for another one.

    "auto" is bfloat16 on a GPU and float32 on a CPU; "fastest" is bfloat16 as well on a CPU that computes in it.
    """
    if dtype == "fastest":
        return torch.bfloat16 if device.type == "cuda" or computes_in_bfloat16() else torch.float32
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"There is no dtype named {dtype!r}; use auto, fastest, {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def computes_in_bfloat16() -> bool:
    """Whether the processor has instructions for it (AVX512-BF16, AMX); without them it is slower than float32."""
    known: Any = torch.cpu
    return bool(known._is_avx512_bf16_supported() or known._is_amx_tile_supported())


def save_model(
    model: LibraModel,
    tokenizer: PreTrainedTokenizerBase,
    processor: ImageProcessor,
    folder: str | Path,
    *,
    conversation: str,
    name: str,
    license: str = "",
    demonstration: bool = False,
) -> Path:
    """Write a model folder in Libra's checkpoint format, with the tower inside it, and return it.

    Writes config.json, generation_config.json, model.safetensors, the tokenizer's files, interval.json and ``dinov2/``.
    The same model gives the same bytes. The folder's other files are left alone.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    language = model.language_model
    state = {key: tensor for key, tensor in language.state_dict().items() if key.startswith(("model.", "lm_head."))}
    if language.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    state |= {CONNECTOR + key: tensor for key, tensor in model.connector.state_dict().items()}
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    partial = folder / f".model.{os.getpid()}.partial"
    save_file(state, partial, metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")

    with quiet():
        model.vision_tower.save_pretrained(folder / TOWER_FOLDER)
        tokenizer.save_pretrained(folder)
    _write(folder / TOWER_FOLDER / "preprocessor_config.json", processor.to_config())
    _write(folder / "config.json", _libra_config(model, processor, len(tokenizer)))
    _write(
        folder / "generation_config.json",
        {"bos_token_id": language.config.bos_token_id, "eos_token_id": language.config.eos_token_id},
    )
    own = {
        "name": name,
        "conversation": conversation,
        "demonstration": demonstration,
        "license": license,
        "padding": processor.padding.value,
        "card": "README.md",
        "sha256": {name: provenance.digest(folder / name, lambda size: None) for name in WEIGHTS},
    }
    _write(folder / "interval.json", own)
    return folder


def _libra_config(model: LibraModel, processor: ImageProcessor, vocabulary: int) -> dict[str, Any]:
    language = model.language_model.config
    fields = {key: getattr(language, key) for key in LANGUAGE_FIELDS}
    rope = dict(language.rope_parameters)
    theta = rope.pop("rope_theta")
    if model.connector.heads != language.num_attention_heads:
        fields["mm_tac_heads"] = model.connector.heads  # ours: in published models the two are the same
    return fields | {
        "architectures": ["LibraLlamaForCausalLM"],
        "model_type": "libra",
        "vocab_size": vocabulary,
        "rope_theta": theta,
        "rope_scaling": None if rope.get("rope_type", "default") == "default" else rope,
        "torch_dtype": str(model.language_model.dtype).removeprefix("torch."),
        "use_cache": True,
        "mm_vision_tower": TOWER_FOLDER,
        "mm_hidden_size": model.vision_tower.config.hidden_size,
        "mm_projector_type": "TAC",
        "mm_vision_select_layer": "all",
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "use_mm_proj": True,
        "image_aspect_ratio": "pad" if processor.padding is Padding.MEAN else "square",
        "tokenizer_padding_side": "right",
        "tokenizer_model_max_length": language.max_position_embeddings,
    }


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(dict(content), indent=2, sort_keys=True) + "\n", encoding="utf-8")

"""Write a model in Libra's checkpoint format, as load_model reads it, the tower in a folder of its own inside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.models import provenance
from engine.models.assembly import quiet
from engine.models.composite import LibraModel
from engine.models.libra import CONNECTOR
from engine.models.preprocessing import ImageProcessor, Padding
from engine.models.towers import KINDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL = "model.safetensors"
TOWER_FOLDERS = {"dinov2": "dinov2", "clip_vision_model": "clip", "siglip_vision_model": "siglip"}
"""Libra tells the kind of a tower by its name, so the name says it."""

LANGUAGE_FIELDS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps", "pad_token_id", "bos_token_id",
    "eos_token_id", "tie_word_embeddings", "attention_bias", "attention_dropout", "mlp_bias", "head_dim",
)  # fmt: skip
"""Of a llama, in the order in which they are written."""


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
    config: Mapping[str, Any] | None = None,
    stop_ids: Sequence[int] = (),
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a model folder in Libra's checkpoint format, with the tower inside it, and return it.

    Writes config.json, generation_config.json, model.safetensors, the tokenizer's files, interval.json and the tower's
    folder. The same model gives the same bytes. The folder's other files are left alone.

    Args:
        config: of the checkpoint the model was loaded from, whose fields are kept; None for a llama that is new.
        stop_ids: ids that end an answer; the language model's own unless given.
        dtype: of language model and connector in the file; as they are unless given.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    language = model.language_model
    state = {key: tensor for key, tensor in language.state_dict().items() if key.startswith(("model.", "lm_head."))}
    if language.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    state |= {CONNECTOR + key: tensor for key, tensor in model.connector.state_dict().items()}
    state = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in state.items()}
    partial = folder / f".model.{os.getpid()}.partial"
    save_file(state, partial, metadata={"format": "pt"})
    partial.replace(folder / MODEL)

    tower = TOWER_FOLDERS[model.vision_tower.config.model_type]
    with quiet():
        _save_tower(model.vision_tower, folder / tower)
        tokenizer.save_pretrained(folder)
    _write(folder / tower / "preprocessor_config.json", processor.to_config())
    made = _new_config(model, processor) if config is None else _kept_config(config)
    said = str(dtype or language.dtype).removeprefix("torch.")
    _write(folder / "config.json", made | {"vocab_size": len(tokenizer), "torch_dtype": said, "mm_vision_tower": tower})
    eos = list(stop_ids) if len(stop_ids) > 1 else (stop_ids[0] if stop_ids else language.config.eos_token_id)
    _write(folder / "generation_config.json", {"bos_token_id": language.config.bos_token_id, "eos_token_id": eos})
    own = {
        "name": name,
        "conversation": conversation,
        "demonstration": demonstration,
        "license": license,
        "padding": processor.padding.value,
        "card": "README.md",
        "sha256": {name: provenance.digest(folder / name, lambda size: None) for name in (MODEL, f"{tower}/{MODEL}")},
    }
    _write(folder / "interval.json", own)
    return folder


def _save_tower(tower: Any, folder: Path) -> None:
    """The tower's configuration and weights, by the names that its published files have."""
    from safetensors.torch import load_file, save_file

    tower.save_pretrained(folder)
    prefix = KINDS[tower.config.model_type].prefix
    state = load_file(folder / MODEL)
    if not all(name.startswith(prefix) for name in state):
        partial = folder / f".model.{os.getpid()}.partial"
        save_file({prefix + name: tensor for name, tensor in state.items()}, partial, metadata={"format": "pt"})
        partial.replace(folder / MODEL)


def _kept_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the checkpoint a model came from, but those that say where its tower is and how it was trained."""
    return {
        key: value for key, value in config.items() if key not in ("unfreeze_mm_vision_tower", "tune_mm_mlp_adapter")
    }


def _new_config(model: LibraModel, processor: ImageProcessor) -> dict[str, Any]:
    language = model.language_model.config
    fields = {key: getattr(language, key) for key in LANGUAGE_FIELDS}
    rope = dict(language.rope_parameters)
    theta = rope.pop("rope_theta")
    if model.connector.heads != language.num_attention_heads:
        fields["mm_tac_heads"] = model.connector.heads  # ours: in published models the two are the same
    return fields | {
        "architectures": ["LibraLlamaForCausalLM"],
        "model_type": "libra",
        "rope_theta": theta,
        "rope_scaling": None if rope.get("rope_type", "default") == "default" else rope,
        "use_cache": True,
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

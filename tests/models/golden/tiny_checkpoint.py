"""A tiny TAC checkpoint made from a seed: a 12-block DINOv2 tower, TAC and a 2-layer llama, 60 000 values.

The weights come from numpy's RandomState, whose stream is frozen for good, and are rounded to what bfloat16 can hold,
so that the same checkpoint exists everywhere and in every dtype. It is written with safetensors and plain JSON, not
by the program under test. The language model has fewer key heads than query heads, and wide embeddings, so that its
answers depend on the images.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

SEED = 20240611
TOWER_NAME = "towers/dinov2-tiny"
VISION = {
    "model_type": "dinov2",
    "architectures": ["Dinov2Model"],
    "hidden_size": 24,
    "num_hidden_layers": 12,
    "num_attention_heads": 2,
    "mlp_ratio": 2,
    "image_size": 56,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
    "hidden_act": "gelu",
    "layerscale_value": 1.0,
    "num_channels": 3,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
}
PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 56},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 56, "width": 56},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5307] * 3,
    "image_std": [0.2583] * 3,
}
WORDS = ["the", "pleural", "effusion", "right", "left", "no", "unchanged", "lung", "is", "small", "heart", "clear"]
ALPHABET = [chr(c) for c in range(0x21, 0x7F)]


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces and merges of a SentencePiece-like tokenizer: bytes, printable ASCII, a few words."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581", *ALPHABET]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        part = "\u2581"
        for letter in word:
            if (part, letter) not in merges:
                merges.append((part, letter))
                pieces.append(part + letter)
            part += letter
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}, merges


def language_config() -> dict[str, object]:
    return {
        "model_type": "libra",
        "architectures": ["LibraLlamaForCausalLM"],
        "vocab_size": len(vocabulary()[0]),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "mm_vision_tower": TOWER_NAME,
        "mm_hidden_size": 24,
        "mm_projector_type": "TAC",
        "mm_vision_select_layer": "all",
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "pad",
    }


def build(root: Path) -> Path:
    """Write the checkpoint to ``root/tiny`` and its tower to ``root/towers/dinov2-tiny``; the model's folder."""
    stream = np.random.RandomState(SEED)
    model, tower = root / "tiny", root / TOWER_NAME
    model.mkdir(parents=True)
    tower.mkdir(parents=True)
    config = language_config()
    save_file({n: _draw(stream, n, s) for n, s in _tower_shapes()}, tower / "model.safetensors", {"format": "pt"})
    tensors = {n: _draw(stream, n, s) for n, s in (*_language_shapes(config), *_connector_shapes())}
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    _json(tower / "config.json", VISION)
    _json(tower / "preprocessor_config.json", PREPROCESSOR)
    _json(model / "config.json", config)
    _json(model / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    _json(model / "interval.json", {"conversation": "libra_v1", "demonstration": True, "name": "Tiny"})
    write_tokenizer(model)
    return model


def write_tokenizer(folder: Path) -> None:
    from transformers import LlamaTokenizer

    pieces, merges = vocabulary()
    LlamaTokenizer(vocab=pieces, merges=merges, pad_token="<unk>", add_bos_token=True).save_pretrained(folder)


def _draw(stream: np.random.RandomState, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    values = stream.standard_normal(shape)
    if name.endswith("bias") or "bias_" in name:
        values = 0.2 * values
    elif "norm" in name or "layer_scale" in name:
        values = 1 + 0.2 * values
    elif name.endswith("embed_tokens.weight"):
        pass
    elif name == "lm_head.weight":
        values = 0.5 * values
    else:
        values = 1.5 * values / max(1.0, float(np.prod(shape[1:]))) ** 0.5
    return torch.from_numpy(np.asarray(values)).to(torch.bfloat16)


def _tower_shapes() -> list[tuple[str, tuple[int, ...]]]:
    d, inner = 24, 48
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("embeddings.cls_token", (1, 1, d)),
        ("embeddings.mask_token", (1, d)),
        ("embeddings.patch_embeddings.projection.bias", (d,)),
        ("embeddings.patch_embeddings.projection.weight", (d, 3, 14, 14)),
        ("embeddings.position_embeddings", (1, 17, d)),
        ("layernorm.weight", (d,)),
        ("layernorm.bias", (d,)),
    ]
    for n in range(12):
        layer = f"encoder.layer.{n}."
        for part in ("attention.attention.query", "attention.attention.key", "attention.attention.value"):
            shapes += [(f"{layer}{part}.weight", (d, d)), (f"{layer}{part}.bias", (d,))]
        shapes += [
            (f"{layer}attention.output.dense.weight", (d, d)),
            (f"{layer}attention.output.dense.bias", (d,)),
            (f"{layer}layer_scale1.lambda1", (d,)),
            (f"{layer}layer_scale2.lambda1", (d,)),
            (f"{layer}mlp.fc1.weight", (inner, d)),
            (f"{layer}mlp.fc1.bias", (inner,)),
            (f"{layer}mlp.fc2.weight", (d, inner)),
            (f"{layer}mlp.fc2.bias", (d,)),
        ]
        for norm in ("norm1", "norm2"):
            shapes += [(f"{layer}{norm}.weight", (d,)), (f"{layer}{norm}.bias", (d,))]
    return shapes


def _language_shapes(config: dict[str, object]) -> list[tuple[str, tuple[int, ...]]]:
    h, inner, v = 32, 64, int(str(config["vocab_size"]))
    shapes: list[tuple[str, tuple[int, ...]]] = [("model.embed_tokens.weight", (v, h))]
    for n in range(2):
        layer = f"model.layers.{n}."
        shapes += [
            (layer + "self_attn.q_proj.weight", (h, h)),
            (layer + "self_attn.k_proj.weight", (h // 2, h)),
            (layer + "self_attn.v_proj.weight", (h // 2, h)),
            (layer + "self_attn.o_proj.weight", (h, h)),
            (layer + "mlp.gate_proj.weight", (inner, h)),
            (layer + "mlp.up_proj.weight", (inner, h)),
            (layer + "mlp.down_proj.weight", (h, inner)),
            (layer + "input_layernorm.weight", (h,)),
            (layer + "post_attention_layernorm.weight", (h,)),
        ]
    return [*shapes, ("model.norm.weight", (h,)), ("lm_head.weight", (v, h))]


def _connector_shapes() -> list[tuple[str, tuple[int, ...]]]:
    d, h = 24, 32
    shapes: list[tuple[str, tuple[int, ...]]] = [("LFE_prior_bias", ())]
    for n, (wide, narrow) in enumerate(((12, 6), (6, 3), (3, 1))):
        shapes += [
            (f"LFE.{2 * n}.fc1.weight", (narrow, wide, 1, 1)),
            (f"LFE.{2 * n}.fc1.bias", (narrow,)),
            (f"LFE.{2 * n}.fc2.weight", (wide, narrow, 1, 1)),
            (f"LFE.{2 * n}.fc2.bias", (wide,)),
            (f"LFE.{2 * n + 1}.weight", (narrow, wide, 1, 1)),
        ]
    for attention in ("cur_self_attention", "prior_self_attention", "cros_attention"):
        shapes += [
            (f"{attention}.in_proj_weight", (3 * d, d)),
            (f"{attention}.in_proj_bias", (3 * d,)),
            (f"{attention}.bias_k", (1, 1, d)),
            (f"{attention}.bias_v", (1, 1, d)),
            (f"{attention}.out_proj.weight", (d, d)),
            (f"{attention}.out_proj.bias", (d,)),
        ]
    for n in range(1, 5):
        shapes += [(f"norm{n}.weight", (d,)), (f"norm{n}.bias", (d,))]
    for n in (0, 3):
        shapes += [(f"mlp_attn.{n}.weight", (d, d)), (f"mlp_attn.{n}.bias", (d,))]
    for n in (0, 2, 4, 6):
        shapes += [(f"mlp_final.{n}.weight", (h, d if n == 0 else h)), (f"mlp_final.{n}.bias", (h,))]
    return [(f"model.mm_projector.{name}", shape) for name, shape in shapes]


def _json(file: Path, content: dict[str, object]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

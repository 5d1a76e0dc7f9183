"""Tiny checkpoints in Libra's format of every language model, tower and projector, made with transformers' classes.

The weights are random and large enough that an answer depends on the picture. What a model must compute is worked out
by ``Expected`` with plain transformers calls, without the code under test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tiny_checkpoint import PREPROCESSOR, language_config, vocabulary, write_tokenizer
from torch import Tensor, nn

TEXT = {
    "vocab_size": len(vocabulary()[0]), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": False,
}  # fmt: skip
VISION = {
    "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
    "intermediate_size": 48,
}  # fmt: skip
TOWERS = {
    "dinov2": (transformers.Dinov2Config, transformers.Dinov2Model, ""),
    "clip": (transformers.CLIPVisionConfig, transformers.CLIPVisionModel, "vision_model."),
    "siglip": (transformers.SiglipVisionConfig, transformers.SiglipVisionModel, "vision_model."),
}
LANGUAGES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM),
}


@dataclass(frozen=True)
class Expected:
    """A checkpoint's folder and its parts as plain modules."""

    folder: Path
    tower: Any
    projector: nn.Module
    text: Any
    layer: int
    first: int
    normed: bool

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """``[1, N, H]`` as Libra's code computes them."""
        output = self.tower(pixels, output_hidden_states=True)
        features = output.last_hidden_state if self.normed else output.hidden_states[self.layer]
        tokens: Tensor = self.projector(features[:, self.first :])
        return tokens

    def input(self, ids: list[int], pixels: Tensor) -> Tensor:
        """The language model's input as transformers 5 takes it: embeddings with Gemma's scale on them."""
        at = ids.index(-200)
        scale = 32**0.5 if self.text.config.model_type == "gemma" else 1.0
        parts = [
            torch.nn.functional.embedding(torch.tensor([part]), self.text.get_input_embeddings().weight)
            for part in (ids[:at], ids[at + 1 :])
        ]
        return scale * torch.cat((parts[0], self.image_tokens(pixels), parts[1]), dim=1)


def build(
    root: Path,
    *,
    language: str = "llama",
    tower: str = "clip",
    projector: str = "mlp2x_gelu",
    text: dict[str, Any] | None = None,
    **config: Any,
) -> Expected:
    """Write a checkpoint to ``root/model`` and its tower to ``root/tower``. ``config``: Libra's fields."""
    torch.manual_seed(11)
    tower_config, tower_class, prefix = TOWERS[tower]
    vision = tower_class(tower_config(**VISION, **({"mlp_ratio": 2} if tower == "dinov2" else {}))).eval()
    text_config, text_class = LANGUAGES[language]
    lm = text_class(text_config(**TEXT | (text or {}))).eval()
    depth = int(projector[3]) if projector.startswith("mlp") else 0
    width = lm.config.hidden_size
    layers: list[nn.Module] = [nn.Linear(24, width)]
    for _ in range(1, depth):
        layers += [nn.GELU(), nn.Linear(width, width)]
    head = nn.Sequential(*layers) if depth else layers[0]
    for module in (vision, lm, head):
        _randomise(module)

    folder, beside = root / "model", root / "tower"
    vision.save_pretrained(beside)  # transformers writes the names that published towers have
    whole = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}.get(tower)
    if whole is not None:  # towers are published as half of a larger model
        (beside / "config.json").write_text(json.dumps(whole(vision_config=vision.config.to_dict()).to_dict()))
        state = {prefix + name: tensor.contiguous() for name, tensor in vision.state_dict().items()}
        save_file({"logit_scale": torch.zeros(()), **state}, beside / "model.safetensors", {"format": "pt"})
    (beside / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    lm.save_pretrained(folder)
    state = dict(lm.state_dict())
    if lm.config.tie_word_embeddings:
        del state["lm_head.weight"]
    state |= {f"model.mm_projector.projector.{name}": tensor for name, tensor in head.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    libra = {key: value for key, value in language_config().items() if key.startswith(("mm_", "image_"))}
    libra |= {"mm_vision_tower": "tower", "mm_projector_type": projector, "mm_vision_select_layer": "-2", **config}
    written = json.loads((folder / "config.json").read_text()) | libra
    written |= {"model_type": f"libra_{language}", "architectures": [f"Libra{text_class.__name__}"]}
    (folder / "config.json").write_text(json.dumps(written))
    write_tokenizer(folder)
    return Expected(
        folder, vision, head, lm,
        layer=int(libra["mm_vision_select_layer"]),
        first=0 if libra["mm_vision_select_feature"] == "cls_patch" else 1,
        normed=bool(libra.get("use_maira_feature_norm")),
    )  # fmt: skip


@torch.no_grad()
def _randomise(module: nn.Module) -> None:
    gemma = getattr(getattr(module, "config", None), "model_type", "") == "gemma"
    for name, value in module.named_parameters():
        noise = torch.randn_like(value)
        if "norm" in name and name.endswith("weight"):
            value.copy_((0.0 if gemma else 1.0) + 0.2 * noise)  # Gemma's norms multiply by 1 + weight
        elif value.ndim < 2:
            value.copy_(0.2 * noise)
        elif "embed_tokens" in name:
            value.copy_(noise * (0.1 if module.config.tie_word_embeddings else 1.0))  # else it repeats itself
        else:
            value.copy_(1.5 * noise / max(1.0, float(value[0].numel())) ** 0.5)

"""A tiny llama and transformers' own decoding of it, with its own cache and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

VOCABULARY = 23


def llama(seed: int = 0, *, key_heads: int = 2, vocabulary: int = VOCABULARY, sharpness: float = 2.0) -> Any:
    """A random llama whose answers are neither uniform nor certain; freely chosen shapes, float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=key_heads,
        max_position_embeddings=512,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 1.0 if "embed" in name else 1.5 / parameter.shape[1] ** 0.5)
        model.lm_head.weight.mul_(sharpness)
    return model


def embeddings(seed: int, length: int = 11) -> Tensor:
    """A prompt of random embeddings ``[1, length, 32]``."""
    return torch.randn(1, length, 32, generator=torch.Generator().manual_seed(seed))


def theirs(model: Any, prompt: Tensor, **options: Any) -> Any:
    """What ``generate`` returns."""
    model.set_attn_implementation("sdpa")
    with torch.inference_mode():
        return model.generate(
            inputs_embeds=prompt, pad_token_id=0, return_dict_in_generate=True, output_scores=True, **options
        )


def cut(row: Tensor, stops: list[int]) -> list[int]:
    """A row of ``generate`` without the padding after its first stop id."""
    ids: list[int] = row.tolist()
    ends = [position for position, token in enumerate(ids) if token in stops]
    return ids[: ends[0] + 1] if ends else ids

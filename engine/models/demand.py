"""What the memory of a draft follows from, for a model of any family: a handful of sizes from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FILM = (2500, 3000)
"""Width and height of a radiograph, for models that see more of a larger picture."""


@dataclass(frozen=True)
class Demand:
    """Sizes of a model.

    Attributes:
        layers, key_heads, head_width: of the language model's attention.
        width, inner, vocabulary: of the language model.
        tied: whether its head is its embeddings.
        images: positions that a current and a prior image take in the prompt.
        tower_width, tower_inner, tower_blocks: of the vision tower.
        patches: positions of one image in the tower.
        mixed: layers of features the connector mixes in float32; 0 for none.
    """

    layers: int
    key_heads: int
    head_width: int
    width: int
    inner: int
    vocabulary: int
    tied: bool
    images: int
    tower_width: int
    tower_inner: int
    tower_blocks: int
    patches: int
    mixed: int = 0


def of_language_model(config: Any) -> dict[str, Any]:
    """The fields of Demand that transformers' configuration object of a language model says."""
    heads = config.num_attention_heads
    return {
        "layers": config.num_hidden_layers,
        "key_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_width": getattr(config, "head_dim", None) or config.hidden_size // heads,
        "width": config.hidden_size,
        "inner": config.intermediate_size,
        "vocabulary": config.vocab_size,
        "tied": bool(getattr(config, "tie_word_embeddings", False)),
    }

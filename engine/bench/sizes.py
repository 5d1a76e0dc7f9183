"""The sizes of the checkpoints the bench makes, and what follows from the numbers alone.

Tower, connector and language model are those of Libra: a DINOv2 tower of twelve blocks, TAC, a llama.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One size.

    Attributes:
        name: as ``--size`` takes it.
        words: what it is, for people.
        vision: fields of a Dinov2Config; language: of a LlamaConfig.
        dtype: of the files.
        film: longer side of the made-up radiographs, pixels.
        new_tokens: written in each draft.
    """

    name: str
    words: str
    vision: Mapping[str, int]
    language: Mapping[str, int]
    dtype: str
    film: int
    new_tokens: int

    @property
    def patches(self) -> int:
        """Image tokens of a pair."""
        return (self.vision["image_size"] // self.vision["patch_size"]) ** 2

    @property
    def linear_values(self) -> int:
        """Values in the linear layers of the language model, the head apart: a decode step reads each of them."""
        width, inner = self.language["hidden_size"], self.language["intermediate_size"]
        return self.language["num_hidden_layers"] * (4 * width * width + 3 * width * inner)

    @property
    def head_values(self) -> int:
        """Values in the head, of which a decode step reads each as well."""
        return self.language["hidden_size"] * self.language["vocab_size"]

    @property
    def file_bytes(self) -> int:
        """Disk the checkpoint takes, roughly: the connector is as wide as the language model and four layers deep."""
        tower = 12 * self.vision["num_hidden_layers"] * self.vision["hidden_size"] ** 2
        connector = 4 * self.language["hidden_size"] ** 2
        values = self.linear_values + 2 * self.head_values + tower + connector
        return int(1.1 * values * (4 if self.dtype == "float32" else 2)) + 10**7

    @property
    def position_values(self) -> int:
        """Keys and values the cache holds of one position."""
        return 2 * self.language["num_hidden_layers"] * self.language["hidden_size"]


def _fixed(**fields: int) -> Mapping[str, int]:
    return fields


DINOV2_BASE = _fixed(
    hidden_size=768, num_hidden_layers=12, num_attention_heads=12, mlp_ratio=4, image_size=518, patch_size=14
)

SIZES = {
    size.name: size
    for size in (
        Size(
            "tiny",
            "a few thousand values, to try the bench itself",
            _fixed(
                hidden_size=32, num_hidden_layers=12, num_attention_heads=2, mlp_ratio=2, image_size=56, patch_size=14
            ),
            _fixed(
                vocab_size=600, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4
            ),
            "float32",
            film=64,
            new_tokens=12,
        ),
        Size(
            "mid",
            "DINOv2-base at 518 px, TAC, llama 1024 x 16 layers, 32,000 tokens",
            DINOV2_BASE,
            _fixed(
                vocab_size=32_000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=16,
                num_attention_heads=16,
            ),
            "float32",
            film=768,
            new_tokens=64,
        ),
        Size(
            "7b",
            "the size of Libra-7B: DINOv2-base at 518 px, TAC, llama 4096 x 32 layers, 32,000 tokens",
            DINOV2_BASE,
            _fixed(
                vocab_size=32_000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                num_attention_heads=32,
            ),
            "bfloat16",
            film=768,
            new_tokens=64,
        ),
    )
}  # fmt: skip
"""By name."""

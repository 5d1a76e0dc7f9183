"""Published models this program knows by their configuration, never by the name of a folder.

An entry says which conversation template a checkpoint was trained with. Licences are not kept here: they are in the
model's card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """One published model: its name, the configuration fields that identify it, its template."""

    name: str
    fields: Mapping[str, Any]
    conversation: str


CATALOGUE = (
    Published(
        name="Libra v1.0 7B",
        fields={"mm_projector_type": "TAC", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32017},
        conversation="libra_v1",
    ),
    Published(
        name="Libra v1.0 3B",
        fields={"mm_projector_type": "TAC", "hidden_size": 3072, "num_hidden_layers": 28, "num_key_value_heads": 8},
        conversation="libra_llama_3",
    ),
)


def match(config: Mapping[str, Any]) -> Published | None:
    """The published model whose identifying fields are all in ``config``, or None."""
    for published in CATALOGUE:
        if all(config.get(key) == value for key, value in published.fields.items()):
            return published
    return None

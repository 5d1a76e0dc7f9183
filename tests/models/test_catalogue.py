"""The catalogue: its entries are whole, and a model is told by its configuration alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.models import conversation
from engine.models.catalogue import CATALOGUE, entry, identify, match

LIBRA_7B = {
    "architectures": ["LibraLlamaForCausalLM"], "model_type": "libra", "mm_projector_type": "TAC", "hidden_size": 4096,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32017,
    "mm_vision_tower": "microsoft/rad-dino", "mm_hidden_size": 768,
}  # fmt: skip
QWEN_7B = {"model_type": "qwen2_vl", "hidden_size": 3584, "num_hidden_layers": 28, "vocab_size": 152064}
LLAVA_7B = {"model_type": "llava", "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5", "vocab_size": 32064}}


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.hub_id)
def test_an_entry_is_whole(one: Any) -> None:
    assert one.name and one.hub_id.count("/") == 1 and one.kind in ("model", "vision tower")
    if one.conversation:
        assert conversation.template(one.conversation).name == one.conversation
    for tower in one.towers:  # what it needs can be fetched by its own name, with its own terms
        needed = entry(tower)
        assert needed is not None and needed.kind == "vision tower"
    assert entry(one.hub_id.upper()) is one
    assert one.license == one.license.lower()


def test_what_identifies_a_model() -> None:
    found = match(LIBRA_7B)
    assert found is not None and (found.hub_id, found.conversation) == ("X-iZhang/libra-v1.0-7b", "libra_v1")
    assert identify(LIBRA_7B) is found
    for key in ("mm_projector_type", "hidden_size", "num_hidden_layers", "vocab_size"):
        assert match(LIBRA_7B | {key: 1}) is None


@pytest.mark.parametrize(
    ("config", "hub_id"), [(QWEN_7B, "Qwen/Qwen2-VL-7B-Instruct"), (LLAVA_7B, "llava-hf/llava-1.5-7b-hf")]
)
def test_a_model_whose_family_has_its_own_template_decides_none(config: dict[str, Any], hub_id: str) -> None:
    found = identify(config)
    assert found is not None and found.hub_id == hub_id
    assert match(config) is None


@pytest.mark.parametrize("config", [{}, {"model_type": "libra"}, {"text_config": "lmsys/vicuna-7b-v1.5"}])
def test_what_is_not_published(config: dict[str, Any]) -> None:
    assert match(config) is None and identify(config) is None
    assert entry("nobody/nothing") is None

"""Language models: which of transformers' classes a checkpoint's configuration means.

The kind of a language model is told by ``model_type`` and ``architectures``, never by the name of a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.models import configs

CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "mistral": ("MistralConfig", "MistralForCausalLM"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
    "gemma": ("GemmaConfig", "GemmaForCausalLM"),
    "phi3": ("Phi3Config", "Phi3ForCausalLM"),
}
"""Kind -> transformers' classes. Phi-4 and Phi-4-mini are ``phi3`` to transformers, Qwen2.5 is ``qwen2``."""

SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
LAYER = "model.layers."


def kind(config: Mapping[str, Any]) -> str | None:
    """The kind of language model a Libra or plain causal language model's configuration describes, or None.

    "libra_qwen3" and "qwen3" are one kind; plain "libra" is a llama unless ``architectures`` says otherwise.
    """
    named = str(config.get("model_type", ""))
    by_architecture = {model: name for name, (_, model) in CLASSES.items()}
    found = by_architecture.get(architecture(config).removeprefix("Libra"))
    if found is not None:
        return found
    plain = named.removeprefix("libra_")
    return "llama" if named == "libra" else plain if plain in CLASSES else None


def architecture(config: Mapping[str, Any]) -> str:
    """The first of ``architectures``, or ""."""
    listed = config.get("architectures")
    return str(listed[0]) if isinstance(listed, list) and listed else ""


def configuration(name: str, config: Mapping[str, Any]) -> Any:
    """The configuration object of the kind ``name``. Raises ModelError where ``config`` cannot be one."""
    return configs.make(CLASSES[name][0], config, SIZES)


def outline(name: str, configured: Any) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of every tensor a file of this model holds. Raises ModelError for contradictions."""
    shapes = configs.outline(CLASSES[name][1], configured, configs.Stack(LAYER))
    if configured.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    return shapes


def model_class(name: str) -> Any:
    """transformers' causal language model of the kind ``name``."""
    import transformers

    return getattr(transformers, CLASSES[name][1])

"""transformers' configuration objects from files that are not trusted, and the tensors such a model must have.

Only fields that a configuration class declares itself and that describe shapes and arithmetic are passed on, so that no
file can name code, other files or another way of computing. The tensors are counted without building the model.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch

from engine.errors import ModelError

MAX_SIZE, MAX_LAYERS = 1 << 24, 1024
"""Larger numbers are damage, and would take minutes to fail."""

_ROPE = ("rope_theta", "rope_scaling", "partial_rotary_factor", "original_max_position_embeddings")
"""Where configurations before transformers 5 keep what is now ``rope_parameters``."""

_NOT_SHAPES = frozenset({
    "self", "kwargs", "transformers_version", "architectures", "output_hidden_states", "return_dict", "dtype",
    "chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id", "problem_type", "use_cache",
    "use_bidirectional_attention", "out_features", "out_indices", "apply_layernorm", "reshape_hidden_states",
})  # fmt: skip


def make(name: str, config: Mapping[str, Any], sizes: tuple[str, ...], where: str = "config.json") -> Any:
    """The object of transformers' configuration class ``name`` with what ``config`` says of it.

    Args:
        sizes: fields that must be there as whole numbers above 0.
        where: the file, for the messages.

    Raises:
        ModelError: sizes are missing or absurd, or transformers refuses the combination.
    """
    import transformers

    if not all(_is_size(config.get(key)) for key in sizes) or config.get("num_hidden_layers", 0) > MAX_LAYERS:
        raise ModelError(f"{where} lacks one of {', '.join(sizes)}")
    maker = getattr(transformers, name)
    declared = inspect.signature(maker.__init__).parameters.keys() - _NOT_SHAPES
    older = () if isinstance(config.get("rope_parameters"), Mapping) else _ROPE
    fields = {key: config[key] for key in sorted({*declared, *older}) if config.get(key) is not None}
    try:
        return maker(**fields)
    except Exception as error:  # transformers validates with many classes of exceptions, each of which names the field
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        raise ModelError(f"{where} contradicts itself: {reason}") from error


def outline(model: str, config: Any, layer: str) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of every tensor of transformers' class ``model`` with this configuration object.

    All layers are alike: one is built, without memory, and counted as often as there are layers.

    Args:
        layer: what the names of a layer's tensors begin with, the layer's number aside ("model.layers.").

    Raises:
        ModelError: the configuration contradicts itself.
    """
    import transformers

    single = copy.deepcopy(config)
    single.num_hidden_layers = 1
    if getattr(single, "layer_types", None):
        single.layer_types = single.layer_types[:1]
    try:
        with torch.device("meta"):
            built = getattr(transformers, model)._from_config(single)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"config.json contradicts itself: {error}") from error
    first = f"{layer}0."
    shapes: dict[str, tuple[int, ...]] = {}
    for key, tensor in built.state_dict().items():
        for number in range(config.num_hidden_layers if key.startswith(first) else 1):
            shapes[key.replace(first, f"{layer}{number}.", 1)] = tuple(tensor.shape)
    return shapes


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_SIZE

"""transformers' configuration objects from files that are not trusted, and the tensors such a model must have.

Only fields that a configuration class declares itself and that describe shapes and arithmetic are passed on, so that no
file can name code, other files or another way of computing. The tensors are counted without building the model.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from engine.errors import ModelError

MAX_SIZE, MAX_LAYERS = 1 << 24, 1024
"""Larger numbers are damage, and would take minutes to fail."""

_LAYERS = ("num_hidden_layers", "depth")

_ROPE = ("rope_theta", "rope_scaling", "partial_rotary_factor", "original_max_position_embeddings")
"""Where configurations before transformers 5 keep what is now ``rope_parameters``."""

_NOT_SHAPES = frozenset({
    "self", "kwargs", "transformers_version", "architectures", "output_hidden_states", "return_dict", "dtype",
    "chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id", "problem_type", "use_cache",
    "use_bidirectional_attention", "out_features", "out_indices", "apply_layernorm", "reshape_hidden_states",
})  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """Layers of a model that are all alike.

    Attributes:
        layer: what the names of a layer's tensors begin with, the layer's number aside ("model.layers.").
        part: the part of the configuration that says how many there are ("text_config"); "" for the whole.
    """

    layer: str
    part: str = ""

    def of(self, config: Any) -> Any:
        """That part of a configuration object."""
        return getattr(config, self.part) if self.part else config


def make(name: str, config: Mapping[str, Any], sizes: tuple[str, ...], where: str = "config.json") -> Any:
    """The object of transformers' configuration class ``name`` with what ``config`` says of it.

    Args:
        sizes: fields that must be there as whole numbers above 0.
        where: the file, for the messages.

    Raises:
        ModelError: sizes are missing or absurd, or transformers refuses the combination.
    """
    import transformers

    if not all(_is_size(config.get(key), MAX_LAYERS if key in _LAYERS else MAX_SIZE) for key in sizes):
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


def outline(model: str, config: Any, *stacks: Stack) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of every tensor of transformers' class ``model`` with this configuration object.

    The layers of a stack are all alike: one is built, without memory, and counted as often as there are layers.

    Raises:
        ModelError: the configuration contradicts itself.
    """
    import transformers

    single = copy.deepcopy(config)
    for stack in stacks:
        part = stack.of(single)
        part.num_hidden_layers = 1
        if getattr(part, "layer_types", None):
            part.layer_types = part.layer_types[:1]
    try:
        with torch.device("meta"):
            built = getattr(transformers, model)._from_config(single)
    except (ValueError, TypeError, RuntimeError, LookupError, ZeroDivisionError) as error:
        raise ModelError(f"config.json contradicts itself: {error}") from error
    shapes = {key: tuple(tensor.shape) for key, tensor in built.state_dict().items()}
    for stack in stacks:
        first = f"{stack.layer}0."
        for key in [key for key in shapes if key.startswith(first)]:
            for number in range(1, stack.of(config).num_hidden_layers):
                shapes[key.replace(first, f"{stack.layer}{number}.", 1)] = shapes[key]
    return shapes


def _is_size(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most

"""Weights of a language model's linear layers in 8 or 4 bits, by bitsandbytes.

    int8   LLM.int8(): one byte a value, outlying columns in the model's dtype (Dettmers et al. 2022)
    nf4    4-bit normal floats in blocks of 64 with double quantisation (Dettmers et al. 2023, QLoRA)

Tower, connector, embeddings and head stay as they are: they are a small part of the bytes and a large part of the
quality. Both work on a GPU and, slower, on the CPU.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import UsageError
from engine.models.layers import replace_linear

METHODS = ("none", "int8", "nf4")
BYTES = {"int8": 1.0 + 4 / 4096, "nf4": 0.5 + 1 / 64 + 4 / (64 * 256)}
"""Bytes a value, scales included: int8 has a float32 a row; nf4 an 8-bit scale a block, a float32 every 256 of them."""

BLOCK = 64
"""Values of an input that share a scale in nf4."""

OUTLIERS = 6.0
"""Columns of the input with values beyond this are multiplied in the model's dtype: the paper's choice."""


def check(method: str) -> str:
    """``method`` if it is one of METHODS. Raises UsageError."""
    if method not in METHODS:
        raise UsageError(f"There is no quantisation named {method!r}; use {', '.join(METHODS)}.")
    return method


def quantise(layers: nn.Module, method: str, device: torch.device) -> None:
    """Put the linear layers within ``layers`` on ``device`` in ``method``, in place.

    One after the other, so that no more than one is in memory twice. What else there is stays where it is, and so does
    a layer whose input or output is not a whole number of BLOCKs wide: no published model has one.
    """
    if method == "none":
        return

    def made(_: str, layer: nn.Linear) -> nn.Module | None:
        return _quantised(layer, method, device) if fits(layer.out_features, layer.in_features) else None

    replace_linear(layers, made)


def fits(rows: int, columns: int) -> bool:
    """Whether a layer with a weight of this shape is quantised: both are a whole number of BLOCKs."""
    return columns % BLOCK == 0 == rows % BLOCK


def library() -> Any:
    """bitsandbytes, imported when it is needed."""
    # It says at its import which kernels it has not found; that it computes without them is what is wanted here.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import bitsandbytes

    return bitsandbytes


def values(parameter: Tensor) -> int:
    """How many values a parameter holds, also where several share a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())


def empty(layer: nn.Linear, method: str) -> Any:
    """bitsandbytes' layer in the place of ``layer``: of its shape and with its bias, its weight still to be set."""
    bnb = library().nn
    shape = (layer.in_features, layer.out_features, layer.bias is not None)
    made: Any
    with torch.device("meta"):
        if method == "nf4":
            made = bnb.Linear4bit(*shape, compute_dtype=layer.weight.dtype, quant_type="nf4")
        else:
            made = bnb.Linear8bitLt(*shape, has_fp16_weights=False, threshold=OUTLIERS)
    if layer.bias is not None:
        made.bias = nn.Parameter(layer.bias.data, requires_grad=False)
    return made


def weight(values: Tensor, method: str, layer: nn.Module | None = None) -> Any:
    """bitsandbytes' parameter for ``values``, quantised when it is moved to a device; ``layer`` is its layer."""
    bnb = library().nn
    if method == "nf4":
        return bnb.Params4bit(values, requires_grad=False, quant_type="nf4", compress_statistics=True, module=layer)
    return bnb.Int8Params(values, requires_grad=False, has_fp16_weights=False)


def _quantised(layer: nn.Linear, method: str, device: torch.device) -> nn.Module:
    made = empty(layer, method)
    made.weight = weight(layer.weight.data.contiguous(), method, made)
    return made.to(device).eval()  # type: ignore[no-any-return]

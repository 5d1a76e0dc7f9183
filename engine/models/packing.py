"""Linear layers laid out for the processor: each weight once, in the order in which oneDNN's kernels read it.

A decode step multiplies every weight with a few vectors, so it is as fast as the weights are read. PyTorch's own
``linear`` reads them row by row, and on many processors far below the memory's rate as soon as there are a few vectors
(beams, a batch). oneDNN (which PyTorch brings along, and TorchInductor uses in the same way) reads blocks in order.

For drafting on the CPU only: a packed layer can be neither trained nor saved.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.models.layers import replace_linear

ROWS = 1024
"""Rows the layout is chosen for: those of a prompt. It is the same for a few, where there is room to choose at all."""

TRAINED = ("lora_A", "lora_B")
"""Layers of an adapter kept beside the weights: small, and peft looks at their weights."""


class PackedLinear(nn.Module):
    """What an ``nn.Linear`` computes, ``[..., in] -> [..., out]``, from a packed copy of its weight.

    Attributes:
        weight: opaque, of the layer's dtype; no parameter.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.data, ROWS)
        self.bias = None if layer.bias is None else layer.bias.data.clone()  # no view of a mapped file

    def forward(self, values: Tensor) -> Tensor:
        """``values`` times the transposed weight, and the bias."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(values, self.weight, self.bias, "none", [], "")
        return product

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def pack(model: nn.Module) -> None:
    """Replace the linear layers of ``model`` by packed ones, in place and one after the other.

    What else it holds on the CPU becomes its own: loaded weights are views of a mapped file, which stays mapped as a
    whole as long as there is one of them. No layer is replaced where the processor has no such kernels: on a GPU, and
    in a dtype it cannot compute in.
    """
    replace_linear(model, lambda name, layer: PackedLinear(layer) if _can_pack(name, layer.weight) else None)
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and parameter.is_floating_point():
            parameter.data = parameter.data.clone()


def _can_pack(name: str, weight: Tensor) -> bool:
    if any(part in name for part in TRAINED):
        return False
    kernels: Any = torch.ops.mkldnn
    backend: Any = torch.backends.mkldnn
    if weight.device.type != "cpu" or not backend.is_available():
        return False
    if not hasattr(kernels, "_reorder_linear_weight") or not hasattr(kernels, "_linear_pointwise"):
        return False
    supported = {
        torch.float32: lambda: True,
        torch.bfloat16: kernels._is_mkldnn_bf16_supported,
        torch.float16: kernels._is_mkldnn_fp16_supported,
    }
    return weight.dtype in supported and bool(supported[weight.dtype]())

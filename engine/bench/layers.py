"""One linear layer in each of the forms its weight can be held in: seconds for few and many rows, and the error.

What a decode step and a prompt's pass cost is mostly this. It is how the forms the engine uses were chosen:
bitsandbytes against the kernels of PyTorch that torchao's weight-only layers call (one scale a row for int8, one scale
and offset for 64 values of int4), and PyTorch's own ``linear`` against the same product from a packed weight.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.bench.measure import now
from engine.bench.sizes import Size
from engine.models.packing import pack
from engine.models.quantisation import quantise

Make = Callable[[nn.Linear], Callable[[Tensor], Tensor]]

ROWS = (1, 4, 16, 1477)
"""A greedy step, 4 beams, a batch, a prompt."""

CACHED = 2**28
"""Bytes of different weights a round goes through at least, so that no cache holds them."""

MOST = 64
"""Of those weights, where they are small."""

SHORTEST_S = 0.3
"""Of a measurement."""

GROUP = 64
"""Values of int4 that share a scale and an offset."""


@dataclass(frozen=True)
class Form:
    """A form of the weight.

    Attributes:
        seconds: a product takes, for each of ROWS.
        error: root mean square of what the product is off by, over that of the product in float32.
    """

    name: str
    seconds: tuple[float, ...]
    error: float


@dataclass(frozen=True)
class Forms:
    """All forms of a layer of this shape."""

    inputs: int
    outputs: int
    forms: tuple[Form, ...]


def measure(size: Size, device: str) -> Forms:
    """The widest layer of a language model of this size, with random weights as trained ones are spread."""
    inputs, outputs = size.language["hidden_size"], size.language["intermediate_size"]
    copies = min(MOST, max(2, CACHED // (2 * inputs * outputs)))
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs, bias=False, device=device)
    nn.init.normal_(layer.weight, 0.0, inputs**-0.5)
    values = torch.randn(max(ROWS), inputs, device=device)
    with torch.inference_mode():
        exact = layer(values)
        forms = []
        for name, make in _forms(device).items():
            products = [make(layer) for _ in range(copies)]
            off = (products[0](values.bfloat16()).float() - exact).pow(2).mean().sqrt()
            seconds = tuple(_seconds(products, values[:rows].bfloat16(), device) for rows in ROWS)
            forms.append(Form(name, seconds, float(off / exact.pow(2).mean().sqrt())))
    return Forms(inputs, outputs, tuple(forms))


def _forms(device: str) -> dict[str, Make]:
    engine: dict[str, Make] = {
        "linear": _plain,
        "nf4, bitsandbytes": _quantised("nf4"),
        "int8, bitsandbytes": _quantised("int8"),
    }
    if device != "cpu":
        return engine
    return engine | {"packed": _packed, "int4, PyTorch": _int4, "int8, PyTorch": _int8}


def _plain(layer: nn.Linear) -> nn.Module:
    copy = nn.Linear(layer.in_features, layer.out_features, bias=False, device=layer.weight.device)
    copy.weight.data.copy_(layer.weight)
    return copy.bfloat16()


def _packed(layer: nn.Linear) -> nn.Module:
    holder = nn.Sequential(_plain(layer))
    pack(holder)
    return holder


def _quantised(method: str) -> Callable[[nn.Linear], nn.Module]:
    def make(layer: nn.Linear) -> nn.Module:
        holder = nn.Sequential(_plain(layer))
        quantise(holder, method, layer.weight.device)
        return holder

    return make


def _int8(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    scales = layer.weight.abs().amax(dim=1) / 127
    weight = (layer.weight / scales[:, None]).round().to(torch.int8)
    return lambda values: torch._weight_int8pack_mm(values, weight, scales.bfloat16())


def _int4(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    groups = layer.weight.view(layer.out_features, -1, GROUP)
    low, high = groups.amin(dim=2), groups.amax(dim=2)
    scales = (high - low) / 15
    numbers = ((groups - low[..., None]) / scales[..., None]).round().clamp(0, 15).flatten(1).to(torch.int32)
    weight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
    # the kernel's value is (number - 8) * scale + offset
    both = torch.stack((scales, low + 8 * scales), dim=-1).transpose(0, 1).contiguous().bfloat16()
    return lambda values: torch._weight_int4pack_mm_for_cpu(values, weight, GROUP, both)


def _seconds(products: list[Callable[[Tensor], Tensor]], values: Tensor, device: str) -> float:
    """Of one product: the best of several rounds through all of them."""
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < SHORTEST_S:
        start = now(device)
        for product in products:
            product(values)
        best = min(best, now(device) - start)
    return best / len(products)

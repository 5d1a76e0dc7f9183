"""Packed layers compute what the layers they replace computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.models.packing import PackedLinear, pack

DTYPES = [torch.float32, torch.bfloat16]


def packed(layer: nn.Module) -> nn.Module:
    holder = nn.Sequential(layer)
    pack(holder)
    return holder[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (2, 5, 48), (3, 1, 48), (1, 0, 48)])
def test_same_product(dtype: torch.dtype, bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(48, 70, bias=bias).to(dtype)
    values = torch.randn(shape, dtype=dtype)
    made = packed(layer)
    if not isinstance(made, PackedLinear):
        pytest.skip("this processor has no kernels for it")
    with torch.inference_mode():
        product = made(values)
        assert product.dtype == dtype
        assert product.shape == (*shape[:-1], 70)
        tolerance = 1e-5 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(product, layer(values), atol=tolerance, rtol=tolerance)


def test_what_stays_as_it_is() -> None:
    model = nn.ModuleDict({"lora_A": nn.Linear(8, 2), "attention": nn.MultiheadAttention(8, 2)})
    double = nn.Linear(8, 8).double()
    pack(model)
    assert type(model["lora_A"]) is nn.Linear
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    assert packed(double) is double

"""Linear layers of a model replaced by others, without the model being in memory twice."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from engine.models.memory import give_back

FREED_AT_ONCE = 2**27
"""Bytes of replaced weights after which they are given back to the system."""


def replace_linear(model: nn.Module, make: Callable[[str, nn.Linear], nn.Module | None]) -> None:
    """Put ``make(name, layer)`` in the place of each linear layer of ``model``; where it is None the layer stays."""
    names = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    freed = 0
    for name in names:
        # the parent's is the only hold on a layer, so that the old weight is free before the next is made
        parent, _, child = name.rpartition(".")
        holder = model.get_submodule(parent)
        size = getattr(holder, child).weight.nbytes
        made = make(name, getattr(holder, child))
        if made is not None:
            setattr(holder, child, made)
            freed += size
        if freed > FREED_AT_ONCE:
            give_back()
            freed = 0
    if freed:
        give_back()

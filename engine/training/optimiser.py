"""The optimisers a stage can ask for.

``adamw`` is the ordinary one. ``muon`` orthogonalises the updates of the hidden layers' matrices (Jordan et al. 2024;
the implementation is torch's) and leaves embeddings, heads, biases, norms and convolutions to AdamW. A small tower from
random weights reached the same loss with it in about half the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

BETAS = (0.9, 0.98)
MUON_RATE = 2.0
"""Muon's learning rate as a multiple of AdamW's, with updates scaled to AdamW's usual size."""

EMBEDDING_LIKE = ("embed", "lm_head", "heads.")
"""Names of matrices that map to or from a vocabulary or a target, not from one hidden layer to the next."""


def build(name: str, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
    """The optimiser ``name`` ("adamw" or "muon") over the parameters of ``module`` that learn."""
    named = [(key, value) for key, value in module.named_parameters() if value.requires_grad]
    if name == "adamw":
        return AdamW([value for _, value in named], lr=learning_rate, weight_decay=weight_decay, betas=BETAS)
    hidden = [value for key, value in named if value.ndim == 2 and not any(part in key for part in EMBEDDING_LIKE)]
    chosen = {id(value) for value in hidden}
    other = [value for _, value in named if id(value) not in chosen]
    rest = AdamW(other, lr=learning_rate, weight_decay=weight_decay, betas=BETAS)
    if not hidden:
        return rest
    rate = learning_rate * MUON_RATE
    return Both(Muon(hidden, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"), rest)


class Both(Optimizer):
    """Two optimisers over disjoint parameters as one, so that one schedule and one checkpoint serve both."""

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self.parts = (first, second)
        # The groups are the parts' own objects: a schedule that changes a learning rate changes theirs.
        super().__init__([*first.param_groups, *second.param_groups], {})
        self.param_groups = [*first.param_groups, *second.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of both; a closure is not supported, no caller here has one."""
        assert closure is None
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]

"""The optimisers a stage can ask for.

``adamw`` is the ordinary one; ``adamw_8bit`` keeps its state in 8 bits and ``paged_adamw_8bit`` outside the GPU where
its memory is short (bitsandbytes; Dettmers et al. 2022). ``muon`` orthogonalises the updates of the hidden layers'
matrices (Jordan et al. 2024; the implementation is torch's) and leaves embeddings, heads, biases, norms and
convolutions to AdamW. A small tower from random weights reached the same loss with it in about half the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from engine.errors import UsageError
from engine.training.recipe import Stage

Named = Sequence[tuple[str, nn.Parameter]]
BETAS = (0.9, 0.999)
MUON_RATE = 2.0
"""Muon's learning rate as a multiple of AdamW's, with updates scaled to AdamW's usual size."""

EMBEDDING_LIKE = ("embed", "lm_head", "heads.")
"""Names of matrices that map to or from a vocabulary or a target, not from one hidden layer to the next."""


def build(stage: Stage, module: nn.Module) -> Optimizer:
    """The optimiser of ``stage`` over the parameters of ``module`` that learn.

    Biases, norms and single numbers do not decay. The connector has a learning rate of its own where the stage says so.

    Raises:
        UsageError: an 8-bit optimiser without a GPU.
    """
    named = [(key, value) for key, value in module.named_parameters() if value.requires_grad]
    if stage.optimiser != "muon":
        return _adamw(stage, named)
    hidden = [(k, v) for k, v in named if v.ndim == 2 and not any(part in k for part in EMBEDDING_LIKE)]
    chosen = {key for key, _ in hidden}
    rest = _adamw(stage, [(key, value) for key, value in named if key not in chosen])
    if not hidden:
        return rest
    groups = [
        {**group, "lr": group["lr"] * MUON_RATE, "weight_decay": stage.weight_decay} for group in _groups(stage, hidden)
    ]
    return Both(Muon(groups, lr=stage.learning_rate * MUON_RATE, adjust_lr_fn="match_rms_adamw"), rest)


def _adamw(stage: Stage, named: Named) -> Optimizer:
    groups = _groups(stage, named)
    if stage.optimiser in ("adamw", "muon"):
        return AdamW(groups, lr=stage.learning_rate, betas=BETAS)
    if not torch.cuda.is_available():
        raise UsageError(f"The optimiser {stage.optimiser} needs a GPU; use adamw.")
    import bitsandbytes

    library: Any = bitsandbytes.optim
    kind = library.PagedAdamW8bit if stage.optimiser == "paged_adamw_8bit" else library.AdamW8bit
    made: Optimizer = kind(groups, lr=stage.learning_rate, betas=BETAS)
    return made


def _groups(stage: Stage, named: Named) -> list[dict[str, Any]]:
    """Parameters by learning rate and by whether they decay; those with the stage's own rate first."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for key, value in named:
        own = stage.connector_learning_rate if ".connector." in f".{key}" else None
        decay = stage.weight_decay if value.ndim >= 2 else 0.0
        found.setdefault((own or stage.learning_rate, decay), []).append(value)
    ordered = sorted(found.items(), key=lambda item: item[0][0] != stage.learning_rate)
    return [{"params": values, "lr": rate, "weight_decay": decay} for (rate, decay), values in ordered]


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

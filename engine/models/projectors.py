"""Projectors that look at one image: a linear layer or a small perceptron from the tower's width to the language
model's.

They stand where the Temporal Alignment Connector stands and have the same two steps, so that whoever uses a connector
need not know which one it is. They do not compare: what is passed as the prior is not looked at.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ModelError
from engine.models.tac import TemporalAlignmentConnector

MAX_DEPTH = 8


class Projector(nn.Module):
    """``linear`` (depth 0) or ``mlpNx_gelu`` (depth N): N linear layers with GELU between them.

    Its parameters are called as in Libra's checkpoints: ``projector.weight`` or ``projector.0.weight`` and so on.
    """

    compares = False

    def __init__(self, vision_size: int, text_size: int, depth: int) -> None:
        super().__init__()
        self.vision_size = vision_size
        self.text_size = text_size
        self.depth = depth
        layers: list[nn.Module] = [nn.Linear(vision_size, text_size)]
        for _ in range(1, depth):
            layers += [nn.GELU(), nn.Linear(text_size, text_size)]
        self.projector = layers[0] if depth == 0 else nn.Sequential(*layers)

    def extract(self, features: Tensor) -> Tensor:
        """The one layer of features ``[B, 1, N, D]`` as ``[B, N, D]``."""
        return features.squeeze(1)

    def align(self, current: Tensor, prior: Tensor) -> Tensor:
        """Image tokens ``[B, N, H]`` of the current image alone."""
        first: Any = self.projector[0] if isinstance(self.projector, nn.Sequential) else self.projector
        tokens: Tensor = self.projector(current.to(first.weight.dtype))
        return tokens

    def forward(self, current: Tensor, prior: Tensor) -> Tensor:
        """Tower features of both images ``[B, 1, N, D]`` -> image tokens ``[B, N, H]``."""
        return self.align(self.extract(current), self.extract(prior))


Connector = TemporalAlignmentConnector | Projector


def make(kind: str, vision_size: int, text_size: int, heads: int) -> Connector:
    """A connector of the kind ``mm_projector_type`` names: "TAC", "linear" or "mlpNx_gelu".

    Raises:
        ModelError: another kind.
        ValueError: sizes that do not go together.
    """
    if kind == "TAC":
        return TemporalAlignmentConnector(vision_size, text_size, heads)
    if kind == "linear":
        return Projector(vision_size, text_size, 0)
    match = re.fullmatch(r"mlp(\d)x_gelu", kind)
    if match is None or not 1 <= int(match[1]) <= MAX_DEPTH:
        raise ModelError(f"the projector {kind} is not one this program knows; TAC, linear and mlpNx_gelu are")
    return Projector(vision_size, text_size, int(match[1]))


def shapes(kind: str, vision_size: int, text_size: int, heads: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of such a connector; errors as of ``make``."""
    with torch.device("meta"):
        connector = make(kind, vision_size, text_size, heads)
    return {name: tuple(tensor.shape) for name, tensor in connector.state_dict().items()}

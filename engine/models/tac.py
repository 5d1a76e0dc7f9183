"""The Temporal Alignment Connector (TAC): two images' tower features -> the image tokens a language model reads.

Given the patch features of all twelve blocks of a vision tower for a current and a prior image, it

1. mixes the twelve layers into one by squeeze-and-excitation and 1x1 convolutions (``extract``, one image at a time),
2. measures how alike the two images are and
3. marks the prior by a learnt scalar in proportion to that likeness,
4. lets the current image attend to itself, the prior to itself, and the first to the second,
5. adds the outcome to the current image, and
6. projects it to the width of the language model.

Source of the formulas: the Libra paper and its published checkpoints, whose 54 parameter names (with the spelling
"cros_attention") are kept, so that a published state dict loads as it is. The module knows nothing of images, towers or
prompts.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = 12
"""Transformer blocks the published connector mixes; a tower with another number does not fit."""

DROPOUT = 0.1
LIKENESS_POWER = 8
COSINE_EPS = 1e-6


def _convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``conv`` in float32 whatever the dtype of its weights; ``x`` is float32 already."""
    bias = None if conv.bias is None else conv.bias.float()
    return F.conv2d(x, conv.weight.float(), bias)


class SqueezeExcitation(nn.Module):
    """The gate by which each of ``channels`` layers is weighed, from the means of all of them.

    ``[B, C, N, D]`` -> ``[B, C, 1, 1]``.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, kernel_size=1)
        self.fc2 = nn.Conv2d(squeezed, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)
        return torch.sigmoid(_convolve(self.fc2, F.gelu(_convolve(self.fc1, means))))


def _mix(x: Tensor, excitation: SqueezeExcitation, conv: nn.Conv2d) -> Tensor:
    """``conv`` of the layers of ``x`` ``[B, C, N, D]``, each weighed by its gate: fewer layers of the same size.

    The gates go into the weights of the 1x1 convolution and that is a matrix product: a layer has a million values, and
    so they are read once.
    """
    weights = conv.weight.float().flatten(1) * excitation(x).flatten(1)[:, None]  # [B, out, C]
    mixed: Tensor = weights @ x.flatten(2)
    return mixed.view(*mixed.shape[:2], *x.shape[2:])


class TemporalAlignmentConnector(nn.Module):
    """The connector of Libra checkpoints; see the module's docstring for what it computes.

    Args:
        vision_size: width D of the tower.
        text_size: width H of the language model.
        heads: attention heads, in published models those of the language model; D must be a multiple of it.
    """

    compares = True
    """Whether the prior changes what comes out."""

    def __init__(self, vision_size: int, text_size: int, heads: int) -> None:
        super().__init__()
        if vision_size % heads:
            raise ValueError(f"the tower's width {vision_size} is not a multiple of {heads} heads")
        self.vision_size = vision_size
        self.text_size = text_size
        self.heads = heads
        self.LFE = nn.Sequential(
            SqueezeExcitation(12, 6),
            nn.Conv2d(12, 6, kernel_size=1, bias=False),
            SqueezeExcitation(6, 3),
            nn.Conv2d(6, 3, kernel_size=1, bias=False),
            SqueezeExcitation(3, 1),
            nn.Conv2d(3, 1, kernel_size=1, bias=False),
        )
        self.LFE_prior_bias = nn.Parameter(torch.tensor(0.0))
        self.cur_self_attention = self._attention()
        self.prior_self_attention = self._attention()
        self.cros_attention = self._attention()
        self.norm1 = nn.LayerNorm(vision_size)
        self.norm2 = nn.LayerNorm(vision_size)
        self.norm3 = nn.LayerNorm(vision_size)
        self.norm4 = nn.LayerNorm(vision_size)
        self.mlp_attn = nn.Sequential(
            nn.Linear(vision_size, vision_size),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(vision_size, vision_size),
            nn.Dropout(DROPOUT),
        )
        self.mlp_final = nn.Sequential(
            nn.Linear(vision_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
        )

    def _attention(self) -> nn.MultiheadAttention:
        return nn.MultiheadAttention(self.vision_size, self.heads, add_bias_kv=True, batch_first=True)

    def extract(self, features: Tensor) -> Tensor:
        """Step 1: the twelve layers of one image as one, float32 ``[B, 12, N, D]`` -> ``[B, N, D]``.

        It depends on one image alone, so it is what is worth keeping of an image. In float32 whatever the weights: the
        means run over a million elements.
        """
        with torch.autocast(features.device.type, enabled=False):
            x = features.float()
            layers: list[Any] = list(self.LFE)
            for excitation, conv in zip(layers[::2], layers[1::2], strict=True):
                x = _mix(x, excitation, conv)
            return x.squeeze(1)

    def likeness(self, current: Tensor, prior: Tensor) -> Tensor:
        """Step 2: ((cosine + 1) / 2)^8 of two extracts ``[B, N, D]`` -> ``[B, 1, 1]`` in 0..1; 1 = identical."""
        flat_current, flat_prior = current.flatten(1), prior.flatten(1)
        flat_current = flat_current / flat_current.norm(dim=1, keepdim=True)
        flat_prior = flat_prior / flat_prior.norm(dim=1, keepdim=True)
        cosine = F.cosine_similarity(flat_current, flat_prior, dim=1, eps=COSINE_EPS)
        return (((cosine + 1) / 2) ** LIKENESS_POWER).view(-1, 1, 1)

    def align(self, current: Tensor, prior: Tensor) -> Tensor:
        """Steps 2 to 6: extracts of two images ``[B, N, D]`` -> image tokens ``[B, N, H]`` in the weights' dtype."""
        with torch.autocast(current.device.type, enabled=False):
            current, prior = current.float(), prior.float()
            prior = prior + self.likeness(current, prior) * self.LFE_prior_bias.float()
        dtype = self.norm1.weight.dtype
        current, prior = current.to(dtype), prior.to(dtype)
        current_seen = self.norm1(current + _attend(self.cur_self_attention, current, current))
        prior_seen = self.norm2(prior + _attend(self.prior_self_attention, prior, prior))
        compared = self.norm3(current_seen + _attend(self.cros_attention, current_seen, prior_seen))
        # The residual is the extract itself, not the attended current image: so the published model was trained.
        combined = self.norm4(current + self.mlp_attn(compared))
        tokens: Tensor = self.mlp_final(combined)
        return tokens

    def forward(self, current: Tensor, prior: Tensor) -> Tensor:
        """Tower features of both images ``[B, 12, N, D]`` -> image tokens ``[B, N, H]``."""
        return self.align(self.extract(current), self.extract(prior))


def _attend(attention: nn.MultiheadAttention, query: Tensor, memory: Tensor) -> Tensor:
    # Without the weights torch takes its fused attention: the N x N matrix of every head is never stored.
    attended: Tensor = attention(query, memory, memory, need_weights=False)[0]
    return attended

"""What is seen of pictures, put into a prompt at their places.

For families whose prompt has a place for every picture, filled with as many positions as the picture has image tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.models.tokens import IMAGE_TOKEN


def expand(ids: Sequence[int], counts: Sequence[int], image_id: int) -> list[int]:
    """``ids`` with the n-th IMAGE_TOKEN replaced by ``counts[n]`` times ``image_id``, the model's own image token.

    Raises ValueError unless there are as many places as counts.
    """
    if list(ids).count(IMAGE_TOKEN) != len(counts):
        raise ValueError(f"the prompt has {list(ids).count(IMAGE_TOKEN)} places for {len(counts)} images")
    left = iter(counts)
    return [token for i in ids for token in ([image_id] * next(left) if i == IMAGE_TOKEN else [i])]


def boundary(expanded: Sequence[int], image_id: int) -> int:
    """Where the last image of expanded ids ends: up to there a prompt is the same whatever is asked."""
    return len(expanded) - list(reversed(expanded)).index(image_id)


def splice(embedding: Any, ids: Tensor, image_id: int, images: Sequence[Tensor]) -> Tensor:
    """Expanded ids ``[1, P]`` and image tokens ``[N, H]`` each -> the language model's input ``[1, P, H]``."""
    text: Tensor = embedding(ids)
    places = (ids == image_id).unsqueeze(-1)
    return text.masked_scatter(places, torch.cat(list(images)).to(text.dtype))

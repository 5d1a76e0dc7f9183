"""A picture as LLaMA-Factory gives it to Qwen2-VL's processor, which keeps its size: within bounds, not too narrow.

Needs no torch: who asks a server for the same model prepares the same picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.preprocessing import Bounds

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["last_size", "resized"]

SHORTEST, LONGEST = 28, 200
"""Pixels of the shorter side, and how many times longer the other side may be, that LLaMA-Factory sees to."""


def resized(picture: Image, bounds: Bounds) -> Image:
    """The picture as LLaMA-Factory gives it to Qwen2-VL's processor, RGB."""
    picture = bounds.apply(picture)
    for size in _usable(*picture.size):
        picture = picture.resize(size)
    return picture


def last_size(size: tuple[int, int], bounds: Bounds) -> tuple[int, int]:
    """Width and height of what ``resized`` makes of a picture of this width and height."""
    within = [size, *bounds.sizes(*size)][-1]
    return [within, *_usable(*within)][-1]


def _usable(width: int, height: int) -> list[tuple[int, int]]:
    """The sizes a picture takes that is narrower than one image token or longer than the processor bears."""
    steps = []
    if min(width, height) < SHORTEST:
        width, height = max(width, SHORTEST), max(height, SHORTEST)
        steps.append((width, height))
    if width / height > LONGEST:
        steps.append((height * 180, height))
    elif height / width > LONGEST:
        steps.append((width, width * 180))
    return steps

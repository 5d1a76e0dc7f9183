"""Anything dropped to studies of images, or a sentence for each file that cannot be used."""

from __future__ import annotations

from pathlib import Path

from engine.imaging.parsing import parse_file
from engine.imaging.types import Image

__all__ = ["read_image"]


def read_image(path: Path) -> Image:
    """The image in one file. Raises UnreadableFile with a sentence that names the file."""
    return parse_file(path)

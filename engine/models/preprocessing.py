"""A picture as the tower's pixels: pad to a square, resize, crop, scale, normalise.

Equal to what Libra's inference does with a BitImageProcessor, to the grey level: Pillow's bicubic on 8-bit values,
then float32. Libra's own *training* padded with black instead; this program's trainer calls these functions, so that
both agree. The 8-bit stage (``to_uint8``) is separate because it is all of the work and small enough to be kept;
``normalise`` is cheap.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.errors import ModelError


class Padding(StrEnum):
    """What makes a picture square before it is resized."""

    MEAN = "mean"  # the processor's mean as a grey level: Libra's inference
    BLACK = "black"
    NONE = "none"  # nothing: the sides are cut off by the centre crop


@dataclass(frozen=True)
class ImageProcessor:
    """The numbers of a tower's ``preprocessor_config.json``.

    Attributes:
        shortest_edge: length of the shorter side after resizing, pixels; None where a picture is resized to ``crop``
            whatever its shape (SigLIP).
        crop: height and width of the centre crop, pixels.
        mean, std: per channel, on values 0..1.
        padding: how a picture becomes square.
    """

    shortest_edge: int | None
    crop: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: Padding = Padding.MEAN

    @classmethod
    def from_config(cls, config: Mapping[str, Any], padding: Padding = Padding.MEAN) -> ImageProcessor:
        """From the fields of a BitImageProcessor, CLIPImageProcessor or SiglipImageProcessor.

        Raises:
            ModelError: settings this program does not reproduce.
        """
        try:
            crops = config.get("do_center_crop", "crop_size" in config)
            edge = _edge(config["size"]) if crops else None
            processor = cls(
                shortest_edge=edge,
                crop=_height_and_width(config["crop_size"] if crops else config["size"]),
                mean=three(config["image_mean"]),
                std=three(config["image_std"]),
                padding=padding,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError("The tower's preprocessor_config.json is not one this program can follow.") from error
        if not is_plain(config) or (edge is not None and max(processor.crop) > edge):
            raise ModelError("The tower's preprocessor_config.json asks for steps this program does not support yet.")
        return processor

    def to_config(self) -> dict[str, Any]:
        """The fields of a BitImageProcessor (without a crop: a SiglipImageProcessor), as written beside a tower."""
        height, width = self.crop
        frame = {"height": height, "width": width}
        cropped = self.shortest_edge is not None
        return {
            "image_processor_type": "BitImageProcessor" if cropped else "SiglipImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": self.shortest_edge} if cropped else frame,
            "resample": int(Image.Resampling.BICUBIC),
            "do_center_crop": cropped,
            **({"crop_size": frame} if cropped else {}),
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }


@dataclass(frozen=True)
class Bounds:
    """How many pixels a picture has before the processor sees it, as LLaMA-Factory makes them (0.9.5).

    Its image_min_pixels and image_max_pixels, and its defaults. They matter for processors that keep a picture's size.
    """

    least: int = 32 * 32
    most: int = 768 * 768

    @classmethod
    def stated(cls, least: int | None, most: int | None) -> Bounds:
        """These, or the defaults for None; a default gives way where the two would cross."""
        return cls(
            min(cls.least, most or cls.most) if least is None else least,
            max(cls.most, least or cls.least) if most is None else most,
        )

    def sizes(self, width: int, height: int) -> list[tuple[int, int]]:
        """The sizes a picture of this width and height is resized to, one after the other; none where it fits."""
        steps = []
        for pixels, outside in ((self.most, operator.gt), (self.least, operator.lt)):
            if outside(width * height, pixels):
                factor = math.sqrt(pixels / (width * height))
                width, height = max(int(width * factor), 1), max(int(height * factor), 1)
                steps.append((width, height))
        return steps

    def apply(self, image: Image.Image) -> Image.Image:
        """The picture at its last size, RGB."""
        for size in self.sizes(*image.size):
            image = image.resize(size)
        return image.convert("RGB")


def is_plain(config: Mapping[str, Any]) -> bool:
    """Whether a processor's steps are those of every processor here: bicubic, then (value / 255 - mean) / std."""
    try:
        scaled = abs(float(config.get("rescale_factor", 1 / 255)) - 1 / 255) < 1e-9
    except (TypeError, ValueError):
        return False
    steps = all(config.get(step, True) for step in ("do_resize", "do_rescale", "do_normalize"))
    return steps and scaled and config.get("resample", 3) == Image.Resampling.BICUBIC


def _edge(size: Any) -> int:
    """The shorter side: a number (as CLIP's files from 2021 have it) or ``{"shortest_edge": ...}``."""
    return int(size if isinstance(size, int) else size["shortest_edge"])


def _height_and_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    return int(size["height"]), int(size["width"])


def three(values: Any) -> tuple[float, float, float]:
    """One number per channel. Raises TypeError or ValueError."""
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def to_uint8(image: Image.Image, processor: ImageProcessor) -> npt.NDArray[np.uint8]:
    """A picture of any size and mode -> ``[height, width, 3]`` of the tower's size."""
    square = _pad(image.convert("RGB"), processor)
    crop_height, crop_width = processor.crop
    if processor.shortest_edge is None:
        return np.asarray(square.resize((crop_width, crop_height), Image.Resampling.BICUBIC)).copy()
    width, height = square.size
    short, long = min(width, height), max(width, height)
    longer = int(processor.shortest_edge * long / short)
    wide = width >= height
    size = (longer, processor.shortest_edge) if wide else (processor.shortest_edge, longer)
    resized = square.resize(size, Image.Resampling.BICUBIC)
    top, left = (size[1] - crop_height) // 2, (size[0] - crop_width) // 2
    return np.asarray(resized)[top : top + crop_height, left : left + crop_width].copy()


def normalise(pixels: npt.NDArray[np.uint8], processor: ImageProcessor) -> npt.NDArray[np.float32]:
    """``[height, width, 3]`` 0..255 -> ``[3, height, width]``: (value / 255 - mean) / std."""
    scaled = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    mean, std = np.asarray(processor.mean, np.float32), np.asarray(processor.std, np.float32)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))


def prepare(image: Image.Image, processor: ImageProcessor) -> npt.NDArray[np.float32]:
    """A picture -> the tower's input ``[3, height, width]``."""
    return normalise(to_uint8(image, processor), processor)


def _pad(image: Image.Image, processor: ImageProcessor) -> Image.Image:
    width, height = image.size
    if processor.padding is Padding.NONE or width == height:
        return image
    grey = tuple(int(m * 255) for m in processor.mean) if processor.padding is Padding.MEAN else (0, 0, 0)
    side = max(width, height)
    square = Image.new("RGB", (side, side), grey)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square

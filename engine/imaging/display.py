"""From modality values to the grey that a radiologist sees: DICOM PS3.3 C.11.2.1 in one table of 65 536 entries.

Order: slope and intercept, VOI LUT or window, inversion for MONOCHROME1 once and last, 8 bit. The table is all that a
screen needs beside ``Image.pixels``. Knows nothing of files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from engine.imaging.types import Image, VoiLut, Window

__all__ = ["apply_voi", "apply_window", "lut8", "render", "to_pil"]

LEVELS = 65536


def apply_window(values: NDArray[np.float64], chosen: Window) -> NDArray[np.float64]:
    """Grey 0..1 of modality values under a window.

    PS3.3 C.11.2.1.2.1 (LINEAR, with its half and its one), C.11.2.1.3.2 (LINEAR_EXACT) and C.11.2.1.3.1 (SIGMOID).
    """
    center, width = chosen.center, chosen.width
    if chosen.function == "SIGMOID":
        # exp overflows to inf far below the centre, where the sigmoid is 0 as it should be
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (values - center) / width)))
    if chosen.function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    low, high = center - width / 2, center + width / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ramp = (values - center) / width + 0.5
    return np.where(values <= low, 0.0, np.where(values > high, 1.0, ramp))


def apply_voi(values: NDArray[np.float64], lut: VoiLut) -> NDArray[np.float64]:
    """Grey 0..1 of modality values under a VOI LUT; values outside it take its first or last entry."""
    index = np.clip(np.floor(values - lut.first), 0, lut.values.size - 1)
    return np.asarray(lut.values[index.astype(np.intp)])


def lut8(image: Image, window: Window | None = None, invert: bool = False) -> NDArray[np.uint8]:
    """The grey level (uint8 [65536]) of every possible value of ``image.pixels``.

    ``window`` None means the file's own default: its first VOI LUT, else its first window. ``invert`` turns the
    picture round once more than MONOCHROME1 does. Rounded half up, so that other languages get the same levels.
    """
    values = np.arange(LEVELS, dtype=np.float64) * image.slope + image.intercept
    if window is None and image.luts:
        grey = apply_voi(values, image.luts[0])
    else:
        grey = apply_window(values, window or image.windows[0])
    if image.inverted != invert:
        grey = 1.0 - grey
    return np.asarray(np.floor(np.clip(grey, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def render(image: Image, window: Window | None = None, invert: bool = False) -> NDArray[np.uint8]:
    """The picture as a radiologist sees it: uint8 [rows, columns]; padding is black however it is inverted."""
    grey = lut8(image, window, invert)[image.pixels]
    if image.padding is not None:
        grey[image.padding] = 0
    return grey


def to_pil(image: Image) -> PillowImage.Image:
    """What every model is given: ``render`` as mode "L"; an 8-bit colour picture keeps its own colours ("RGB")."""
    if image.rgb is not None:
        return PillowImage.fromarray(image.rgb)
    return PillowImage.fromarray(render(image))

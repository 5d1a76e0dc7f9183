"""From a film's numbers to its picture, at any size.

Depths of tissue, air and bone are summed to an attenuation; the transmitted beam gets scatter and quantum noise; its
logarithm is scaled to 12 bits as a digital detector's processing does it, with a display window that makes a normal
looking film. The noise of a pixel grows with the size of the picture (a pixel of half the width meets a quarter of
the quanta), so that a large render averaged down equals a small one.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from engine.datasets.phantoms.lesions import Chest, apply, heart_ratio, raised_domes, texture
from engine.datasets.phantoms.model import Film, Rendered
from engine.datasets.phantoms.strokes import Array, Strokes, bezier
from engine.datasets.phantoms.thorax import (
    LUNG_AIR,
    TISSUE,
    Grid,
    airways,
    body,
    diaphragm,
    dome,
    ellipse,
    girdle,
    lungs,
    mediastinum,
    ribs,
    spine,
    vessels,
)

WHITE = 4095
"""The largest stored value (12 bits)."""

WINDOW = (2047.5, 3600.0)
"""Window centre and width of every film before its own brightness and contrast."""

REFERENCE_SIZE = 224
"""Size at which ``Exposure.noise`` is given."""

COARSE = 24
"""Cells along the longer side for scatter and automatic exposure."""


def render(film: Film, size: int, *, masks: bool = False) -> Rendered:
    """The picture of a film.

    Args:
        film: what to draw.
        size: pixels of the longer side, at least 32.
        masks: also say where each finding and device is seen.

    Returns:
        Stored values and window as in a DICOM file: displayed grey = (value - center + width / 2) / width, clipped.
    """
    attenuation, drawn = attenuation_of(film, size, masks)
    stored = _expose(film, size, attenuation)
    center, width = window(film)
    return Rendered(stored, center, width, drawn)


def window(film: Film) -> tuple[float, float]:
    """Display window (centre, width) of a film."""
    exposure = film.exposure
    width = WINDOW[1] / exposure.contrast
    return round(WINDOW[0] - exposure.brightness * width, 1), round(width, 1)


def show(rendered: Rendered) -> Array:
    """What the window shows: uint8 [rows, columns]."""
    low = rendered.window_center - rendered.window_width / 2
    grey = (rendered.pixels.astype(np.float32) - np.float32(low)) * np.float32(255 / rendered.window_width)
    return np.asarray((np.clip(grey, 0, 255) + np.float32(0.5)).astype(np.uint8))


def display(film: Film, size: int) -> Array:
    """The film as its window shows it: uint8 [rows, columns], the longer side ``size`` pixels."""
    return show(render(film, size))


def coarse_masks(masks: dict[str, Array], cells: int = 8) -> dict[str, Array]:
    """Share of each of ``cells`` x ``cells`` cells that a mask covers, over the film padded to a centred square."""
    out = {}
    for name, mask in masks.items():
        rows, columns = mask.shape
        side = max(rows, columns)
        square = np.zeros((side, side), np.float32)
        top, left = (side - rows) // 2, (side - columns) // 2
        square[top : top + rows, left : left + columns] = mask
        small = Image.fromarray(square).resize((cells, cells), Image.Resampling.BOX)
        out[name] = np.asarray(small, dtype=np.float32)
    return out


def attenuation_of(film: Film, size: int, masks: bool = False) -> tuple[Array, dict[str, Array]]:
    """Attenuation of the beam for every pixel (float32 [rows, columns]), and on request the masks of what is in it."""
    grid = Grid(film, size)
    anatomy = film.anatomy
    lower = grid.by_column(diaphragm(film, raised_domes(film)))
    depth, relative = lungs(grid, lower)
    ratio = heart_ratio(film)
    central, heart = mediastinum(grid, ratio)
    depth = np.maximum(depth - central * np.minimum(depth * 4, 1), 0)
    chest = Chest(grid, lower, relative, depth, np.ones_like(grid.x), want_masks=masks)
    for lesion in film.lesions:
        apply(chest, lesion)
    enlarged = film.lesion("cardiomegaly")
    if masks and enlarged is not None:
        chest.mark(enlarged, heart < 1)
    aerated = depth * chest.air
    branches = vessels(grid, chest.vessel_gain, chest.vessel_width) * np.minimum(aerated * np.float32(1.9), 1)
    grain = texture(grid, anatomy.seed, 0.045)
    # No two breaths fill a lung alike, and no lung fills evenly.
    uneven = 1 + np.float32(0.07) * texture(grid, film.seed, 0.4)
    air = aerated * uneven * np.float32(LUNG_AIR * film.pose.aeration)
    if chest.free is not None:
        air = air * (1 + chest.free * np.float32(1 / LUNG_AIR - 1))
        branches *= 1 - chest.free
        grain = grain * (1 - chest.free)
    total = body(grid)
    inside = np.minimum(total * 4, 1)
    total -= air
    total -= airways(grid) * inside
    total -= _bowel(grid, lower)
    total *= np.float32(TISSUE)
    total += branches
    total += grain * aerated * np.float32(0.05 * (0.6 + 0.4 * chest.vessel_gain))
    total += texture(grid, anatomy.seed + 5, 0.16) * inside * np.float32(0.035)
    total += (ribs(grid) + spine(grid) + girdle(grid)) * inside
    if chest.added is not None:
        total += chest.added
    return np.maximum(total, 0), chest.masks


def _bowel(grid: Grid, lower: Array) -> Array:
    """Depth of gas below the left dome: the stomach's bubble with its fluid level."""
    anatomy = grid.film.anatomy
    if anatomy.bubble <= 0:
        return np.zeros_like(grid.x)
    x = anatomy.bubble_x
    top = anatomy.dome_left + 0.10 * grid.film.pose.inspiration - raised_domes(grid.film)[1] + 0.06
    high = 0.07 + 0.06 * anatomy.bubble
    shape = ellipse(grid, x, top + high, 0.13 + 0.10 * anatomy.bubble, high)
    return np.asarray(np.float32(0.34) * dome(shape) * np.clip((np.float32(top + 1.45 * high) - grid.y) * 30, 0, 1))


def _expose(film: Film, size: int, attenuation: Array) -> Array:
    """Stored 12-bit values of a film from its attenuation."""
    exposure = film.exposure
    rows, columns = attenuation.shape
    primary = np.exp(-attenuation)
    small = (max(2, round(COARSE * columns / size)), max(2, round(COARSE * rows / size)))
    coarse = np.asarray(Image.fromarray(primary).resize(small, Image.Resampling.BOX))
    scatter = _spread(np.minimum(coarse, 0.35)) * np.float32(0.30 * exposure.scatter)
    smooth = np.asarray(Image.fromarray(scatter).resize((columns, rows), Image.Resampling.BICUBIC))
    signal = primary + np.maximum(smooth, np.float32(1e-3))
    rng = np.random.default_rng([film.seed, 41, size])
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    # Relative noise of a count n is 1 / sqrt(n); the reference is the noise of the mediastinum.
    noise *= np.float32(exposure.noise * size / REFERENCE_SIZE) * np.sqrt(np.float32(0.06) / signal)
    dense = -np.log(signal) + noise
    level = -np.log(coarse + scatter)
    in_body = level[coarse < 0.5]
    low, high = np.percentile(in_body, (12, 88)) if in_body.size else (1.0, 3.0)
    grey = (dense - np.float32(low)) * np.float32(0.66 / max(high - low, 0.5)) + np.float32(0.17)
    grey = np.clip(grey, 0, 1)
    if exposure.gamma != 1:
        grey = grey ** np.float32(exposure.gamma)
    grey = np.maximum(grey, _marker(film, size, rows, columns))
    grey *= _shutter(film, rows, columns)
    return np.asarray(
        (np.clip(grey * np.float32(3600) + np.float32(250), 0, WHITE) + np.float32(0.5)).astype(np.uint16)
    )


def _spread(coarse: Array) -> Array:
    """Scattered radiation: the primary beam spread over a few centimetres."""
    out = coarse
    for axis in (0, 1):
        count = out.shape[axis]
        distance = np.arange(count)[:, None] - np.arange(count)[None]
        kernel = np.exp(-np.abs(distance) / 3.0)
        kernel /= kernel.sum(1, keepdims=True)
        out = np.moveaxis(np.tensordot(kernel, out, (1, axis)), 0, axis)
    return out.astype(np.float32)


def _shutter(film: Film, rows: int, columns: int) -> Array:
    """The collimator's edges: 1 inside, 0 outside, soft over a few thousandths of the film."""
    left, top, right, bottom = film.exposure.margins
    soft = 250.0
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    wide = np.clip((x - left) * soft + 0.5, 0, 1) * np.clip((1 - right - x) * soft + 0.5, 0, 1)
    high = np.clip((y - top) * soft + 0.5, 0, 1) * np.clip((1 - bottom - y) * soft + 0.5, 0, 1)
    if left <= 0 and right <= 0:
        wide[:] = 1
    if top <= 0 and bottom <= 0:
        high[:] = 1
    return np.outer(high, wide).astype(np.float32)


_LETTERS = {
    "L": [[(-0.35, -0.5), (-0.35, 0.0), (-0.35, 0.5)], [(-0.35, 0.5), (0.0, 0.5), (0.35, 0.5)]],
    "R": [
        [(-0.35, -0.5), (-0.35, 0.0), (-0.35, 0.5)],
        [(-0.35, -0.5), (0.45, -0.5), (0.35, -0.2)],
        [(0.35, -0.2), (0.30, 0.04), (-0.35, 0.0)],
        [(-0.05, 0.02), (0.15, 0.25), (0.38, 0.5)],
    ],
}


def _marker(film: Film, size: int, rows: int, columns: int) -> Array:
    """The lead letter of the side, as grey 0..1."""
    exposure = film.exposure
    letter = np.array(_LETTERS[exposure.marker]) * exposure.marker_scale * size
    cosine, sine = np.cos(exposure.marker_rotation), np.sin(exposure.marker_rotation)
    turned = np.stack(
        [letter[..., 0] * cosine - letter[..., 1] * sine, letter[..., 0] * sine + letter[..., 1] * cosine], -1
    )
    place = turned + np.array([exposure.marker_x * columns, exposure.marker_y * rows])
    strokes = Strokes(rows, columns)
    strokes.add(bezier(place, 16), 0.11 * exposure.marker_scale * size, 1.0, flat=True)
    return np.asarray(np.minimum(strokes.canvas(), np.float32(0.97)))

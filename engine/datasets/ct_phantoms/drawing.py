"""A CT phantom's slice as a picture: ellipses of Hounsfield units, noise, and the window it is looked at in.

Chest slices are shown in a lung window, the abdomen in a soft-tissue window with contrast medium in vessels and organs.
Knows anatomy as far as a drawing needs it, and nothing of words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from engine.datasets.ct_phantoms.sampling import UNIT_MM, Level, Slice

Array = np.ndarray

FIELD = 2.0
"""Units along each side of the picture: 400 mm."""

WINDOWS: dict[Level, tuple[float, float]] = {
    "chest": (-500.0, 1500.0),
    "liver": (60.0, 400.0),
    "kidneys": (60.0, 400.0),
}
"""Centre and width in Hounsfield units."""

AIR, LUNG, FAT, MUSCLE, FLUID, BLOOD, BONE, MARROW = -1000, -850, -100, 55, 10, 190, 700, 220
LIVER, SPLEEN, KIDNEY = 115, 125, 175
LESIONS = {"low": 20, "high": 210}
NODULE = 40

NOISE = 14.0
"""Standard deviation in Hounsfield units at 168 pixels; that of a pixel grows with their number along a side."""

_REFERENCE = 168


@dataclass
class _Canvas:
    """A slice in the making: Hounsfield units, and where its pixels are in units."""

    hu: Array
    x: Array
    y: Array

    def ellipse(self, x: float, y: float, wide: float, deep: float, turn: float = 0.0) -> Array:
        """How much of each pixel lies in an ellipse, 0..1."""
        cos, sin = np.cos(turn), np.sin(turn)
        across = ((self.x - x) * cos + (self.y - y) * sin) / wide
        along = ((self.y - y) * cos - (self.x - x) * sin) / deep
        distance = (1 - np.hypot(across, along)) * min(wide, deep)
        pixel = FIELD / len(self.hu)
        return np.asarray(np.clip(distance / pixel + 0.5, 0, 1))

    def fill(self, share: Array, value: float) -> None:
        """Put ``value`` where ``share`` says."""
        self.hu += share * (value - self.hu)


def draw(one: Slice, size: int) -> Array:
    """The slice as its window shows it: uint8 [size, size]."""
    at = ((np.arange(size) + 0.5) / size - 0.5) * FIELD
    x, y = np.meshgrid(at, at)
    canvas = _Canvas(np.full((size, size), float(AIR)), x / one.wide, y / one.deep)
    rng = np.random.default_rng([one.seed, 12])
    inside = _body(canvas)
    _DRAW[one.level](canvas, rng, inside)
    _spine(canvas)
    if one.lesion is not None:
        radius = one.lesion.diameter / 2 / UNIT_MM
        value = NODULE if one.lesion.organ == "lung" else LESIONS[one.lesion.density]
        ball = canvas.ellipse(one.lesion.x, one.lesion.y, radius / one.wide, radius / one.deep)
        canvas.fill(ball, value)
    noise = rng.normal(0, NOISE * size / _REFERENCE, canvas.hu.shape)
    centre, width = WINDOWS[one.level]
    grey = (canvas.hu + noise - centre + width / 2) / width * 255
    picture = Image.fromarray(np.asarray(np.clip(grey, 0, 255) + 0.5).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.5)))


def box(one: Slice, size: int) -> tuple[int, int, int, int] | None:
    """The lesion's box in pixels (left, top, right, bottom, the last two beyond it); None without a lesion."""
    if one.lesion is None:
        return None
    scale, radius = size / FIELD, one.lesion.diameter / 2 / UNIT_MM
    x, y = one.lesion.x * one.wide, one.lesion.y * one.deep
    edges = (x - radius, y - radius, x + radius, y + radius)
    left, top, right, bottom = ((edge + FIELD / 2) * scale for edge in edges)
    return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))


def _body(canvas: _Canvas) -> Array:
    """Skin and fat around muscle; where what is inside lies."""
    canvas.fill(canvas.ellipse(0, 0, 0.92, 0.70), FAT)
    inside = canvas.ellipse(0, 0, 0.85, 0.63)
    canvas.fill(inside, MUSCLE)
    return inside


def _spine(canvas: _Canvas) -> None:
    canvas.fill(canvas.ellipse(0, 0.40, 0.13, 0.10), BONE)
    canvas.fill(canvas.ellipse(0, 0.40, 0.10, 0.075), MARROW)
    canvas.fill(canvas.ellipse(0, 0.53, 0.05, 0.045), FLUID)
    for side in (-1, 1):
        canvas.fill(canvas.ellipse(side * 0.12, 0.53, 0.09, 0.03, side * 0.5), BONE)


def _ribs(canvas: _Canvas, rng: np.random.Generator) -> None:
    start = rng.uniform(0, 0.5)
    for angle in np.arange(start, start + 2 * np.pi, 0.62):
        x, y = 0.80 * np.cos(angle), 0.58 * np.sin(angle)
        canvas.fill(canvas.ellipse(x, y, 0.085, 0.024, angle + np.pi / 2), BONE * 0.6)


def _chest(canvas: _Canvas, rng: np.random.Generator, inside: Array) -> None:
    _ribs(canvas, rng)
    for x, wide in ((-0.40, 0.34), (0.42, 0.32)):
        lung = canvas.ellipse(x, 0.0, wide, 0.50, 0.12 * np.sign(x)) * inside
        canvas.fill(lung, LUNG)
        for _ in range(26):
            reach, angle = np.sqrt(rng.random()) * 0.85, rng.uniform(0, 2 * np.pi)
            vessel = x + wide * reach * np.cos(angle), 0.5 * reach * np.sin(angle)
            radius = rng.uniform(0.006, 0.016) * (1.4 - reach)
            canvas.fill(canvas.ellipse(*vessel, radius, radius) * lung, -100)
    canvas.fill(canvas.ellipse(0.06, -0.18, 0.28, 0.24, 0.4), MUSCLE)
    canvas.fill(canvas.ellipse(0, 0.1, 0.14, 0.30), MUSCLE)
    canvas.fill(canvas.ellipse(0.11, 0.27, 0.065, 0.065), BLOOD)


def _upper(canvas: _Canvas, rng: np.random.Generator, inside: Array) -> None:
    _ribs(canvas, rng)
    canvas.fill(canvas.ellipse(0, 0, 0.78, 0.55) * inside, FAT)
    canvas.fill(canvas.ellipse(0.36, -0.20, 0.30, 0.24, 0.3), FLUID + 25)
    gas = canvas.ellipse(0.36, -0.22, 0.25, 0.18, 0.3) * (canvas.y < -0.24)
    canvas.fill(gas, AIR * 0.9)
    canvas.fill(canvas.ellipse(-0.38, -0.02, 0.38, 0.46), LIVER)
    canvas.fill(canvas.ellipse(0.0, -0.26, 0.32, 0.19, 0.15), LIVER)
    for _ in range(9):
        x, y = -0.35 + rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.2)
        radius = rng.uniform(0.012, 0.022)
        canvas.fill(canvas.ellipse(x, y, radius, radius * rng.uniform(1, 2), rng.uniform(0, 3)), LIVER + 45)
    canvas.fill(canvas.ellipse(0.58, 0.16, 0.17, 0.27, -0.25), SPLEEN)
    canvas.fill(canvas.ellipse(0.07, 0.24, 0.06, 0.06), BLOOD)


def _middle(canvas: _Canvas, rng: np.random.Generator, inside: Array) -> None:
    canvas.fill(canvas.ellipse(0, 0, 0.76, 0.54) * inside, FAT)
    canvas.fill(canvas.ellipse(-0.58, -0.10, 0.17, 0.30, 0.15), LIVER)
    for side in (-1, 1):
        canvas.fill(canvas.ellipse(side * 0.17, 0.36, 0.09, 0.11), MUSCLE)
        canvas.fill(canvas.ellipse(side * 0.40, 0.23, 0.16, 0.19, -0.3 * side), KIDNEY)
        canvas.fill(canvas.ellipse(side * 0.30, 0.24, 0.06, 0.06), FAT + 40)
    for _ in range(11):
        x, y = rng.uniform(-0.32, 0.55), rng.uniform(-0.42, -0.04)
        radius = rng.uniform(0.06, 0.10)
        canvas.fill(canvas.ellipse(x, y, radius, radius * 0.85, rng.uniform(0, 3)) * inside, rng.uniform(20, 60))
        if rng.random() < 0.35:
            canvas.fill(canvas.ellipse(x, y - 0.02, radius * 0.6, radius * 0.4), AIR * 0.9)
    canvas.fill(canvas.ellipse(0.05, 0.22, 0.055, 0.055), BLOOD)
    canvas.fill(canvas.ellipse(-0.09, 0.23, 0.065, 0.05), BLOOD - 40)


_DRAW = {"chest": _chest, "liver": _upper, "kidneys": _middle}

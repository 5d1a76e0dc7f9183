"""Findings and devices: what each does to the healthy chest.

A finding changes the depth of air in the lungs, adds tissue or changes the vessels; a device adds metal or plastic.
Every function works on a `Chest`, which collects the changes, and reports where its finding is seen (its mask).
The size of a lesion runs from just visible (0.1) to unmistakable (1). Knows anatomy, nothing of display or wording.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from engine.datasets.phantoms.model import Film, Lesion
from engine.datasets.phantoms.strokes import Array, bezier, resample
from engine.datasets.phantoms.thorax import (
    AXIS,
    LUNG_AIR,
    LUNG_LATERAL,
    TISSUE,
    Grid,
    ellipse,
    heart_extent,
    step,
)

TEXTURE = 96
"""Cells along each side of a random texture."""


@dataclass(eq=False)
class Chest:
    """A film in the making. ``air`` is the share of the lung's depth still aerated, ``free`` the share of free pleural air."""

    grid: Grid
    lower: Array
    relative: Array
    air: Array
    free: Array | None = None
    added: Array | None = None
    vessel_gain: float = 1.0
    vessel_width: float = 1.0
    want_masks: bool = False
    masks: dict[str, Array] = field(default_factory=dict)

    def add(self, attenuation: Array) -> None:
        """Add tissue, plastic or metal."""
        self.added = attenuation if self.added is None else self.added + attenuation

    def mark(self, lesion: Lesion, where: Array) -> None:
        """Note where a lesion is seen (bool)."""
        before = self.masks.get(lesion.finding)
        self.masks[lesion.finding] = where if before is None else before | where


def texture(grid: Grid, seed: int, cell: float) -> Array:
    """A smooth random field fixed to the anatomy, about -1..1, with features of ``cell`` anatomy units."""
    rng = np.random.default_rng([seed, 21])
    noise = rng.standard_normal((TEXTURE, TEXTURE), dtype=np.float32) * np.float32(0.75)
    reach = TEXTURE / 2
    step_x = float(grid.x[0, 1] - grid.x[0, 0]) / cell, float(grid.x[1, 0] - grid.x[0, 0]) / cell
    step_y = float(grid.y[0, 1] - grid.y[0, 0]) / cell, float(grid.y[1, 0] - grid.y[0, 0]) / cell
    start_x, start_y = float(grid.x[0, 0]) / cell, float(grid.y[0, 0]) / cell
    # The picture wraps around its texture: a tile of the noise is laid out large enough for the whole film.
    wide = int(max(abs(start_x), abs(start_x + step_x[0] * grid.columns)) + reach) // TEXTURE * 2 + 1
    if wide > 1:
        noise = np.tile(noise, (wide, wide))
    middle = noise.shape[0] / 2
    coefficients = (*step_x, start_x + middle, *step_y, start_y + middle)
    picture = Image.fromarray(noise).transform(
        (grid.columns, grid.rows), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(picture, dtype=np.float32)


def apply(chest: Chest, lesion: Lesion) -> None:
    """Put a lesion into the chest. Cardiomegaly changes the heart itself and is drawn with it."""
    _DRAW[lesion.finding](chest, lesion)


def raised_domes(film: Film) -> tuple[float, float]:
    """How far atelectasis lifts the right and the left dome of the diaphragm."""
    lesion = film.lesion("atelectasis")
    if lesion is None:
        return 0.0, 0.0
    lift = 0.02 + 0.13 * lesion.size
    return (lift if -1 in lesion.signs else 0.0), (lift if 1 in lesion.signs else 0.0)


def heart_ratio(film: Film) -> float:
    """The cardiothoracic ratio of the film: the patient's own, or an enlarged one."""
    lesion = film.lesion("cardiomegaly")
    own = film.anatomy.heart_ratio
    return own if lesion is None else 0.525 + 0.16 * lesion.size + 0.15 * (own - 0.44)


def _half(grid: Grid, sign: int) -> Array:
    """1 on the given side of the mid-line, 0 on the other."""
    return np.asarray(step(grid.x * np.float32(sign), 0.02))


def _effusion(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 31])
    slope, soft = rng.uniform(0.9, 1.25), rng.uniform(0.035, 0.06)
    for sign in lesion.signs:
        size = lesion.size if sign == lesion.signs[0] else lesion.size * rng.uniform(0.85, 1.0)
        breath = 0.10 * grid.film.pose.inspiration
        # The surface of the fluid climbs the chest wall; a small one only fills the angle.
        wall = 0.88 + breath - 0.12 - 0.95 * size
        valley = 0.16 + 0.10 * size
        away = np.maximum(1.0 - grid.side * np.float32(1.0 / 0.97), 0)
        fall = np.float32(valley * 2.4 * slope) * away / (away + np.float32(0.35))
        surface = np.float32(wall) + fall
        wet = step(grid.y - surface, soft * (1 + 0.6 * size)) * _half(grid, sign)
        chest.air *= 1 - np.float32(0.97) * wet
        if chest.want_masks:
            inside = (chest.relative < 1) & (grid.y < chest.lower + np.float32(0.04)) & (grid.side > 0.12)
            chest.mark(lesion, (wet > 0.4) & inside)


_ZONES = {"upper": -0.50, "mid": -0.02, "lower": 0.40}


def _consolidation(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 32])
    for sign in lesion.signs:
        y = _ZONES[lesion.zone] + rng.uniform(-0.07, 0.07)
        x = rng.uniform(0.44, 0.60) * (0.88 if lesion.zone == "upper" else 1.0)
        if lesion.zone == "lower" and sign > 0:
            x = rng.uniform(0.58, 0.68)
        half = 0.15 + 0.20 * lesion.size
        shape = ellipse(grid, sign * x, y, half * rng.uniform(0.9, 1.15), half * rng.uniform(0.85, 1.1), rng.uniform(-0.3, 0.3))
        patches = texture(grid, lesion.seed, 0.075)
        blob = np.clip(np.float32(1.25) - shape + np.float32(0.62) * patches, 0, 1)
        blob *= np.clip(np.float32(2.4) - shape, 0, 1)
        dense = (0.36 + 0.5 * lesion.size) * blob * (1 + np.float32(0.16) * texture(grid, lesion.seed + 1, 0.03))
        chest.air *= 1 - np.clip(dense, 0, 0.93)
        if chest.want_masks:
            chest.mark(lesion, (blob > 0.35) & (chest.relative < 1) & (grid.y < chest.lower) & (grid.x * sign > 0.1))


def _pneumothorax(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 33])
    for sign in lesion.signs:
        apex = 0.09 + 0.42 * lesion.size
        gap = 0.045 + 0.30 * lesion.size**1.2
        # The lung shrinks from apex and wall towards its hilum; the gap closes downwards for all but the largest.
        reach = 0.05 + 1.1 * lesion.size + rng.uniform(-0.05, 0.05)
        narrowing = np.clip((reach - AXIS) / (reach + 1.0), 0, 1) ** 0.8
        source = np.clip(AXIS - apex * np.clip((0.3 - AXIS) / 1.3, 0, 1), -1.0, 2.0)
        lung = np.interp(source, AXIS, LUNG_LATERAL) - gap * narrowing
        lung = np.where(AXIS < -1.0 + apex * 0.98, 0.0, lung).astype(np.float32)
        edge = (grid.side - grid.by_row(lung)) * np.float32(1.0)
        free = step(edge, 0.008) * _half(grid, sign)
        chest.free = free if chest.free is None else np.maximum(chest.free, free)
        heights = np.linspace(-1.0 + apex, min(reach, 0.75), 80)
        inset = np.interp(heights, AXIS, lung)
        keep = np.interp(heights, AXIS, LUNG_LATERAL) - inset > 0.012
        heights, inset = heights[keep], inset[keep]
        across = np.linspace(0.20, inset[0], 16)[:-1]
        top = heights[0] + 0.02 * np.linspace(1, 0, 16)[:-1] ** 2
        line = np.stack([sign * np.concatenate([across, inset]), np.concatenate([top, heights])], 1)
        strokes = grid.strokes()
        strokes.add(grid.pixels(resample(line, 160))[None], 0.0085 * grid.unit, 0.20)
        chest.add(strokes.canvas())
        if chest.want_masks:
            chest.mark(lesion, (free > 0.5) & (chest.relative < 1) & (grid.y < chest.lower) & (grid.y > -1.0) & (grid.side > 0.17))


def _edema(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 34])
    size = lesion.size
    wide = 0.40 + 0.16 * size
    shape = ((grid.side - np.float32(0.34)) * np.float32(1 / wide)) ** 2 + ((grid.y - np.float32(0.12)) * np.float32(1 / 0.62)) ** 2
    cloud = 1 / (1 + shape * shape)
    haze = cloud * (0.17 + 0.46 * size) * (1 + np.float32(0.30) * texture(grid, lesion.seed, 0.07))
    chest.air *= 1 - np.clip(haze, 0, 0.85)
    chest.vessel_gain *= 1.15 + 0.5 * size
    chest.vessel_width *= 1.1 + 0.25 * size
    strokes = grid.strokes()
    lines = []
    for sign in (-1, 1):
        for _ in range(round(5 + 9 * size)):
            y = rng.uniform(0.15, 0.68)
            outer = float(np.interp(y, AXIS, LUNG_LATERAL)) - 0.015
            length = rng.uniform(0.07, 0.13)
            lines.append([(sign * outer, y), (sign * (outer - length), y + rng.uniform(-0.012, 0.012))])
    strokes.add(grid.pixels(np.array(lines)), 0.006 * grid.unit, 0.05 + 0.06 * size)
    chest.add(strokes.canvas() * (chest.relative < 1) * (grid.y < chest.lower))
    if chest.want_masks:
        inside = (chest.relative < 1) & (grid.y < chest.lower) & (grid.side > 0.15) & (grid.y > -0.98)
        chest.mark(lesion, (cloud > 0.5) & inside)


def _atelectasis(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 35])
    middle = chest.lower
    for sign in lesion.signs:
        strokes = grid.strokes()
        bands = 1 + int(lesion.size > 0.3) + int(lesion.size > 0.65)
        base = float(np.interp(sign * 0.5, AXIS, _base_of(grid)))
        for number in range(bands):
            y = base - 0.13 - 0.12 * number + rng.uniform(-0.02, 0.02)
            length = rng.uniform(0.34, 0.44) + 0.12 * lesion.size
            x = rng.uniform(0.42, 0.50) if sign < 0 else rng.uniform(0.54, 0.60)
            slope = rng.uniform(-0.10, 0.05)
            bow = rng.uniform(-0.04, 0.01)
            ends = [(sign * (x - length / 2), y - slope / 2), (sign * x, y + bow), (sign * (x + length / 2), y + slope / 2)]
            thick = (0.017 + 0.024 * lesion.size) * (1.0 if number == 0 else rng.uniform(0.7, 0.95))
            taper = np.sin(np.linspace(0.25, np.pi - 0.25, 40)) ** 0.7
            strokes.add(grid.pixels(bezier(np.array(ends), 40))[None], thick * taper * grid.unit, (0.24 + 0.30 * lesion.size) * taper)
        inside = (chest.relative < 1) & (grid.y < middle)
        band = strokes.canvas() * inside
        chest.add(band)
        # Volume loss: crowded, denser lung just above the dome.
        crowd = np.clip(1 - (middle - grid.y) * np.float32(1 / (0.10 + 0.16 * lesion.size)), 0, 1) * _half(grid, sign)
        chest.air *= 1 - crowd * np.float32(0.18 + 0.40 * lesion.size)
        if chest.want_masks:
            chest.mark(lesion, ((band > 0.05) | ((crowd > 0.5) & inside & (grid.side > 0.15))))


def _base_of(grid: Grid) -> Array:
    """The diaphragm of the film over x, with its raised domes."""
    from engine.datasets.phantoms.thorax import diaphragm

    return diaphragm(grid.film, raised_domes(grid.film))


def _nodule(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 36])
    for sign in lesion.signs:
        y = {"upper": -0.52, "mid": -0.06, "lower": 0.34}[lesion.zone] + rng.uniform(-0.09, 0.09)
        low, high = (0.34, 0.54) if lesion.zone == "upper" else (0.46, 0.72)
        if lesion.zone == "lower" and sign > 0:
            low, high = 0.62, 0.76
        x = sign * rng.uniform(low, high)
        radius = 0.048 + 0.075 * lesion.size
        shape = ellipse(grid, x, y, radius * rng.uniform(0.95, 1.08), radius * rng.uniform(0.92, 1.05))
        ball = np.sqrt(np.clip(1 - shape, 0, 1))
        chest.add(np.float32(2 * radius * TISSUE * LUNG_AIR * 1.55) * ball)
        if chest.want_masks:
            chest.mark(lesion, shape < 1)


def _cardiomegaly(chest: Chest, lesion: Lesion) -> None:
    """Drawn by the mediastinum through `heart_ratio`; its mask is marked by the renderer."""


def _tube(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 37])
    turn = grid.film.pose.turn * 0.5
    tip = -0.48 + rng.uniform(-0.06, 0.06)
    path = np.array([(turn + rng.uniform(-0.02, 0.02), -2.0), (turn + rng.uniform(-0.03, 0.03), -1.1), (turn + 0.004, tip)])
    curve = grid.pixels(bezier(path, 64))[None]
    strokes = grid.strokes()
    strokes.add(curve, 0.030 * grid.unit, 0.62, wall=0.24)
    stripe = path + np.array([0.016, 0.0])
    strokes.add(grid.pixels(bezier(stripe, 64))[None], 0.008 * grid.unit, 0.55)
    drawn = strokes.canvas()
    chest.add(drawn)
    if chest.want_masks:
        chest.mark(lesion, drawn > 0.12)


def _line(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 38])
    turn = grid.film.pose.turn
    sign = lesion.signs[0]
    tip = (-0.135 + turn, rng.uniform(-0.12, 0.08))
    entry = rng.uniform() < 0.5
    if entry:
        # From the neck down the jugular vein.
        first = np.array([(sign * 0.33, -1.75), (sign * 0.26, -1.30), (sign * 0.24, -0.98), (sign * 0.17, -0.80)])
    else:
        # Under the clavicle through the subclavian vein.
        first = np.array([(sign * 0.78, -0.66), (sign * 0.70, -0.92), (sign * 0.44, -0.98), (sign * 0.17, -0.80)])
    across = np.array([first[-1], (sign * 0.02 if sign > 0 else -0.125, -0.70), (-0.13 + turn, -0.58), tip])
    path = np.concatenate([bezier(first, 40), bezier(across, 40)[1:]])
    curve = grid.pixels(resample(path, 120))[None]
    strokes = grid.strokes()
    strokes.add(curve, 0.0125 * grid.unit, 0.55)
    strokes.add(curve, 0.0125 * grid.unit, 0.25, wall=0.4)
    drawn = strokes.canvas()
    chest.add(drawn)
    if chest.want_masks:
        chest.mark(lesion, drawn > 0.12)


def _pacemaker(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 39])
    sign = lesion.signs[0]
    x, y = sign * rng.uniform(0.66, 0.76), rng.uniform(-0.70, -0.60)
    tilt = rng.uniform(-0.35, 0.35)
    u = ((grid.x - np.float32(x)) * np.float32(np.cos(tilt)) + (grid.y - np.float32(y)) * np.float32(np.sin(tilt))) / np.float32(0.155)
    v = ((grid.y - np.float32(y)) * np.float32(np.cos(tilt)) - (grid.x - np.float32(x)) * np.float32(np.sin(tilt))) / np.float32(0.135)
    u, v = u * u, v * v
    can = np.clip((1 - (u * u + v * v)) * 9, 0, 1)
    header = np.clip((1 - (u * u * 2.2 + (v * 3 - 1.6) ** 2)) * 4, 0, 1)
    chest.add(np.float32(1.15) * can + np.float32(0.5) * header * can)
    right, left = heart_extent(grid.film, heart_ratio(grid.film))
    turn = grid.film.pose.turn
    vein = [(x - sign * 0.02, y - 0.12), (x - sign * 0.06, y - 0.36), (sign * 0.36, -0.92), (sign * 0.15, -0.80)]
    cava = [(sign * 0.15, -0.80), (-0.03 if sign > 0 else -0.12, -0.74), (-0.13 + turn, -0.52), (-0.14 + turn, -0.1)]
    ventricle = [(-0.14 + turn, -0.1), (-0.20 + turn, 0.42), (0.05, 0.70), (left * 0.74 + turn, 0.55)]
    atrium = [(-0.14 + turn, -0.1), (-0.16 + turn, 0.30), (-0.06 + turn, 0.34), (-right * 0.62 + turn, 0.16)]
    paths = [vein, cava, ventricle] + ([atrium] if rng.uniform() < 0.6 else [])
    strokes = grid.strokes()
    strokes.add(grid.pixels(bezier(np.array(paths), 48)), 0.0095 * grid.unit, 0.80)
    loop_angle = np.linspace(0, 1.5 * np.pi, 40)
    loop = np.stack([x + 0.17 * np.cos(loop_angle), y + 0.15 * np.sin(loop_angle)], 1)
    strokes.add(grid.pixels(loop)[None], 0.0085 * grid.unit, 0.65)
    drawn = strokes.canvas()
    chest.add(drawn)
    if chest.want_masks:
        chest.mark(lesion, (drawn > 0.12) | (can > 0.3))


_DRAW = {
    "pleural effusion": _effusion,
    "consolidation": _consolidation,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
    "pulmonary edema": _edema,
    "atelectasis": _atelectasis,
    "nodule": _nodule,
    "endotracheal tube": _tube,
    "central line": _line,
    "pacemaker": _pacemaker,
}

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
    diaphragm,
    ellipse,
    heart_extent,
    step,
)

TEXTURE = 96
"""Cells along each side of a random texture."""


@dataclass(eq=False)
class Chest:
    """A film in the making.

    ``depth`` is that of healthy lung, ``air`` the share of it still aerated and ``free`` the share that is free
    pleural air.
    """

    grid: Grid
    lower: Array
    relative: Array
    depth: Array
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
    # Smooth fields are computed on every second or fourth pixel.
    coarse = 4 if cell * grid.unit >= 12 else 2 if cell * grid.unit >= 6 else 1
    columns, rows = -(-grid.columns // coarse), -(-grid.rows // coarse)
    step_x = float(grid.x[0, 1] - grid.x[0, 0]) / cell, float(grid.x[1, 0] - grid.x[0, 0]) / cell
    step_y = float(grid.y[0, 1] - grid.y[0, 0]) / cell, float(grid.y[1, 0] - grid.y[0, 0]) / cell
    start_x, start_y = float(grid.x[0, 0]) / cell, float(grid.y[0, 0]) / cell
    # The texture repeats: as many tiles as it takes for the whole film.
    extent = max(
        abs(start_x), abs(start_x + step_x[0] * grid.columns), abs(start_y), abs(start_y + step_y[1] * grid.rows)
    )
    tiles = 2 * int(1.2 * extent / TEXTURE + 0.5) + 1
    if tiles > 1:
        noise = np.tile(noise, (tiles, tiles))
    middle = noise.shape[0] / 2
    half = 0.5 * (coarse - 1)
    across = (step_x[0] * coarse, step_x[1] * coarse, start_x + middle + half * (step_x[0] + step_x[1]))
    down = (step_y[0] * coarse, step_y[1] * coarse, start_y + middle + half * (step_y[0] + step_y[1]))
    # Pillow samples at pixel centres: its half pixel is taken back.
    shifted = tuple((*row[:2], row[2] - 0.5 * (row[0] + row[1])) for row in (across, down))
    picture = Image.fromarray(noise).transform(
        (columns, rows), Image.Transform.AFFINE, shifted[0] + shifted[1], Image.Resampling.BILINEAR
    )
    if coarse > 1:
        box = (0.0, 0.0, grid.columns / coarse, grid.rows / coarse)
        picture = picture.resize((grid.columns, grid.rows), Image.Resampling.BILINEAR, box)
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
    return own if lesion is None else 0.485 + 0.19 * lesion.size + 0.3 * (own - 0.43)


def _half(grid: Grid, sign: int) -> Array:
    """1 on the given side of the mid-line, 0 on the other."""
    return np.asarray(step(grid.x * np.float32(sign), 0.02))


def _effusion(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 31])
    slope, soft = rng.uniform(0.9, 1.25), rng.uniform(0.035, 0.06)
    for sign in lesion.signs:
        size = lesion.size if sign == lesion.signs[0] else lesion.size * rng.uniform(0.85, 1.0)
        anatomy = grid.film.anatomy
        dome = (anatomy.dome_left if sign > 0 else anatomy.dome_right) + 0.10 * grid.film.pose.inspiration
        # The surface of the fluid climbs the chest wall; a small one only fills the angle.
        wall = dome + 0.05 - 0.88 * size
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
        shape = ellipse(
            grid, sign * x, y, half * rng.uniform(0.9, 1.15), half * rng.uniform(0.85, 1.1), rng.uniform(-0.3, 0.3)
        )
        patches = texture(grid, lesion.seed, 0.075)
        patches = patches + np.float32(0.5) * texture(grid, lesion.seed + 2, 0.035)
        blob = step(np.float32(0.95) - shape + np.float32(0.42) * patches, 0.75)
        blob *= np.clip(np.float32(2.6) - shape, 0, 1)
        dense = (0.27 + 0.56 * lesion.size) * blob * (1 + np.float32(0.16) * texture(grid, lesion.seed + 1, 0.03))
        chest.air *= 1 - np.clip(dense, 0, 0.93)
        if chest.want_masks:
            chest.mark(lesion, (blob > 0.35) & (chest.relative < 1) & (grid.y < chest.lower) & (grid.x * sign > 0.1))


def _pneumothorax(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 33])
    for sign in lesion.signs:
        apex = 0.12 + 0.42 * lesion.size
        gap = 0.08 + 0.28 * lesion.size
        # The lung shrinks from apex and wall towards its hilum; the gap closes downwards for all but the largest.
        reach = 0.15 + 1.0 * lesion.size + rng.uniform(-0.05, 0.05)
        narrowing = np.clip((reach - AXIS) / (reach + 1.0), 0, 1) ** 0.8
        source = np.where(AXIS < 0.3, 0.3 + (AXIS - 0.3) * 1.3 / (1.3 - apex), AXIS)
        lung = np.interp(source, AXIS, LUNG_LATERAL) - gap * narrowing
        lung = np.where(apex - 1.0 > AXIS, 0.0, lung).astype(np.float32)
        edge = (grid.side - grid.by_row(lung)) * np.float32(1.0)
        free = step(edge, 0.008) * _half(grid, sign)
        chest.free = free if chest.free is None else np.maximum(chest.free, free)
        heights = np.linspace(-1.0 + apex, min(reach, 0.75), 80)
        inset = np.interp(heights, AXIS, lung)
        keep = np.interp(heights, AXIS, LUNG_LATERAL) - inset > 0.012
        heights, inset = heights[keep], inset[keep]
        across = np.linspace(min(0.24, float(inset[0]) - 0.05), inset[0], 16)[:-1]
        top = heights[0] + 0.02 * np.linspace(1, 0, 16)[:-1] ** 2
        line = np.stack([sign * np.concatenate([across, inset]), np.concatenate([top, heights])], 1)
        strokes = grid.strokes()
        strength = 0.26 * np.clip(np.linspace(0, 8, 160), 0, 1)
        strokes.add(grid.pixels(resample(line, 160))[None], 0.0085 * grid.unit, strength)
        chest.add(strokes.canvas())
        if chest.want_masks:
            chest.mark(
                lesion,
                (free > 0.5) & (chest.relative < 1) & (grid.y < chest.lower) & (grid.y > -1.0) & (grid.side > 0.17),
            )


def _edema(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 34])
    size = lesion.size
    wide = 0.40 + 0.16 * size
    shape = ((grid.side - np.float32(0.34)) * np.float32(1 / wide)) ** 2 + (
        (grid.y - np.float32(0.12)) * np.float32(1 / 0.62)
    ) ** 2
    cloud = 1 / (1 + shape * shape)
    haze = cloud * (0.13 + 0.52 * size) * (1 + np.float32(0.24) * texture(grid, lesion.seed, 0.07))
    chest.air *= 1 - np.clip(haze, 0, 0.85)
    chest.vessel_gain *= 1.1 + 0.2 * size
    chest.vessel_width *= 1.06 + 0.14 * size
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
        base = float(np.interp(sign * 0.5, AXIS, diaphragm(grid.film, raised_domes(grid.film))))
        for number in range(bands):
            y = base - 0.17 - 0.12 * number + rng.uniform(-0.02, 0.02)
            length = rng.uniform(0.34, 0.44) + 0.12 * lesion.size
            x = rng.uniform(0.42, 0.50) if sign < 0 else rng.uniform(0.54, 0.60)
            slope = rng.uniform(-0.10, 0.05)
            bow = rng.uniform(-0.04, 0.01)
            ends = [
                (sign * (x - length / 2), y - slope / 2),
                (sign * x, y + bow),
                (sign * (x + length / 2), y + slope / 2),
            ]
            thick = (0.024 + 0.020 * lesion.size) * (1.0 if number == 0 else rng.uniform(0.7, 0.95))
            taper = np.sin(np.linspace(0.25, np.pi - 0.25, 40)) ** 0.7
            strokes.add(
                grid.pixels(bezier(np.array(ends), 40))[None],
                thick * taper * grid.unit,
                (0.48 + 0.12 * lesion.size) * taper,
            )
        inside = (chest.relative < 1) & (grid.y < middle)
        band = strokes.canvas() * np.minimum(chest.depth * np.float32(2.5), 1)
        chest.add(band)
        # Volume loss: crowded, denser lung just above the dome.
        crowd = np.clip(1 - (middle - grid.y) * np.float32(1 / (0.10 + 0.16 * lesion.size)), 0, 1) * _half(grid, sign)
        chest.air *= 1 - crowd * np.float32(0.18 + 0.40 * lesion.size)
        if chest.want_masks:
            chest.mark(lesion, ((band > 0.05) | ((crowd > 0.5) & inside & (grid.side > 0.15))))


def _nodule(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 36])
    for sign in lesion.signs:
        y = {"upper": -0.52, "mid": -0.06, "lower": 0.28}[lesion.zone] + rng.uniform(-0.09, 0.09)
        low, high = (0.34, 0.54) if lesion.zone == "upper" else (0.46, 0.72)
        if lesion.zone == "lower" and sign > 0:
            low, high = 0.62, 0.76
        x = sign * rng.uniform(low, high)
        radius = 0.053 + 0.072 * lesion.size
        shape = ellipse(grid, x, y, radius * rng.uniform(0.95, 1.08), radius * rng.uniform(0.92, 1.05))
        ball = np.sqrt(np.clip(1 - shape, 0, 1))
        chest.add(np.float32(2 * radius * TISSUE * LUNG_AIR * 1.8) * ball)
        if chest.want_masks:
            chest.mark(lesion, shape < 1)


def _cardiomegaly(chest: Chest, lesion: Lesion) -> None:
    """Drawn by the mediastinum through `heart_ratio`; its mask is marked by the renderer."""


def _tube(chest: Chest, lesion: Lesion) -> None:
    grid = chest.grid
    rng = np.random.default_rng([lesion.seed, 37])
    turn = grid.film.pose.turn * 0.5
    tip = -0.48 + rng.uniform(-0.06, 0.06)
    path = np.array(
        [(turn + rng.uniform(-0.02, 0.02), -2.0), (turn + rng.uniform(-0.03, 0.03), -1.1), (turn + 0.004, tip)]
    )
    curve = grid.pixels(bezier(path, 64))[None]
    strokes = grid.strokes()
    strokes.add(curve, 0.032 * grid.unit, 0.0, shell=0.85, wall=0.24)
    stripe = path + np.array([0.016, 0.0])
    strokes.add(grid.pixels(bezier(stripe, 64))[None], 0.010 * grid.unit, 0.75)
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
    strokes.add(curve, 0.0135 * grid.unit, 0.72, shell=0.25, wall=0.4)
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
    u = (
        (grid.x - np.float32(x)) * np.float32(np.cos(tilt)) + (grid.y - np.float32(y)) * np.float32(np.sin(tilt))
    ) / np.float32(0.155)
    v = (
        (grid.y - np.float32(y)) * np.float32(np.cos(tilt)) - (grid.x - np.float32(x)) * np.float32(np.sin(tilt))
    ) / np.float32(0.135)
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

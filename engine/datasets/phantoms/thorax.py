"""The healthy chest: how much tissue, air and bone a beam meets on its way to each pixel.

Works in canonical anatomy coordinates (width and bend of the patient taken out), with every curve either a closed
formula or a table over height or width, so that a film of any size is a few dozen passes over its pixels. Lengths are
in anatomy units; attenuation is in natural logarithms. Knows no finding and no display.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from engine.datasets.phantoms.model import Anatomy, Film
from engine.datasets.phantoms.strokes import Array, Strokes, bezier

TISSUE = 2.7
"""Attenuation of one anatomy unit of soft tissue at chest exposure energies."""

LUNG_AIR = 0.74
"""Share of a healthy lung's depth that is air."""

REACH, ENTRIES = 2.2, 4096
"""Tables run over -REACH..REACH in ENTRIES steps."""

AXIS = ((np.arange(ENTRIES) + 0.5) * (2 * REACH / ENTRIES) - REACH).astype(np.float32)


def table(*knots: tuple[float, float]) -> Array:
    """A smooth monotone-preserving curve through ``knots`` over `AXIS`, constant outside them."""
    x, y = np.array(knots).T
    return np.asarray(PchipInterpolator(x, y)(np.clip(AXIS, x[0], x[-1])), dtype=np.float32)


LUNG_LATERAL = table(
    (-1.0, 0.38), (-0.985, 0.46), (-0.95, 0.54), (-0.88, 0.63), (-0.75, 0.725), (-0.55, 0.81), (-0.25, 0.885),
    (0.0, 0.93), (0.3, 0.97), (0.6, 0.99), (0.9, 1.0), (1.3, 0.99),
)  # fmt: skip
LUNG_MEDIAL = table(
    (-1.0, 0.38), (-0.985, 0.31), (-0.95, 0.265), (-0.88, 0.225), (-0.75, 0.19), (-0.5, 0.145), (-0.3, 0.125),
    (0.0, 0.12), (0.5, 0.11), (1.2, 0.11),
)  # fmt: skip
LUNG_DEPTH = np.sqrt(np.clip((AXIS + 1.0) / 0.75, 0, 1)).astype(np.float32) * table((-1, 0.9), (0, 1.0), (1, 1.0))
BODY_HALF = table(
    (-2.0, 0.40), (-1.40, 0.40), (-1.25, 0.47), (-1.12, 0.66), (-1.02, 0.98), (-0.92, 1.30), (-0.78, 1.52),
    (-0.55, 1.56), (-0.25, 1.38), (0.05, 1.23), (0.4, 1.15), (0.9, 1.13), (1.6, 1.2),
)  # fmt: skip
BODY_DEPTH = table((-2, 0.72), (-1.2, 0.72), (-0.9, 0.95), (-0.5, 1.2), (0.2, 1.25), (0.8, 1.3), (1.6, 1.4))
CAGE = LUNG_LATERAL + np.float32(0.035)
CAGE[AXIS < -0.93] = table(
    (-1.11, 0.02), (-1.10, 0.16), (-1.07, 0.32), (-1.03, 0.44), (-0.98, 0.53), (-0.93, 0.607)
)[AXIS < -0.93]  # fmt: skip
CAGE_SLOPE = np.abs(np.gradient(CAGE, AXIS)) / np.maximum(CAGE, 0.1)
WALL_LIMIT = table((-0.95, 0.0), (-0.75, 1.0), (0.65, 1.0), (1.0, 0.45), (1.35, 0.0))
RIB_LIMIT = table((-1.11, 0.0), (-1.0, 1.0), (0.65, 1.0), (1.0, 0.45), (1.35, 0.0))


class Grid:
    """Pixel centres of a film in canonical anatomy coordinates, and the way back from points to pixels."""

    def __init__(self, film: Film, size: int) -> None:
        self.film, self.size = film, size
        self.rows, self.columns = film.shape(size)
        anatomy = film.anatomy
        matrix = film.affine()
        self._forward = matrix * np.array([[self.columns], [self.rows]])
        inverse = np.linalg.inv(self._forward[:, :2])
        columns = np.arange(self.columns, dtype=np.float64) + 0.5 - self._forward[0, 2]
        rows = np.arange(self.rows, dtype=np.float64) + 0.5 - self._forward[1, 2]
        self.y = np.add.outer(inverse[1, 1] * rows, inverse[1, 0] * columns).astype(np.float32)
        raw = np.add.outer(inverse[0, 1] * rows, inverse[0, 0] * columns).astype(np.float32)
        self.x = (raw - np.float32(anatomy.bend) * self.y * self.y) * np.float32(1 / anatomy.width)
        self.side = np.abs(self.x)
        scale = np.float32(ENTRIES / (2 * REACH))
        self._row_index = ((self.y + np.float32(REACH)) * scale).astype(np.intp)
        self._column_index = ((self.x + np.float32(REACH)) * scale).astype(np.intp)
        self.unit = film.pose.scale * size
        """Pixels per anatomy unit."""

    def by_row(self, values: Array) -> Array:
        """A table over height, looked up for every pixel."""
        return np.asarray(np.take(values, self._row_index, mode="clip"))

    def by_column(self, values: Array) -> Array:
        """A table over width (signed), looked up for every pixel."""
        return np.asarray(np.take(values, self._column_index, mode="clip"))

    def at(self, heights: Array, values: Array) -> Array:
        """A table over height, looked up at other heights than the pixels' own."""
        index = (heights + np.float32(REACH)) * np.float32(ENTRIES / (2 * REACH))
        return np.take(values, index.astype(np.intp), mode="clip")

    def pixels(self, points: Array) -> Array:
        """Canonical anatomy points [..., 2] as column and row positions in pixels."""
        anatomy = self.film.anatomy
        points = np.asarray(points, dtype=np.float32)
        y = points[..., 1]
        x = points[..., 0] * np.float32(anatomy.width) + np.float32(anatomy.bend) * y * y
        matrix = self._forward.astype(np.float32)
        return np.stack(
            [matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2], matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]], -1
        )

    def strokes(self) -> Strokes:
        """An empty set of strokes for this film."""
        return Strokes(self.rows, self.columns)


def step(values: Array, soft: float) -> Array:
    """A cheap smooth step: 0 below -soft, 1 above +soft."""
    t = np.clip(values * np.float32(0.5 / soft) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def dome(distance_squared: Array) -> Array:
    """Thickness of an ellipsoid of depth 1 at the squared relative distance from its middle."""
    return np.asarray(np.sqrt(np.maximum(1 - distance_squared, 0)))


def ellipse(grid: Grid, x: float, y: float, half_width: float, half_height: float, tilt: float = 0.0) -> Array:
    """Squared relative distance from an ellipse's middle; ``tilt`` is the correlation of its axes (-1..1)."""
    u = (grid.x - np.float32(x)) * np.float32(1 / half_width)
    v = (grid.y - np.float32(y)) * np.float32(1 / half_height)
    if tilt == 0:
        return np.asarray(u * u + v * v)
    return np.asarray((u * u + v * v - np.float32(2 * tilt) * u * v) * np.float32(1 / (1 - tilt * tilt)))


def diaphragm(film: Film, raised: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Height of the lungs' lower border as a table over x; ``raised`` lifts the right and the left dome."""
    anatomy, breath = film.anatomy, 0.10 * film.pose.inspiration
    away = np.abs(AXIS)
    out = np.empty_like(AXIS)
    for sign, top, lift in ((-1, anatomy.dome_right, raised[0]), (1, anatomy.dome_left, raised[1])):
        part = np.sign(AXIS) == sign
        rise = np.abs((away - 0.42) / 0.52) ** 2.3
        height = np.where(away > 0.42, anatomy.dome_height + lift * 0.8, anatomy.dome_height * 0.55)
        curve = top + breath - lift + height * np.minimum(rise, 1.6)
        out[part] = curve[part]
    return out


def heart_extent(film: Film, ratio: float) -> tuple[float, float]:
    """How far the heart reaches to the patient's right and left of the mid-line for a cardiothoracic ratio."""
    total = ratio * 2.04
    right = 0.26 * total + 0.03
    return right, total - right


def heart_distance(grid: Grid, ratio: float) -> Array:
    """Squared relative distance from the heart's middle: below 1 inside its silhouette."""
    anatomy, pose = grid.film.anatomy, grid.film.pose
    right, left = heart_extent(grid.film, ratio)
    half = 0.5 * (left + right)
    x = 0.5 * (left - right) + pose.turn
    height = anatomy.heart_height + 0.10 * max(0.0, ratio - 0.45)
    y = 0.36 + 0.06 * pose.inspiration
    return ellipse(grid, x, y, half, height, anatomy.heart_tilt)


def body(grid: Grid) -> Array:
    """Depth of the whole body, in anatomy units."""
    anatomy = grid.film.anatomy
    half = BODY_HALF * np.float32(0.45 + 0.55 * anatomy.habitus)
    relative = grid.side * grid.by_row(1 / half)
    relative = relative * relative
    depth = np.sqrt(np.maximum(1 - relative * relative, 0))
    depth *= grid.by_row(BODY_DEPTH * np.float32(anatomy.habitus))
    if anatomy.breasts > 0:
        for sign in (-1, 1):
            below = ellipse(grid, sign * 0.56, 0.32, 0.42, 0.36)
            # A breast hangs: thick and sharp below, fading upwards into the chest wall.
            fade = np.clip((grid.y - np.float32(-0.05)) * np.float32(1 / 0.45), 0, 1)
            depth += np.float32(0.14 * anatomy.breasts) * dome(below) * fade
    return np.asarray(depth)


def lungs(grid: Grid, lower: Array) -> tuple[Array, Array]:
    """Depth of both lungs [rows, columns], and the relative lateral position (1 at the chest wall)."""
    relative = grid.side * grid.by_row(1 / LUNG_LATERAL)
    medial = grid.side - grid.by_row(LUNG_MEDIAL * np.float32(grid.film.anatomy.mediastinum))
    depth = np.sqrt(np.maximum(1 - relative * relative * relative, 0))
    depth *= np.sqrt(np.clip(medial * np.float32(1 / 0.16), 0, 1))
    depth *= np.sqrt(np.clip((lower - grid.y) * np.float32(1 / 0.26), 0, 1))
    depth *= grid.by_row(LUNG_DEPTH)
    return depth * np.float32(0.98), relative


def mediastinum(grid: Grid, ratio: float) -> tuple[Array, Array]:
    """Depth of heart and great vessels that takes the place of lung, and the heart's squared relative distance."""
    anatomy, turn = grid.film.anatomy, grid.film.pose.turn
    heart = heart_distance(grid, ratio)
    depth = np.float32(0.86) * dome(heart)
    wide = anatomy.mediastinum
    knob = ellipse(grid, 0.165 * wide + turn, -0.47, anatomy.knob, anatomy.knob * 1.15)
    depth = np.maximum(depth, np.float32(0.5) * dome(knob))
    trunk = ellipse(grid, 0.16 * wide + turn, -0.17, 0.14, 0.2)
    depth = np.maximum(depth, np.float32(0.42) * dome(trunk))
    cava = ellipse(grid, -0.10 * wide + turn, -0.28, 0.115, 0.52)
    depth = np.maximum(depth, np.float32(0.30) * dome(cava))
    return depth, heart


def ribs(grid: Grid) -> Array:
    """Attenuation of the rib cage: tilted rings seen from the front, back and front halves."""
    anatomy = grid.film.anatomy
    relative = grid.side * grid.by_row(1 / CAGE)
    square = relative * relative
    cosine = np.sqrt(np.maximum(1 - square, 0))
    drop = grid.by_row(np.float32(anatomy.rib_drop) * CAGE * np.float32(0.5))
    back, front = _rib_tables(anatomy)
    # A rib is a ring tilted forwards: at angle a from the spine it has come down by drop * (1 - cos a) / 2.
    away = drop * cosine
    height = grid.y - drop
    posterior = grid.at(height + away + np.float32(0.05) * relative * cosine, back)
    anterior = grid.at(height - away - np.float32(0.10) * square, front)
    anterior *= np.clip((relative - np.float32(0.38)) * np.float32(6), 0, 1)
    posterior *= np.clip((relative - np.float32(0.10)) * np.float32(14), 0, 1)
    grazing = 1 / np.maximum(cosine, np.float32(0.28))
    total = (posterior + np.float32(0.8) * anterior) * grazing
    # Where the cage closes above the apices its edge is nearly level: soften it over a pixel's height.
    soft = np.float32(0.012) + np.float32(1.2 / grid.unit) * CAGE_SLOPE
    edge = np.clip((1.0 - relative) * grid.by_row(0.5 / soft) + np.float32(0.5), 0, 1)
    total *= edge * edge * (3 - 2 * edge) * grid.by_row(RIB_LIMIT)
    # The chest wall's own edge: muscle between the ribs, seen from the side.
    total += np.float32(0.10) * np.maximum(1 - np.abs(relative - 0.985) * 22, 0) * grid.by_row(WALL_LIMIT)
    return np.asarray(total)


@lru_cache(maxsize=16)
def _rib_tables(anatomy: Anatomy) -> tuple[Array, Array]:
    """Attenuation of the posterior and anterior halves of all ribs, over the height at which each leaves the spine."""
    rng = np.random.default_rng([anatomy.seed, 11])
    out = []
    for thick, strength in ((0.50, 0.22), (0.52, 0.17)):
        values = np.zeros(ENTRIES, np.float32)
        height = -1.12 + anatomy.rib_phase
        for number in range(12):
            spacing = anatomy.rib_spacing * (0.8 + 0.035 * number)
            half = 0.5 * thick * anatomy.rib_width * spacing * rng.uniform(0.92, 1.08)
            first, last = np.searchsorted(AXIS, (height - 1.5 * half, height + 1.5 * half))
            offset = (AXIS[first:last] - height) / half
            inside = np.sqrt(np.maximum(1 - offset**4, 0))
            rim = np.exp(-(((np.abs(offset) - 0.86) / 0.13) ** 2)) * (1 + 0.35 * np.sign(offset))
            values[first:last] += strength * anatomy.bone * rng.uniform(0.9, 1.1) * (0.66 * inside + 0.45 * rim)
            height += spacing
        out.append(values)
    return out[0], out[1]


def spine(grid: Grid) -> Array:
    """Attenuation of the vertebral column with discs, pedicles and spinous processes."""
    anatomy = grid.film.anatomy
    body_part, pedicles, process = _spine_tables(anatomy)
    out = np.zeros_like(grid.x)
    # The column is a narrow upright strip: only its columns are computed.
    inside = np.flatnonzero((grid.side < 0.17).any(0))
    if not inside.size:
        return np.asarray(out)
    strip = slice(int(inside[0]), int(inside[-1]) + 1)
    side, index = grid.side[:, strip], grid._row_index[:, strip]
    half = np.take(table_spine_half(), index, mode="clip")
    relative = side / half
    wall = np.sqrt(np.maximum(1 - relative**6, 0))
    bone = wall * np.take(body_part, index, mode="clip")
    bone += np.maximum(1 - np.abs(relative - 0.93) * 11, 0) * np.take(body_part, index, mode="clip") * np.float32(0.35)
    bone += np.maximum(1 - ((side - 0.068) * 38) ** 2, 0) * np.take(pedicles, index, mode="clip")
    bone += np.maximum(1 - (side * 45) ** 2, 0) * np.take(process, index, mode="clip")
    out[:, strip] = bone * np.float32(anatomy.bone)
    return np.asarray(out)


@lru_cache(maxsize=1)
def table_spine_half() -> Array:
    """Half width of the vertebral bodies over height."""
    return table((-2.0, 0.085), (-1.0, 0.095), (0.0, 0.112), (1.0, 0.135), (2.0, 0.15))


@lru_cache(maxsize=16)
def _spine_tables(anatomy: Anatomy) -> tuple[Array, Array, Array]:
    """Vertebral bodies, pedicles and spinous processes over height."""
    spacing = anatomy.rib_spacing * (0.92 + 0.12 * AXIS)
    phase = np.cumsum((AXIS[1] - AXIS[0]) / spacing) + anatomy.rib_phase * 3
    part = phase % 1.0
    vertebra = 0.21 - 0.10 * np.exp(-(((part - 0.5) / 0.09) ** 2))
    vertebra += 0.05 * np.exp(-(((np.abs(part - 0.5) - 0.13) / 0.035) ** 2))
    pedicle = 0.13 * np.exp(-(((part - 0.85) / 0.10) ** 2))
    process = 0.11 * np.exp(-(((part - 0.15) / 0.13) ** 2))
    return vertebra.astype(np.float32), pedicle.astype(np.float32), process.astype(np.float32)


def girdle(grid: Grid) -> Array:
    """Attenuation of clavicles, scapulae and humeral heads."""
    anatomy, film = grid.film.anatomy, grid.film
    strokes = grid.strokes()
    lift = 0.07 if film.view == "AP" else 0.0
    bone = anatomy.bone
    turn_out = anatomy.shoulder + (-0.06 if film.view == "AP" else 0.03)
    top = -1.0 - lift - anatomy.clavicle

    def both(middle: float, *points: tuple[float, float], samples: int = 24) -> Array:
        """A curve given for the patient's left, and its mirror image; ``middle`` shifts both."""
        left = np.array(points)
        return grid.pixels(bezier(np.stack([left, left * (-1, 1)]) + np.array([middle, 0]), samples))

    shaft = both(
        film.pose.turn * 0.8, (0.13, -0.80 - lift), (0.40, -0.80 - lift), (0.68, top - 0.06), (1.02, top), samples=48
    )
    width = np.interp(
        np.linspace(0, 1, 48), [0, 0.03, 0.12, 0.5, 0.85, 0.97, 1], [0.02, 0.056, 0.05, 0.040, 0.046, 0.05, 0.02]
    )
    strokes.add(shaft, width * grid.unit, 0.20 * bone, shell=0.46 * bone, wall=0.22)
    x = 1.02 + turn_out
    strokes.add(both(0, (x + 0.16, -0.78), (x - 0.10, -0.45), (x - 0.02, -0.16)), 0.022 * grid.unit, 0.16 * bone)
    strokes.add(both(0, (x - 0.02, -0.16), (x - 0.34, -0.40), (x - 0.26, -0.86)), 0.012 * grid.unit, 0.10 * bone)
    strokes.add(both(0, (x - 0.24, -0.78), (x + 0.02, -0.92), (x + 0.20, top - 0.02)), 0.03 * grid.unit, 0.16 * bone)
    arm = both(0, (x + 0.27, -0.90), (x + 0.34, -0.45), (x + 0.38, 0.2))
    shaft_width = np.interp(np.linspace(0, 1, 24), [0, 0.06, 0.2, 1], [0.03, 0.10, 0.085, 0.075])
    strokes.add(arm, shaft_width * grid.unit, 0.24 * bone, shell=0.4 * bone, wall=0.2)
    out = strokes.canvas()
    for sign in (-1, 1):
        x = sign * (1.02 + anatomy.shoulder + (-0.06 if film.view == "AP" else 0.03))
        head = ellipse(grid, x + sign * 0.27, -0.84, 0.15, 0.16)
        out += np.float32(0.30 * bone) * dome(head)
        blade_fill = ellipse(grid, x - sign * 0.12, -0.52, 0.22, 0.36, 0.25 * sign)
        out += np.float32(0.07 * bone) * np.maximum(1 - blade_fill, 0)
    return out


def airways(grid: Grid) -> Array:
    """Depth of air in trachea and main bronchi (to be taken away from soft tissue)."""
    turn = grid.film.pose.turn * 0.5
    strokes = grid.strokes()
    carina = (0.01 + turn, -0.30)
    trachea = np.array([(turn, -1.9), (turn - 0.005, -1.1), carina])
    strokes.add(grid.pixels(bezier(trachea, 48))[None], 0.058 * grid.unit, 0.13)
    right = np.array([carina, (-0.08 + turn, -0.22), (-0.17 + turn, -0.10)])
    left = np.array([carina, (0.09 + turn, -0.21), (0.22 + turn, -0.12)])
    strokes.add(grid.pixels(bezier(np.stack([right, left]), 24)), 0.042 * grid.unit, 0.10)
    return strokes.canvas()


@lru_cache(maxsize=16)
def vessel_tree(anatomy: Anatomy) -> tuple[tuple[Array, Array], ...]:
    """Pulmonary vessels, level by level: curves [n, samples, 2] in canonical coordinates and radii [n, samples]."""
    rng = np.random.default_rng([anatomy.seed, 12])
    starts, angles = [], []
    for sign in (-1, 1):
        fan = np.concatenate([np.linspace(-1.35, -0.35, 4), np.linspace(-0.05, 1.25, 6)]) + rng.normal(0, 0.07, 10)
        height = np.interp(fan, [-1.35, 1.25], [-0.20, 0.04]) + (0.03 if sign < 0 else -0.03)
        starts.append(np.stack([np.full(10, sign * 0.15) + sign * rng.uniform(-0.02, 0.05, 10), height], 1))
        angles.append(np.where(sign > 0, fan, np.pi - fan))
    start, angle = np.concatenate(starts), np.concatenate(angles)
    radius = rng.uniform(0.021, 0.034, len(angle))
    length = rng.uniform(0.2, 0.3, len(angle))
    levels = []
    for depth in range(6):
        bend = rng.normal(0, 0.22, len(angle))
        middle = start + 0.5 * length[:, None] * np.stack([np.cos(angle - bend), np.sin(angle - bend)], 1)
        end = start + length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        curves = bezier(np.stack([start, middle, end], 1), 7)
        taper = np.linspace(1.0, 0.8, 7)
        levels.append((curves, (radius[:, None] * taper).astype(np.float32)))
        if depth == 5:
            break
        fork = rng.uniform(0.15, 0.62, len(angle))
        start = np.repeat(end, 2, 0)
        angle = np.repeat(angle + bend * 0.6, 2) + np.stack([fork, -rng.uniform(0.3, 1.0, len(fork)) * fork], 1).ravel()
        radius = np.repeat(radius, 2) * rng.uniform(0.62, 0.82, 2 * len(radius))
        length = np.repeat(length, 2) * rng.uniform(0.62, 0.95, 2 * len(length))
        inside = _inside_lungs(start)
        if depth == 4:
            inside &= rng.random(len(angle)) < 0.6
        start, angle, radius, length = start[inside], angle[inside], radius[inside], length[inside]
    return tuple(levels)


def _inside_lungs(points: Array) -> Array:
    """Which of the points lie within the lungs' outline with room for the lowest diaphragm."""
    lateral = np.interp(points[:, 1], AXIS, LUNG_LATERAL)
    return np.asarray((np.abs(points[:, 0]) < lateral) & (points[:, 1] > -0.99) & (points[:, 1] < 1.0))


def vessels(grid: Grid, gain: float = 1.0, wider: float = 1.0) -> Array:
    """Attenuation of the lungs' vessels over all of the film; the caller keeps what lies in aerated lung."""
    fine, many = grid.strokes(), grid.strokes()
    for level, (curves, radii) in enumerate(vessel_tree(grid.film.anatomy)):
        strokes = fine if level < 3 else many
        strength = 2 * TISSUE * LUNG_AIR * 2.0 * gain * grid.film.anatomy.vessels
        radius = radii * np.float32(wider)
        strokes.add(grid.pixels(curves), radius * np.float32(grid.unit), radius * np.float32(strength))
    return np.asarray(fine.canvas() + many.coarse())

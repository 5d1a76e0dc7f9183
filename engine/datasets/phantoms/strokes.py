"""Drawing round things along curves: vessels, bones' edges, tubes, wires, letters.

A curve is swept by a disc; what is added to the picture is the thickness a beam would meet (a tube's chord, a wall's
shell), deposited on the pixel grid with bilinear weights. The result keeps the total whatever the pixel size, so a
wire far thinner than a pixel still gives the right average. Knows pixels and curves, nothing of anatomy.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

STEP = 0.95
"""Largest distance of the deposits in pixels; at one pixel and less, bilinear deposits add up evenly."""


def bezier(points: Array, samples: int) -> Array:
    """Quadratic or cubic Bezier curves: control points [..., 3 or 4, 2] -> positions [..., samples, 2]."""
    t = np.linspace(0.0, 1.0, samples, dtype=np.float32)
    s = 1 - t
    basis = (
        np.stack([s * s, 2 * s * t, t * t])
        if points.shape[-2] == 3
        else np.stack([s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t])
    )
    return np.asarray(np.einsum("ks,...kc->...sc", basis, points.astype(np.float32)))


def resample(points: Array, samples: int) -> Array:
    """A polyline [n, 2] as ``samples`` points at equal distances along it."""
    steps = np.hypot(*(points[1:] - points[:-1]).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0.0, along[-1], samples)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1).astype(np.float32)


class Strokes:
    """Collects swept curves in pixel coordinates and lays them down at once with `canvas`."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._x: list[Array] = []
        self._y: list[Array] = []
        self._weight: list[Array] = []

    def add(
        self,
        curves: Array,
        radius: Array | float,
        amount: Array | float,
        shell: float = 0.0,
        wall: float = 0.2,
        flat: bool = False,
    ) -> None:
        """Sweep curves by a rod of constant density, or by a tube, or by a rod with a denser shell.

        Args:
            curves: [curves, samples, 2] column and row positions in pixels (pixel centres at halves).
            radius: pixels; broadcast to [curves, samples].
            amount: attenuation of the rod at the middle of the curve; broadcast to [curves, samples].
            shell: attenuation that the tube's wall would have if it filled the tube.
            wall: share of the radius that is wall.
            flat: constant thickness across instead of a chord (ribbons, letters).
        """
        curves = np.asarray(curves, dtype=np.float32)
        radius = np.broadcast_to(np.asarray(radius, dtype=np.float32), curves.shape[:2])
        amount = np.broadcast_to(np.asarray(amount, dtype=np.float32), curves.shape[:2])
        step = curves[:, 1:] - curves[:, :-1]
        lengths = np.sqrt((step * step).sum(-1)).sum(1)
        # All curves get as many samples: enough for the longest of a few, nearly enough for the longest of many.
        needed = int(max(float(lengths.mean()), (1.0 if len(curves) < 50 else 0.75) * float(lengths.max())) / STEP) + 2
        if needed > curves.shape[1]:
            curves, radius, amount = _denser(curves, radius, amount, needed)
        tangent = np.empty_like(curves)
        tangent[:, 1:-1] = (curves[:, 2:] - curves[:, :-2]) * np.float32(0.5)
        tangent[:, 0] = (curves[:, 1] - curves[:, 0]) * np.float32(0.5)
        tangent[:, -1] = (curves[:, -1] - curves[:, -2]) * np.float32(0.5)
        length = np.sqrt((tangent * tangent).sum(-1)) + np.float32(1e-6)
        across = max(2, int(2 * float(radius.max()) / STEP) + 1)
        if shell:
            across = max(across, 9)
        offset = ((np.arange(across, dtype=np.float32) + 0.5) * (2.0 / across) - 1.0)[:, None, None]
        chord = np.ones_like(offset) if flat else np.sqrt(1 - offset * offset)
        shift = offset * (radius / length)
        x = curves[..., 0] - shift * tangent[..., 1]
        y = curves[..., 1] + shift * tangent[..., 0]
        area = length * radius * np.float32(2.0 / across)
        weight = chord * (amount * area)
        if shell:
            inner = np.sqrt(np.maximum((1 - wall) ** 2 - offset * offset, 0))
            weight += (chord - inner) * (np.float32(shell) * area)
        self._x.append(x.ravel())
        self._y.append(y.ravel())
        self._weight.append(np.broadcast_to(weight, x.shape).ravel())

    def coarse(self) -> Array:
        """Like `canvas`, but each deposit goes whole into the nearest half pixel: for many faint curves."""
        x, y, weight = (np.concatenate(parts) for parts in (self._x, self._y, self._weight))
        left = np.clip(x * 2 + np.float32(2), 0, 2 * self.columns + 3).astype(np.int32)
        top = np.clip(y * 2 + np.float32(2), 0, 2 * self.rows + 3).astype(np.int32)
        stride = 2 * self.columns + 4
        total = np.bincount(top * stride + left, weight, stride * (2 * self.rows + 4)).astype(np.float32)
        quarters = total.reshape(self.rows + 2, 2, self.columns + 2, 2)[1:-1, :, 1:-1]
        return np.asarray(quarters[:, 0, :, 0] + quarters[:, 0, :, 1] + quarters[:, 1, :, 0] + quarters[:, 1, :, 1])

    def canvas(self) -> Array:
        """What was swept so far as float32 [rows, columns]."""
        if not self._x:
            return np.zeros((self.rows, self.columns), np.float32)
        x, y, weight = (np.concatenate(parts) for parts in (self._x, self._y, self._weight))
        x = np.clip(x, -0.5, self.columns + 0.5)
        y = np.clip(y, -0.5, self.rows + 0.5)
        # One spare pixel on every side takes what falls off the film; positions are shifted by half a pixel into it.
        left, top = (x + np.float32(0.5)).astype(np.int32), (y + np.float32(0.5)).astype(np.int32)
        fx, fy = x + np.float32(0.5) - left, y + np.float32(0.5) - top
        stride = self.columns + 3
        at = top * stride + left
        cells = stride * (self.rows + 3)
        right_weight, lower = weight * fx, fy
        left_weight = weight - right_weight
        total = np.bincount(at, left_weight * (1 - lower), cells)
        total += np.bincount(at + 1, right_weight * (1 - lower), cells)
        total += np.bincount(at + stride, left_weight * lower, cells)
        total += np.bincount(at + stride + 1, right_weight * lower, cells)
        return total.reshape(self.rows + 3, stride)[1 : self.rows + 1, 1 : self.columns + 1].astype(np.float32)


def _denser(curves: Array, radius: Array, amount: Array, samples: int) -> tuple[Array, Array, Array]:
    """The same curves at more samples, linearly between the given ones."""
    old = curves.shape[1]
    position = np.linspace(0.0, old - 1.0, samples, dtype=np.float32)
    first = np.minimum(position.astype(np.int32), old - 2)
    share = position - first

    def between(values: Array, part: Array) -> Array:
        return np.asarray(values[:, first] * (1 - part) + values[:, first + 1] * part)

    return between(curves, share[:, None]), between(radius, share), between(amount, share)

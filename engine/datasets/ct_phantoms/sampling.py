"""What a CT phantom is: a patient with slices at some levels, and a lesion in some of them.

Everything is a frozen value: a `Slice` holds all the numbers its picture is drawn from. Nothing here draws a picture.

Coordinates: origin in the middle of the body, one unit = 200 mm, x towards the patient's left (the right of the
picture, as axial CT is shown), y towards the back. Neighbouring slices of a patient cut the ball of a lesion at two
heights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Level = Literal["chest", "liver", "kidneys"]
Side = Literal["right", "left", ""]
Organ = Literal["lung", "liver", "kidney", "spleen"]
Density = Literal["low", "high"]

LEVELS: tuple[Level, ...] = ("chest", "liver", "kidneys")
UNIT_MM = 200.0
ABNORMAL = 0.65
"""The share of levels with a lesion."""

DIAMETERS = (16.0, 52.0)
"""Of lesions, in millimetres: three pixels and more in a picture of 84."""

BANDS = ("small", "medium", "large")
_EDGES = (24.0, 38.0)

Place = tuple[Organ, Side]
PLACES: dict[Level, tuple[Place, ...]] = {
    "chest": (("lung", "right"), ("lung", "left")),
    "liver": (("liver", "right"), ("liver", "left"), ("spleen", "")),
    "kidneys": (("kidney", "right"), ("kidney", "left")),
}
"""Where lesions may be at a level. A liver's sides are its lobes."""

_CENTRES: dict[Place, tuple[float, float]] = {
    ("lung", "right"): (-0.42, -0.05),
    ("lung", "left"): (0.46, 0.04),
    ("liver", "right"): (-0.42, -0.02),
    ("liver", "left"): (0.06, -0.26),
    ("spleen", ""): (0.58, 0.16),
    ("kidney", "right"): (-0.40, 0.24),
    ("kidney", "left"): (0.40, 0.22),
}
_ROAM: dict[Organ, tuple[float, float]] = {
    "lung": (0.12, 0.20),
    "liver": (0.14, 0.12),
    "spleen": (0.03, 0.07),
    "kidney": (0.02, 0.04),
}
"""How far from there a lesion's centre may lie."""

_LARGEST: dict[Place, float] = {("liver", "left"): 30.0, ("spleen", ""): 36.0, ("kidney", "right"): 34.0,
                                ("kidney", "left"): 34.0}  # fmt: skip


@dataclass(frozen=True)
class Lesion:
    """A round lesion as a slice cuts it. ``diameter`` in millimetres, ``x`` and ``y`` in units."""

    organ: Organ
    side: Side
    x: float
    y: float
    diameter: float
    density: Density

    @property
    def band(self) -> str:
        """Its size in words."""
        return BANDS[sum(self.diameter >= edge for edge in _EDGES)]


@dataclass(frozen=True)
class Slice:
    """One axial slice. ``wide``, ``deep`` scale the body; ``seed`` is of what is no truth (vessels, bowel, noise)."""

    id: str
    patient: str
    level: Level
    wide: float
    deep: float
    seed: int
    lesion: Lesion | None


@dataclass(frozen=True)
class Patient:
    """A patient and the slices of one scan, from the chest down."""

    id: str
    slices: tuple[Slice, ...]


def sample_patient(number: int, seed: int = 0) -> Patient:
    """The patient of this number: two levels, each of one slice or two neighbouring ones."""
    rng = np.random.default_rng([seed, number, 11])
    patient = f"CT-{seed}-{number:05d}"
    wide, deep = rng.uniform(0.90, 1.04), rng.uniform(0.90, 1.05)
    chosen = sorted(rng.choice(len(LEVELS), 2, replace=False))
    slices: list[Slice] = []
    for place in chosen:
        level = LEVELS[place]
        lesion = _lesion(rng, level) if rng.random() < ABNORMAL else None
        for cut in (1.0, 0.86)[: rng.integers(1, 3)]:
            name = f"{patient}-{len(slices) + 1}"
            slices.append(Slice(name, patient, level, wide, deep, int(rng.integers(2**31)), _cut(lesion, cut)))
    return Patient(patient, tuple(slices))


def _lesion(rng: np.random.Generator, level: Level) -> Lesion:
    organ, side = PLACES[level][rng.integers(len(PLACES[level]))]
    x, y = _CENTRES[organ, side]
    across, along = _ROAM[organ]
    most = min(DIAMETERS[1], _LARGEST.get((organ, side), DIAMETERS[1]))
    density: Density = "high" if organ == "lung" or (organ == "liver" and rng.random() < 0.4) else "low"
    x, y = x + rng.uniform(-across, across), y + rng.uniform(-along, along)
    return Lesion(organ, side, x, y, float(rng.uniform(DIAMETERS[0] / 0.86, most)), density)


def _cut(lesion: Lesion | None, share: float) -> Lesion | None:
    """The lesion where a slice beside its middle cuts it: a circle of this share of its diameter."""
    if lesion is None:
        return None
    diameter = float(round(lesion.diameter * share))
    return Lesion(lesion.organ, lesion.side, lesion.x, lesion.y, diameter, lesion.density)

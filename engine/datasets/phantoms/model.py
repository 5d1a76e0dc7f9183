"""What a phantom case is: a synthetic patient, one or two films of them, what is wrong, and how it was worded.

Everything is a frozen value: a `Film` holds all the numbers its picture is computed from, so that the same film gives
the same picture at any size, today and later. Nothing here draws, writes files or draws random numbers.

Coordinates. *Anatomy* coordinates: origin in the mid-line at mid-chest, one unit = 150 mm, x towards the patient's
left (the right of the picture), y downwards; lung apices lie near y = -1, costophrenic angles near y = +0.95.
*Film* coordinates: (column / columns, row / rows), both 0..1 from the upper left corner of the film.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

FINDINGS = (
    "pleural effusion",
    "consolidation",
    "pneumothorax",
    "cardiomegaly",
    "pulmonary edema",
    "atelectasis",
    "nodule",
)
DEVICES = ("endotracheal tube", "central line", "pacemaker")
BANDS = ("subtle", "moderate", "plain")
CHANGES = ("new", "worse", "unchanged", "improved", "resolved", "not compared")

UNIT_MM = 150.0
"""Length of one anatomy unit in millimetres."""

VISIBLE_STEP = 0.3
"""The least difference of size between two films that is called worse or improved."""

SAME_SIZE = 0.04
"""The largest difference of size between two films that is called unchanged."""


def band_of(size: float) -> str:
    """The band of a continuous size in (0, 1]: subtle below 0.39, moderate below 0.69, else plain."""
    return BANDS[0] if size < 0.39 else BANDS[1] if size < 0.69 else BANDS[2]


@dataclass(frozen=True)
class Site:
    """A place where films are made and read: its exposure habits, its patients and its wording.

    ``name`` also seeds which of several phrases the readers of this site prefer, and the order they are used to;
    ``habit`` is how many times more often they take such a phrase, ``order`` the share of the reports in that order.
    ``rates`` holds the probability of each finding and device in the current film, in the order of `FINDINGS` +
    `DEVICES`.
    """

    name: str
    brightness: float = 0.0
    contrast: float = 1.0
    noise: float = 1.0
    scatter: float = 1.0
    gamma: float = 1.0
    portable: float = 0.25
    collimated: float = 0.5
    marker: str = "corner"
    prior: float = 0.75
    rates: tuple[float, ...] = (0.28, 0.26, 0.22, 0.28, 0.24, 0.24, 0.22, 0.17, 0.18, 0.16)
    square: float = 0.5
    inverted: float = 0.2
    habit: float = 4.0
    order: float = 0.0


@dataclass(frozen=True)
class Anatomy:
    """A patient's body: the same for all films of the patient. Lengths in anatomy units."""

    seed: int
    width: float
    bend: float
    habitus: float
    breasts: float
    rib_spacing: float
    rib_drop: float
    rib_phase: float
    rib_width: float
    bone: float
    heart_ratio: float
    heart_tilt: float
    heart_height: float
    knob: float
    mediastinum: float
    dome_right: float
    dome_left: float
    dome_height: float
    clavicle: float
    shoulder: float
    vessels: float
    bubble: float
    bubble_x: float


@dataclass(frozen=True)
class Pose:
    """How the patient stood before the detector.

    ``scale`` is the film fraction (of the longer side) per anatomy unit; ``aeration`` how much air the lungs hold.
    """

    scale: float
    rotation: float
    shift_x: float
    shift_y: float
    inspiration: float
    turn: float
    aspect: float
    aeration: float


@dataclass(frozen=True)
class Exposure:
    """How the film was exposed, framed and processed.

    ``margins`` are collimated film fractions (left, top, right, bottom).
    """

    brightness: float
    contrast: float
    gamma: float
    noise: float
    scatter: float
    margins: tuple[float, float, float, float]
    marker: str
    marker_x: float
    marker_y: float
    marker_scale: float
    marker_rotation: float


@dataclass(frozen=True)
class Lesion:
    """A finding or device in one film.

    ``side`` is left, right, bilateral or "" (mid-line); ``zone`` is upper, mid, lower or "".

    ``seed`` fixes shape and place, so that a lesion seen in two films is the same one.
    """

    finding: str
    side: str
    size: float
    zone: str
    seed: int

    @property
    def signs(self) -> tuple[int, ...]:
        """+1 for the patient's left, -1 for the right."""
        return {"left": (1,), "right": (-1,), "bilateral": (1, -1)}.get(self.side, ())


@dataclass(frozen=True)
class Film:
    """Everything a picture is computed from. ``view`` is PA or AP."""

    seed: int
    anatomy: Anatomy
    pose: Pose
    exposure: Exposure
    lesions: tuple[Lesion, ...]
    view: str

    def lesion(self, finding: str) -> Lesion | None:
        """The lesion of that name in this film, or None."""
        return next((lesion for lesion in self.lesions if lesion.finding == finding), None)

    def shape(self, size: int) -> tuple[int, int]:
        """Rows and columns of a picture whose longer side is ``size`` pixels."""
        aspect = self.pose.aspect
        return (round(size / aspect), size) if aspect >= 1 else (size, round(size * aspect))

    def affine(self) -> np.ndarray:
        """2x3 matrix from anatomy to film coordinates (without the patient's own bend, which both films share)."""
        pose = self.pose
        wide, high = min(1.0, pose.aspect), min(1.0, 1.0 / pose.aspect)
        cosine, sine = np.cos(pose.rotation), np.sin(pose.rotation)
        return np.array(
            [
                [pose.scale * cosine / wide, -pose.scale * sine / wide, 0.5 + pose.shift_x],
                [pose.scale * sine / high, pose.scale * cosine / high, 0.5 + pose.shift_y],
            ]
        )


@dataclass(frozen=True)
class FindingTruth:
    """What is true of one finding or device.

    Absent in the current film: ``size`` 0 and ``band`` "". ``prior_size`` is None where there is no prior film.
    """

    finding: str
    side: str
    size: float
    band: str
    zone: str
    change: str
    prior_size: float | None
    prior_side: str

    @property
    def present(self) -> bool:
        """Whether the current film shows it."""
        return self.size > 0


@dataclass(frozen=True)
class Person:
    """An obviously synthetic patient."""

    id: str
    name: str
    sex: str
    birth_date: date


@dataclass(frozen=True)
class Case:
    """One reading task: a current film, perhaps a prior one, the question asked, the report and the truth.

    ``truth`` has one entry for each of the findings and devices that is present in the current or the prior film.
    ``transform`` maps film coordinates of the current film to those of the prior (2x3, row-major); None without one.
    """

    id: str
    seed: int
    site: str
    split: str
    person: Person
    current: Film
    prior: Film | None
    current_time: datetime
    prior_time: datetime | None
    indication: str
    findings_text: str
    impression_text: str
    truth: tuple[FindingTruth, ...]
    transform: tuple[tuple[float, float, float], tuple[float, float, float]] | None


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture: ``pixels`` uint16 [rows, columns] of 12 bits (bright = dense), its window, and on request masks.

    ``masks`` maps a finding or device to a bool array of the picture's shape; exactly the present ones have an entry.
    """

    pixels: np.ndarray
    window_center: float
    window_width: float
    masks: dict[str, np.ndarray] = field(default_factory=dict)

"""What a report can say of a chest radiograph: the findings, their state, side and change.

The values are the words used in truth files, scores and on screen; they are stable. The grouping into the 14 CheXpert
classes is by name only: the labels made here are rule-based, not CheXbert's. Knows no text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Finding(StrEnum):
    """A finding or device; the value is its name in radiology's words."""

    EFFUSION = "pleural effusion"
    CONSOLIDATION = "consolidation"
    PNEUMOTHORAX = "pneumothorax"
    CARDIOMEGALY = "cardiomegaly"
    EDEMA = "pulmonary edema"
    ATELECTASIS = "atelectasis"
    NODULE = "nodule"
    MASS = "mass"
    PNEUMONIA = "pneumonia"
    OPACITY = "lung opacity"
    MEDIASTINUM = "enlarged cardiomediastinum"
    PLEURAL_OTHER = "pleural thickening"
    FRACTURE = "fracture"
    NO_FINDING = "no finding"
    TUBE = "endotracheal tube"
    TRACHEOSTOMY = "tracheostomy tube"
    LINE = "central line"
    PACEMAKER = "pacemaker"
    ENTERIC_TUBE = "enteric tube"
    CHEST_TUBE = "chest tube"
    OTHER_DEVICE = "other device"

    @property
    def device(self) -> bool:
        """Whether this is a support device rather than a finding of the body."""
        return self in DEVICES


DEVICES = frozenset(
    {
        Finding.TUBE,
        Finding.TRACHEOSTOMY,
        Finding.LINE,
        Finding.PACEMAKER,
        Finding.ENTERIC_TUBE,
        Finding.CHEST_TUBE,
        Finding.OTHER_DEVICE,
    }
)

UNSIDED = frozenset({Finding.CARDIOMEGALY, Finding.MEDIASTINUM, Finding.NO_FINDING})
"""Findings of the midline: a side word near them belongs to something else."""

CHEXPERT: dict[str, frozenset[Finding]] = {
    "No Finding": frozenset({Finding.NO_FINDING}),
    "Enlarged Cardiomediastinum": frozenset({Finding.MEDIASTINUM}),
    "Cardiomegaly": frozenset({Finding.CARDIOMEGALY}),
    "Lung Opacity": frozenset({Finding.OPACITY}),
    "Lung Lesion": frozenset({Finding.NODULE, Finding.MASS}),
    "Edema": frozenset({Finding.EDEMA}),
    "Consolidation": frozenset({Finding.CONSOLIDATION}),
    "Pneumonia": frozenset({Finding.PNEUMONIA}),
    "Atelectasis": frozenset({Finding.ATELECTASIS}),
    "Pneumothorax": frozenset({Finding.PNEUMOTHORAX}),
    "Pleural Effusion": frozenset({Finding.EFFUSION}),
    "Pleural Other": frozenset({Finding.PLEURAL_OTHER}),
    "Fracture": frozenset({Finding.FRACTURE}),
    "Support Devices": DEVICES,
}
"""The 14 CheXpert classes and what of ours counts for each."""


class Status(StrEnum):
    """Whether the text says a finding is there."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


class Side(StrEnum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"
    MIDLINE = "midline"
    UNSPECIFIED = "unspecified"


class Change(StrEnum):
    """What happened to a finding since the prior."""

    NEW = "new"
    WORSE = "worse"
    UNCHANGED = "unchanged"
    IMPROVED = "improved"
    RESOLVED = "resolved"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a text, and what they read."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Mention:
    """One thing said of one finding.

    ``sentence`` counts from 0 as ``sentences.split`` does; ``start`` and ``end`` are character positions of the naming
    words in the whole text and ``text`` is what stands there. ``size`` holds the size words as written, lower case
    ("small to moderate", "1.2 cm"). A finding that has gone is ABSENT with change RESOLVED.
    """

    finding: Finding
    status: Status
    side: Side
    size: str | None
    change: Change
    sentence: int
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class FindingState:
    """All a report says of one finding, put together for scoring.

    ``status`` is the strongest said (present, then uncertain, then absent); ``side`` joins the sides of the mentions of
    that status; ``change`` is the first change stated for it; ``sides`` holds side -> change where a side was named,
    with "bilateral" entered as left and right.
    """

    finding: Finding
    status: Status
    side: Side
    size: str | None
    change: Change
    sides: dict[Side, Change] = field(default_factory=dict)

"""Files of any origin to radiographs: reading, display, and which earlier image belongs to a new one.

    from engine.imaging import read, read_image, to_pil, choose_prior

Importing this loads neither pydicom nor a codec; files are parsed in a worker process.
"""

from __future__ import annotations

from engine.imaging.display import lut8, render, to_pil
from engine.imaging.intake import Found, Intake, Problem, describe, group, read, read_image, stream
from engine.imaging.limits import Limits
from engine.imaging.matching import PriorChoice, check_pair, check_same_patient, choose_prior, current_of
from engine.imaging.reader import Reader
from engine.imaging.types import Image, Patient, Spacing, Study, View, VoiLut, Window

__all__ = [
    "Found",
    "Image",
    "Intake",
    "Limits",
    "Patient",
    "PriorChoice",
    "Problem",
    "Reader",
    "Spacing",
    "Study",
    "View",
    "VoiLut",
    "Window",
    "check_pair",
    "check_same_patient",
    "choose_prior",
    "current_of",
    "describe",
    "group",
    "lut8",
    "read",
    "read_image",
    "render",
    "stream",
    "to_pil",
]

"""Files of any origin to radiographs: reading, display, and which earlier image belongs to a new one.

    from engine.imaging import read, read_image, to_pil, choose_prior

Importing this loads neither pydicom nor a codec; files are parsed in a worker process.
"""

from __future__ import annotations

from engine.imaging.display import lut8, render, to_pil
from engine.imaging.intake import read_image
from engine.imaging.limits import Limits
from engine.imaging.types import Image, Patient, Spacing, Study, View, VoiLut, Window

__all__ = [
    "Image",
    "Limits",
    "Patient",
    "Spacing",
    "Study",
    "View",
    "VoiLut",
    "Window",
    "lut8",
    "read_image",
    "render",
    "to_pil",
]

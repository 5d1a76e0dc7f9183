"""What an opened radiograph is: frozen values that are valid once they exist.

An :class:`Image` holds one picture of one view with everything a screen, a model or a record needs to know about it.
Nothing here reads files, knows DICOM or decides which image is compared with which.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Image", "Patient", "Spacing", "Study", "View", "VoiLut", "Window"]

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class View(StrEnum):
    """The radiographic projection, as far as it matters for comparing chest radiographs."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"
    UNKNOWN = "UNKNOWN"

    @property
    def frontal(self) -> bool:
        """Whether the view is a frontal one (PA or AP)."""
        return self in (View.PA, View.AP)


@dataclass(frozen=True)
class Window:
    """A window of modality values, DICOM PS3.3 C.11.2.1.2: ``function`` is LINEAR, LINEAR_EXACT or SIGMOID."""

    center: float
    width: float
    name: str
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ValueError(f"unknown window function {self.function!r}")
        if not (np.isfinite(self.center) and np.isfinite(self.width)):
            raise ValueError("a window needs a finite centre and width")
        if self.width < 1 if self.function == "LINEAR" else self.width <= 0:
            raise ValueError(f"window width {self.width} is too small for {self.function}")


@dataclass(frozen=True, eq=False)
class VoiLut:
    """A VOI LUT: ``values[i]`` (float64, 0..1) is shown for the modality value ``first + i``; the ends extend."""

    first: int
    values: NDArray[np.float64]
    name: str

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not self.values.size:
            raise ValueError("a VOI LUT is one row of values")
        self.values.setflags(write=False)


@dataclass(frozen=True)
class Spacing:
    """Millimetres per pixel and, in words for the screen, what that rests on."""

    row_mm: float
    column_mm: float
    basis: str


@dataclass(frozen=True)
class Patient:
    """Who the image shows. ``id`` is empty when nobody has said it (plain pictures)."""

    id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True, eq=False)
class Image:
    """One radiograph.

    ``pixels`` is uint16 [rows, columns], C order, read-only: the stored values, moved up to start at 0 where they are
    signed; ``pixels * slope + intercept`` is the modality value that windows and VOI LUTs refer to. Where the file has
    a Modality LUT, ``pixels`` is its output and slope and intercept are 1 and 0.
    ``padding`` marks pixels outside the radiograph (bool [rows, columns]) or is None.
    ``rgb`` is uint8 [rows, columns, 3] for 8-bit colour pictures, whose ``pixels`` are the luminance; else None.
    ``windows`` are the file's, then one named "1-99 %", so there is always one; the first is the default unless
    ``luts`` holds a VOI LUT, which comes before any window.
    ``inverted`` is True for MONOCHROME1: the lowest value is white.
    ``decoder`` names the library and function that decoded the pixels; ``body_part`` is "CHEST", another part as the
    file calls it, or empty.
    """

    sha256: str
    source: str
    format: str
    pixels: NDArray[np.uint16]
    slope: float
    intercept: float
    padding: NDArray[np.bool_] | None
    windows: tuple[Window, ...]
    luts: tuple[VoiLut, ...]
    inverted: bool
    bits: int
    photometric: str
    view: View
    view_basis: str
    laterality: str
    orientation: tuple[str, ...]
    spacing: Spacing | None
    patient: Patient
    study_uid: str
    sop_uid: str
    accession: str
    study_description: str
    modality: str
    acquired: datetime | None
    acquired_basis: str
    date_reliable: bool
    notes: tuple[str, ...]
    rgb: NDArray[np.uint8] | None = None
    decoder: str = ""
    body_part: str = ""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint16 or self.pixels.ndim != 2 or not self.pixels.size:
            raise ValueError("pixels must be uint16 [rows, columns]")
        if not self.pixels.flags.c_contiguous:
            raise ValueError("pixels must be in C order")
        if not self.windows:
            raise ValueError("an image has at least one window")
        if self.padding is not None and (self.padding.dtype != np.bool_ or self.padding.shape != self.pixels.shape):
            raise ValueError("padding must be bool [rows, columns]")
        if self.rgb is not None and (self.rgb.dtype != np.uint8 or self.rgb.shape != (*self.pixels.shape, 3)):
            raise ValueError("rgb must be uint8 [rows, columns, 3]")
        for array in (self.pixels, self.padding, self.rgb):
            if array is not None:
                array.setflags(write=False)

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True)
class Study:
    """The images of one patient made on one occasion, in the order in which they were read."""

    uid: str
    patient: Patient
    acquired: datetime | None
    date_reliable: bool
    accession: str
    description: str
    images: tuple[Image, ...]

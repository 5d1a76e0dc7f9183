"""A DICOM file's bytes to an :class:`Image`: header, frame, stored values, display data and what the file says.

One place composes the steps; each of them knows its own part of the standard.
"""

from __future__ import annotations

import hashlib
import logging
import warnings

import numpy as np
from pydicom.dataset import Dataset

from engine.imaging import geometry, luts, tags, who
from engine.imaging.codecs import decode
from engine.imaging.display import apply_voi, apply_window
from engine.imaging.header import Header, read_header
from engine.imaging.limits import Limits
from engine.imaging.stored import Stored, percentile_window, stored
from engine.imaging.types import Image, VoiLut, Window

__all__ = ["read_dicom"]

# pydicom logs what it warns of, and quotes the file's values
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def read_dicom(data: bytes, source: str, limits: Limits) -> Image:
    """The image in a DICOM file. Raises Refusal with the reason if there is none that may be shown."""
    with warnings.catch_warnings():
        # pydicom's warnings quote values of the file, and every defect that matters is found by the steps below
        warnings.simplefilter("ignore")
        return _image(data, source, limits)


def _image(data: bytes, source: str, limits: Limits) -> Image:
    header = read_header(data, limits)
    ds = header.dataset
    frame = decode(ds, header.syntax, header.frames)
    decoder = frame.decoder
    result = stored(ds, frame, header.little_endian)
    del frame
    windows, voi_luts, display_notes = _display(ds, header, result)
    shown, view_basis, view_notes = geometry.view(ds)
    orientation, orientation_notes = geometry.orientation(ds, shown)
    body_part, body_notes = geometry.body_part(ds)
    spacing, spacing_notes = geometry.spacing(ds)
    acquired, acquired_basis, reliable = who.acquired(ds)
    photometric = tags.text(ds, "PhotometricInterpretation", 32)
    return Image(
        sha256=hashlib.sha256(data).hexdigest(),
        source=source,
        format="DICOM",
        pixels=result.pixels,
        slope=result.slope,
        intercept=result.intercept,
        padding=result.padding,
        windows=windows,
        luts=voi_luts,
        inverted=photometric == "MONOCHROME1",
        bits=result.bits,
        photometric=photometric,
        view=shown,
        view_basis=view_basis,
        laterality=geometry.laterality(ds),
        orientation=orientation,
        spacing=spacing,
        patient=who.patient(ds),
        study_uid=who.uid(ds, "StudyInstanceUID"),
        sop_uid=who.uid(ds, "SOPInstanceUID"),
        accession=tags.text(ds, "AccessionNumber", 64),
        study_description=tags.text(ds, "StudyDescription"),
        modality=header.modality,
        acquired=acquired,
        acquired_basis=acquired_basis,
        date_reliable=reliable,
        notes=header.notes
        + result.notes
        + display_notes
        + view_notes
        + orientation_notes
        + spacing_notes
        + body_notes
        + _warnings(ds, photometric)
        + (() if reliable or acquired is None else ("Date not reliable; intervals are not computed from it.",)),
        decoder=decoder,
        body_part=body_part,
    )


CT_WINDOWS = (
    Window(-600.0, 1500.0, "lung"),
    Window(40.0, 400.0, "mediastinum"),
    Window(400.0, 1800.0, "bone"),
)
"""What a slice of CT is looked at with, in Hounsfield units: the usual presets of a chest."""


def _display(
    ds: Dataset, header: Header, result: Stored
) -> tuple[tuple[Window, ...], tuple[VoiLut, ...], tuple[str, ...]]:
    """The file's windows and VOI LUTs that show something, and "1-99 %" last."""
    spread = percentile_window(result)
    if result.colour:
        return (Window(127.5, 255.0, "full range", "LINEAR_EXACT"), spread), (), ()
    voi_luts, notes = luts.voi_luts(ds, result.signed, header.little_endian)
    windows, window_notes = luts.windows(ds)
    notes += window_notes
    visible = result.pixels if result.padding is None else result.pixels[~result.padding]
    values = np.arange(int(visible.min()), int(visible.max()) + 1, dtype=np.float64) * result.slope + result.intercept
    good_windows = []
    for each in windows:
        if np.ptp(apply_window(values, each)) >= 2 / 255:
            good_windows.append(each)
        else:
            notes += (f'Window "{each.name}" ignored: it shows nothing but one grey.',)
    good_luts = []
    for lut in voi_luts:
        if np.ptp(apply_voi(values, lut)) >= 2 / 255:
            good_luts.append(lut)
        else:
            notes += (f'VOI LUT "{lut.name}" ignored: it shows nothing but one grey.',)
    if header.modality == "CT" and result.slope > 0:
        good_windows += [each for each in CT_WINDOWS if np.ptp(apply_window(values, each)) >= 2 / 255]
    return (*good_windows, spread), tuple(good_luts), notes


def _warnings(ds: Dataset, photometric: str) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    shape = tags.text(ds, "PresentationLUTShape", 32).upper()
    if shape and (shape == "INVERSE") != (photometric == "MONOCHROME1"):
        notes += (f"Presentation LUT shape {shape} contradicts {photometric}, which is followed.",)
    if tags.text(ds, "BurnedInAnnotation", 16).upper() == "YES":
        notes += ("Text is burned into the picture; it may name the patient.",)
    return notes

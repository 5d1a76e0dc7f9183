"""Radiographs and DICOM files made for the tests: small, varied, with a planted name that must never reach a log."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

PLANTED = "Phantom^Test"
STUDY = "1.2.826.0.1.3680043.8.498.1"


def radiograph(rows: int = 40, columns: int = 32, bits: int = 12, seed: int = 0) -> np.ndarray[Any, Any]:
    """A gradient with a bright block and noise that uses most of ``bits``: uint8 or uint16 [rows, columns]."""
    random = np.random.default_rng(seed)
    top = (1 << bits) - 1
    ramp = np.linspace(0.05, 0.75, rows)[:, None] + np.linspace(0, 0.15, columns)[None, :]
    ramp[rows // 4 : rows // 2, columns // 4 : columns // 2] += 0.08
    noisy = np.clip(ramp + random.normal(0, 0.005, ramp.shape), 0, 1) * top
    return np.round(noisy).astype(np.uint8 if bits <= 8 else np.uint16)


def dataset(pixels: np.ndarray[Any, Any] | None = None, bits: int = 12, **changes: Any) -> Dataset:
    """A CR data set around ``pixels``; a keyword sets an element, and None removes it."""
    pixels = radiograph(bits=bits) if pixels is None else pixels
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(sorted(changes.items())), str(pixels.sum())])
    ds.StudyInstanceUID = STUDY
    ds.StudyDate, ds.StudyTime = "20240301", "101500"
    ds.Modality = "CR"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "P100", PLANTED, "19600102", "F"
    ds.AccessionNumber = "A1"
    ds.StudyDescription = "Chest"
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = "PA"
    ds.Rows, ds.Columns = pixels.shape[:2]
    colour = pixels.ndim == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored = min(bits, ds.BitsAllocated)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    for keyword, value in changes.items():
        if value is None:
            if keyword in ds:
                delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def file_bytes(ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, preamble: bool = True) -> bytes:
    """``ds`` as a DICOM file; without ``preamble`` also without file meta information."""
    out = BytesIO()
    if syntax == ExplicitVRBigEndian and ds.BitsAllocated == 16:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    if not preamble:
        dcmwrite(out, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian)
        return out.getvalue()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def compressed(ds: Dataset, syntax: str, *frames: bytes) -> bytes:
    """``ds`` with its picture replaced by compressed ``frames``, as a file."""
    ds.PixelData = encapsulate(list(frames))
    ds["PixelData"].VR = "OB"
    return file_bytes(ds, syntax)


def simple(**changes: Any) -> bytes:
    """The bytes of an ordinary radiograph with some elements changed."""
    return file_bytes(dataset(**changes))


def lut_item(first: int, values: list[int], bits: int, explanation: str = "", entries: int | None = None) -> Dataset:
    """An item of a Modality or VOI LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [(len(values) if entries is None else entries) & 0xFFFF, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    if explanation:
        item.LUTExplanation = explanation
    item.LUTData = values
    item["LUTData"].VR = "US"
    return item


__all__ = [
    "PLANTED",
    "DeflatedExplicitVRLittleEndian",
    "ExplicitVRBigEndian",
    "ExplicitVRLittleEndian",
    "ImplicitVRLittleEndian",
    "compressed",
    "dataset",
    "file_bytes",
    "lut_item",
    "radiograph",
    "simple",
]

"""A made-up slice of a chest CT as a DICOM file, and a tiny model that reads such slices. Nobody was ever in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tiny_multimodal
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from safetensors.torch import load_file, save_file

SIZE = 384
AIR, LUNG, FAT, MUSCLE, BLOOD, BONE = -1000, -860, -100, 50, 180, 900
"""Hounsfield units; the vessels hold contrast medium."""


def hounsfield(seed: int = 4) -> np.ndarray[Any, Any]:
    """Body, lungs with vessels and a nodule, heart, aorta, spine and ribs: float [SIZE, SIZE]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]

    def inside(cx: float, cy: float, rx: float, ry: float) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1
        return found

    slice_ = np.full((SIZE, SIZE), float(AIR))
    slice_[inside(0, 0, 0.92, 0.68)] = FAT
    slice_[inside(0, 0, 0.86, 0.62)] = MUSCLE
    lungs = inside(-0.42, 0, 0.34, 0.5) | inside(0.42, 0, 0.34, 0.5)
    slice_[lungs] = LUNG
    for cx, cy, r in zip(random.uniform(-0.7, 0.7, 90), random.uniform(-0.4, 0.4, 90), random.uniform(0.006, 0.02, 90),
                         strict=True):  # fmt: skip
        slice_[inside(cx, cy, r, r) & lungs] = MUSCLE
    slice_[inside(-0.45, 0.12, 0.05, 0.05)] = MUSCLE  # a nodule on the right, which is on the left of the picture
    slice_[inside(0.1, -0.12, 0.3, 0.26)] = BLOOD
    slice_[inside(0.14, 0.3, 0.075, 0.075)] = BLOOD
    slice_[inside(0, 0.24, 0.05, 0.04)] = AIR
    slice_[inside(0, 0.47, 0.13, 0.11)] = BONE / 2
    slice_[inside(0, 0.47, 0.13, 0.11) & ~inside(0, 0.47, 0.11, 0.09)] = BONE
    for angle in np.linspace(0, 2 * np.pi, 14, endpoint=False) + 0.2:
        slice_[inside(0.81 * np.cos(angle), 0.57 * np.sin(angle), 0.055, 0.022)] = BONE
    found: np.ndarray[Any, Any] = slice_ + random.normal(0, 12, slice_.shape)
    return found


def write(file: Path, family: str = "Slice") -> Path:
    """The slice as a scanner stores it: from -1024 on, with the attributes of the CT image module."""
    stored = np.clip(np.round(hounsfield()) + 1024, 0, 4095).astype("<u2")
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=["slice", family])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", family])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", family])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", family])
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240605"
    ds.StudyTime = ds.ContentTime = "094500"
    ds.Modality, ds.Manufacturer = "CT", "Phantom"
    ds.StudyDescription, ds.SeriesDescription, ds.BodyPartExamined = "CT chest", "Chest 5 mm", "CHEST"
    ds.PatientName, ds.PatientID = f"{family}^Phantom", "CT-1"
    ds.PatientBirthDate, ds.PatientSex = "19550301", "M"
    ds.AccessionNumber, ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "A77", "1", "2", "31"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.ConvolutionKernel = "120", "210", "500", "B31f"
    ds.SliceThickness, ds.PatientPosition, ds.TableHeight = "5", "HFS", "150"
    ds.PixelSpacing = ["0.9", "0.9"]
    ds.ImagePositionPatient, ds.SliceLocation = ["-172.8", "-172.8", "-120"], "-120"
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "-1024", "HU"
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(file, enforce_file_format=True)
    return file


def model(folder: Path) -> Path:
    """A tiny random Qwen2-VL that says that it reads CT; it writes letters only, so that there is something to read."""
    tiny_multimodal.qwen2vl(folder)
    weights = load_file(folder / "model.safetensors")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    written = {i for letter, i in tokenizer["model"]["vocab"].items() if letter in "abcdefghilmnoprstu.\u0120"}
    head = next(name for name in weights if name.endswith("lm_head.weight"))
    for row in range(len(weights[head])):
        if row not in written:
            weights[head][row] = 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    about = {"name": "slice-reader", "demonstration": True, "license": "", "card": "", "modalities": ["CT"]}
    (folder / "interval.json").write_text(json.dumps(about))
    return folder

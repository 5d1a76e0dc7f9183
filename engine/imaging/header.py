"""Bytes to a pydicom data set that may be looked at: sane, of a kind that we show, not larger than it may be.

The bytes are already in memory and bounded, so an element that lies about its length gets what is there. Deflated data
sets are inflated here with a bound, because pydicom inflates without one. Nothing is decoded.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from engine.imaging import tags
from engine.imaging.codecs import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, NATIVE, name_of
from engine.imaging.limits import Limits
from engine.imaging.refusal import Refusal

__all__ = ["MODALITIES", "Header", "read_header"]

MODALITIES = frozenset({"CR", "DX", "RG", "CT", "OT", "SC"})
"""Modalities that are read: radiographs, slices of CT, and screen captures that may be either."""

_NOT_IMAGES = {
    "1.2.840.10008.1.3.10": "a DICOM directory (DICOMDIR), not an image; open the files that it lists",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated PDF document, not an image",
    "1.2.840.10008.5.1.4.1.1.104.2": "an encapsulated CDA document, not an image",
}
_NOT_IMAGE_FAMILIES = (
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report, not an image"),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state, not an image"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform, not an image"),
    ("1.2.840.10008.5.1.4.1.1.481.", "a radiotherapy object, not an image"),
    ("1.2.840.10008.5.1.4.1.1.66", "a registration or segmentation, not an image"),
)
_MODALITY_OF_CLASS = (
    ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
    ("1.2.840.10008.5.1.4.1.1.1", "CR"),
    ("1.2.840.10008.5.1.4.1.1.2", "CT"),
    ("1.2.840.10008.5.1.4.1.1.4", "MR"),
    ("1.2.840.10008.5.1.4.1.1.3", "US"),
    ("1.2.840.10008.5.1.4.1.1.6", "US"),
    ("1.2.840.10008.5.1.4.1.1.7", "SC"),
)

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"})


@dataclass(frozen=True, eq=False)
class Header:
    """A data set that holds one picture we may decode; ``frames`` >= 1."""

    dataset: Dataset
    syntax: str
    modality: str
    frames: int
    notes: tuple[str, ...]

    @property
    def little_endian(self) -> bool:
        """Byte order of the data set."""
        return self.syntax != EXPLICIT_BIG


def read_header(data: bytes, limits: Limits, modalities: frozenset[str] = MODALITIES) -> Header:
    """Parse a DICOM file, with or without preamble and file meta information.

    Raises Refusal, in the order of what a user can act on: not DICOM, not an image, another modality,
    too large, damaged.
    """
    ds, syntax, notes = _parse(data, limits)
    _refuse_non_images(ds, syntax)
    modality = _modality(ds)
    if modality and modality not in modalities:
        raise Refusal(f"is of the modality {modality}, and only CR, DX, RG, CT, OT and SC are read.")
    if not modality:
        notes += ("Modality not stated; taken for a radiograph.",)
    if "PixelData" not in ds:
        raise Refusal("has no picture in it that can be shown.")
    frames = _check_size(ds, limits)
    if frames > 1:
        notes += (f"Holds {frames} frames; frame 1 is shown.",)
    notes += _check_samples(ds, syntax, frames)
    return Header(ds, syntax, modality, frames, notes)


def _parse(data: bytes, limits: Limits) -> tuple[Dataset, str, tuple[str, ...]]:
    try:
        deflated = _inflated(data, limits)
        ds: Dataset = deflated if deflated is not None else pydicom.dcmread(BytesIO(data), force=True)
        meta = getattr(ds, "file_meta", None)
        stated = tags.text(meta, "TransferSyntaxUID", 64) if meta is not None else ""
        first = len(ds)
    except Refusal:
        raise
    except RecursionError as error:
        raise Refusal("is nested too deeply to be a radiograph.") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever pydicom meets in bytes that are no DICOM
        raise Refusal("is damaged: it begins as DICOM but cannot be read.") from error
    if not first or not any(
        name in ds for name in ("SOPClassUID", "Modality", "Rows", "PatientID", "DirectoryRecordSequence")
    ):
        raise Refusal("is damaged, or not a DICOM file.")
    if stated and UID(stated).is_valid:
        return ds, stated, ()
    return ds, _guessed_syntax(ds), ("Transfer syntax not stated; taken from the data.",)


def _inflated(data: bytes, limits: Limits) -> Dataset | None:
    """The data set of a deflated file (PS3.5 A.5); None if the file is not deflated."""
    start = 132 if data[128:132] == b"DICM" else 0
    if data[start : start + 2] != b"\x02\x00":
        return None
    stream = BytesIO(data)
    stream.seek(start)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if tags.text(meta, "TransferSyntaxUID", 64) != DEFLATED:
        return None
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = machine.decompress(data[stream.tell() :], limits.file_bytes)
    except zlib.error as error:
        raise Refusal("is damaged: its deflated contents cannot be unpacked.") from error
    if machine.unconsumed_tail:
        raise Refusal("unpacks to more than may be opened at once.")
    if not machine.eof:
        raise Refusal("is damaged: its deflated contents are cut short.")
    ds = read_dataset(BytesIO(body), False, True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(DEFLATED)
    return ds


def _guessed_syntax(ds: Dataset) -> str:
    """The native syntax that the data set was parsed in, or JPEG 2000 ... as its first fragment shows."""
    implicit, little = ds.original_encoding
    if little is False:
        return EXPLICIT_BIG
    data = tags.value(ds, "PixelData")
    if isinstance(data, bytes) and data[:4] == b"\xfe\xff\x00\xe0":
        return _guessed_compression(data)
    return IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE


def _guessed_compression(data: bytes) -> str:
    window = data[8 : 8 + 65536]
    if b"\xff\x4f\xff\x51" in window:
        return "1.2.840.10008.1.2.4.91"
    for marker, syntax in (
        (b"\xff\xf7\x00", "1.2.840.10008.1.2.4.81"),
        (b"\xff\xc3\x00", "1.2.840.10008.1.2.4.57"),
        (b"\xff\xc1\x00", "1.2.840.10008.1.2.4.51"),
        (b"\xff\xc0\x00", "1.2.840.10008.1.2.4.50"),
    ):
        if b"\xff\xd8\xff" in window and marker in window:
            return syntax
    raise Refusal("does not say how its picture is compressed.")


def _refuse_non_images(ds: Dataset, syntax: str) -> None:
    kind = tags.text(ds, "SOPClassUID", 64)
    meta = getattr(ds, "file_meta", None)
    if not kind and meta is not None:
        kind = tags.text(meta, "MediaStorageSOPClassUID", 64)
    if "DirectoryRecordSequence" in ds:
        kind = "1.2.840.10008.1.3.10"
    words = _NOT_IMAGES.get(kind) or next((w for start, w in _NOT_IMAGE_FAMILIES if kind.startswith(start)), "")
    if words:
        raise Refusal(f"is {words}.")
    if "MPEG" in name_of(syntax) or "HEVC" in name_of(syntax):
        raise Refusal("is a film, not a radiograph.")


def _modality(ds: Dataset) -> str:
    stated = tags.text(ds, "Modality", 16).upper()
    if stated:
        return stated
    kind = tags.text(ds, "SOPClassUID", 64)
    for start, modality in _MODALITY_OF_CLASS:
        if kind == start or kind.startswith(start + "."):
            return modality
    return ""


def _check_size(ds: Dataset, limits: Limits) -> int:
    rows, columns = tags.integer(ds, "Rows") or 0, tags.integer(ds, "Columns") or 0
    if rows < 1 or columns < 1:
        raise Refusal("is damaged: it does not say how large its picture is.")
    if rows * columns > limits.pixels:
        raise Refusal(
            f"is too large: {columns} x {rows} pixels, and at most {limits.pixels // 10**6} million are read."
        )
    if min(rows, columns) < 8:
        raise Refusal(f"is too small to be a radiograph: {columns} x {rows} pixels.")
    if tags.value(ds, "NumberOfFrames") is None:
        return 1
    frames = tags.integer(ds, "NumberOfFrames")
    if frames is None or frames < 1:
        raise Refusal("is damaged: its number of frames is impossible.")
    return frames


def _check_samples(ds: Dataset, syntax: str, frames: int) -> tuple[str, ...]:
    """Samples and bits are possible, and native pixel data are as long as rows x columns x frames x bits asks for.

    What can be repaired is repaired in ``ds`` and said in a note.
    """
    samples, bits = tags.integer(ds, "SamplesPerPixel"), tags.integer(ds, "BitsAllocated")
    photometric = tags.text(ds, "PhotometricInterpretation", 32)
    notes: tuple[str, ...] = ()
    if samples is None:
        ds.SamplesPerPixel = samples = 3 if photometric[:3] in ("RGB", "YBR") else 1
    if samples not in (1, 3):
        raise Refusal(f"is damaged: it claims {samples} colours for each pixel.")
    if photometric not in (_GREY if samples == 1 else _COLOUR):
        ds.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
        notes += (f"Photometric interpretation missing or impossible; {ds.PhotometricInterpretation} is assumed.",)
    if tags.integer(ds, "PixelRepresentation") not in (0, 1):
        ds.PixelRepresentation = 0
    if not 1 <= (tags.integer(ds, "BitsStored") or 0) <= (bits or 0):
        ds.BitsStored = bits
    if samples == 3 and tags.integer(ds, "PlanarConfiguration") not in (0, 1):
        ds.PlanarConfiguration = 0
    if bits not in (1, 8, 16, 32):
        raise Refusal("is damaged: it does not say how many bits a pixel has, or an impossible number.")
    data = tags.value(ds, "PixelData")
    if not isinstance(data, bytes) or not data:
        raise Refusal("is damaged: its picture is empty.")
    if syntax in NATIVE:
        bits_each = 16 if tags.text(ds, "PhotometricInterpretation") == "YBR_FULL_422" else bits * samples
        needed = (int(ds.Rows) * int(ds.Columns) * frames * bits_each + 7) // 8
        if len(data) < needed:
            share = len(data) / needed
            raise Refusal(f"is damaged: only {share:.0%} of the pixels that its header announces are there.")
    return notes

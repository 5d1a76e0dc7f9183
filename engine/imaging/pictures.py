"""PNG and JPEG pictures: 8 and 16 bit, grey, colour, palette, alpha, CMYK, turned as EXIF says.

A plain picture says nothing of who, when or how, and nothing is guessed; the user says it. An 8-bit picture keeps
exactly the values of Pillow's ``convert("RGB")``, because that is what published models were given.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from io import BytesIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from engine.imaging.codestream import read_jpeg
from engine.imaging.limits import Limits
from engine.imaging.refusal import Refusal
from engine.imaging.stored import Stored, luminance, percentile_window
from engine.imaging.types import Image, Patient, View, Window

__all__ = ["read_picture"]

MINIMUM_SIDE = 8


def read_picture(data: bytes, source: str, limits: Limits) -> Image:
    """The image in a PNG or JPEG file. Raises Refusal if it is damaged, too large or of one colour."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked here
        return _image(data, source, limits)


def _image(data: bytes, source: str, limits: Limits) -> Image:
    try:
        with PillowImage.open(BytesIO(data), formats=("PNG", "JPEG")) as picture:
            _check_size(picture.size, limits)
            kind = "PNG" if picture.format == "PNG" else "JPEG"
            depth = data[24] if kind == "PNG" else 8
            if kind == "JPEG":
                read_jpeg(data, ends=False)
            if depth == 16:
                pixels, rgb, notes = _deep(data)
            else:
                pixels, rgb, notes = _shallow(picture)
    except (Refusal, MemoryError):
        raise
    except PillowImage.DecompressionBombError as error:
        raise Refusal(_too_large(limits)) from error
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise Refusal("is damaged: its picture cannot be decoded.") from error
    if pixels.min() == pixels.max():
        raise Refusal("is damaged or empty: every pixel of its picture has the same value.")
    result = Stored(pixels, 1.0, 0.0, None, depth, False, notes)
    spread = percentile_window(result)
    if depth == 16:
        windows: tuple[Window, ...] = (spread,)
        notes += ("16-bit picture without a window of its own: shown from the 1st to the 99th percentile.",)
    else:
        windows = (Window(127.5, 255.0, "full range", "LINEAR_EXACT"), spread)
    return Image(
        sha256=hashlib.sha256(data).hexdigest(),
        source=source,
        format=kind,
        pixels=pixels,
        slope=1.0,
        intercept=0.0,
        padding=None,
        windows=windows,
        luts=(),
        inverted=False,
        bits=depth if depth == 16 else 8,
        photometric="MONOCHROME2" if rgb is None else "RGB",
        view=View.UNKNOWN,
        view_basis="not stated",
        laterality="",
        orientation=(),
        spacing=None,
        patient=Patient(),
        study_uid="",
        sop_uid="",
        accession="",
        study_description="",
        modality="",
        acquired=None,
        acquired_basis="a picture says no date",
        date_reliable=False,
        notes=notes,
        rgb=rgb,
        decoder=f"Pillow {PIL.__version__}" if depth != 16 else "imagecodecs png_decode",
    )


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    columns, rows = size
    if rows * columns > limits.pixels:
        raise Refusal(_too_large(limits, size))
    if min(rows, columns) < MINIMUM_SIDE:
        raise Refusal(f"is too small to be a radiograph: {columns} x {rows} pixels.")


def _too_large(limits: Limits, size: tuple[int, int] | None = None) -> str:
    stated = f"{size[0]} x {size[1]} pixels, and " if size else ""
    return f"is too large: {stated}at most {limits.pixels // 10**6} million pixels are read."


def _shallow(
    picture: PillowImage.Image,
) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None, tuple[str, ...]]:
    """Up to 8 bits: (pixels, rgb or None, notes), exactly as Pillow's ``convert("RGB")`` after the EXIF rotation."""
    mode = picture.mode
    notes: tuple[str, ...] = ()
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        notes += (f"Holds {frames} pictures; the first is shown.",)
    if mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        notes += ("Transparency ignored.",)
    if mode == "CMYK":
        notes += ("Print colours (CMYK) converted.",)
    turned = ImageOps.exif_transpose(picture)
    if turned.size != picture.size or picture.getexif().get(0x0112, 1) not in (0, 1):
        notes += ("Turned as the picture's EXIF orientation says.",)
    if turned.mode == "L":
        return np.asarray(turned).astype(np.uint16), None, notes
    rgb = np.array(turned.convert("RGB"))
    if _is_grey(rgb):
        return rgb[..., 0].astype(np.uint16), None, notes
    return luminance(rgb), rgb, (*notes, "Colour picture: it may not be a radiograph.")


def _is_grey(rgb: NDArray[np.uint8]) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())


def _deep(data: bytes) -> tuple[NDArray[np.uint16], None, tuple[str, ...]]:
    """A 16-bit PNG with all its bits (Pillow keeps 8 of a colour one): (pixels, None, notes)."""
    import imagecodecs

    _check_chunks(data)
    samples = np.asarray(imagecodecs.png_decode(data))
    notes: tuple[str, ...] = ()
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        notes += ("Transparency ignored.",)
        samples = samples[..., : samples.shape[2] - 1]
    if samples.ndim == 3 and samples.shape[2] == 3:
        if (samples == samples[..., :1]).all():
            samples = samples[..., 0]
        else:
            notes += ("Colour picture: it may not be a radiograph.",)
            samples = luminance(samples)
    samples = samples.reshape(samples.shape[:2])
    return np.ascontiguousarray(samples, dtype=np.uint16).copy(), None, notes


def _check_chunks(data: bytes) -> None:
    """Follow a PNG's chunks to its end; Refusal if the end is missing (libpng returns what came before)."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        at += 12 + length
    raise Refusal("is damaged: its picture is cut short.")

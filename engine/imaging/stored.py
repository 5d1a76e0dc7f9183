"""From decoded samples to ``Image.pixels``: bits, sign, padding, modality; all before anything is shown.

Order (PS3.3 C.7.6.3, C.7.5.1.1.2, C.11.1): the bits of BitsStored are cut out, the sign is moved to an offset, padding
is found on stored values, then the Modality LUT or rescale slope and intercept. 16 bits are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from engine.imaging import luts, tags
from engine.imaging.codecs import Frame
from engine.imaging.refusal import Refusal
from engine.imaging.types import Window

__all__ = ["Stored", "luminance", "percentile_window", "stored"]

PADDING_SHARE = 0.95
"""A padding value that covers more than this is a picture's background, or a mistake; it is ignored."""


@dataclass(frozen=True, eq=False)
class Stored:
    """``pixels`` uint16 with ``pixels * slope + intercept`` = modality value; ``bits`` of the stored samples."""

    pixels: NDArray[np.uint16]
    slope: float
    intercept: float
    padding: NDArray[np.bool_] | None
    bits: int
    signed: bool
    notes: tuple[str, ...]
    colour: bool = False


def luminance(rgb: NDArray[Any]) -> NDArray[np.uint16]:
    """ITU-R 601 luma of [rows, columns, 3] samples of up to 16 bits, rounded as Pillow's mode "L" does."""
    grey = np.empty(rgb.shape[:2], np.uint16)
    for at in range(0, rgb.shape[0], 256):  # by strips: the products need 64 bits
        strip = rgb[at : at + 256, :, :3].astype(np.int64)
        grey[at : at + 256] = (strip @ np.array([19595, 38470, 7471]) + 0x8000) >> 16
    return grey


def stored(ds: Dataset, frame: Frame, little_endian: bool) -> Stored:
    """Everything up to the modality value. Raises Refusal if the picture is constant: nothing was decoded."""
    if tags.text(ds, "PhotometricInterpretation") == "PALETTE COLOR":
        return _colour(_through_palette(ds, frame.samples))
    if frame.samples.ndim == 3:
        return _colour(frame.samples)
    result, notes = _cut_bits(ds, frame)
    found, found_notes = _padding(ds, frame, result)
    _refuse_constant(result.pixels, found)
    result = replace(result, padding=found)
    table, table_notes = luts.modality_table(ds, result.signed, little_endian)
    notes += found_notes + table_notes
    if table is not None:
        mapped = _through_table(result, table)
        if not _constant(mapped.pixels, found):
            return replace(mapped, notes=notes)
        notes += ("Modality LUT ignored: it maps the whole picture to one value.",)
    slope, intercept = tags.number(ds, "RescaleSlope"), tags.number(ds, "RescaleIntercept")
    if slope is None or intercept is None or not _possible(slope, intercept):
        if any(tags.value(ds, name) is not None for name in ("RescaleSlope", "RescaleIntercept")):
            notes += ("Rescale slope and intercept ignored: they are incomplete or impossible.",)
        return replace(result, notes=notes)
    return replace(result, slope=result.slope * slope, intercept=result.intercept * slope + intercept, notes=notes)


def _colour(samples: NDArray[Any]) -> Stored:
    """The luminance of a colour picture, brought to 8 bits."""
    if samples.dtype.kind not in "ui" or samples.dtype.itemsize > 2:
        raise Refusal("is a colour picture of more than 16 bits, which cannot be shown.")
    grey = luminance(samples.view(f"u{samples.dtype.itemsize}"))
    if samples.dtype.itemsize == 2:
        grey >>= 8 if int(grey.max()) > 4095 else 4 if int(grey.max()) > 255 else 0
    _refuse_constant(grey, None)
    note = "Colour picture (secondary capture): shown as grey, it may not be a radiograph."
    return Stored(grey, 1.0, 0.0, None, 8, False, (note,), colour=True)


def _through_palette(ds: Dataset, samples: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.asarray(apply_color_lut(samples, ds))
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises many kinds for a palette that is broken
        raise Refusal("is damaged: its colour palette cannot be used.") from error


def _possible(slope: float, intercept: float) -> bool:
    """Whether neighbouring stored values keep different modality values in double precision."""
    return 1e-9 <= abs(slope) <= 1e9 and abs(intercept) <= 1e9 * abs(slope)


def _cut_bits(ds: Dataset, frame: Frame) -> tuple[Stored, tuple[str, ...]]:
    """Stored values as offset binary: a signed value v becomes v + 2**(bits - 1), which is one flipped bit."""
    notes: tuple[str, ...] = ()
    samples = frame.samples
    width = samples.dtype.itemsize * 8
    if samples.dtype.kind not in "ui" or width > 32:
        raise Refusal("has pixels that are not whole numbers, which cannot be shown.")
    raw = samples.view(f"u{samples.dtype.itemsize}")
    signed = tags.integer(ds, "PixelRepresentation") == 1
    bits = tags.integer(ds, "BitsStored") or width
    if frame.precision is not None:
        if frame.precision < bits:
            bits = frame.precision
        elif frame.precision > bits and _exceeds(samples, bits) and not _has_embedded_overlay(ds):
            bits = frame.precision
            notes += ("Bits stored contradicts the compressed picture, which is believed.",)
    if not 1 <= bits <= width:
        bits = width
        notes += ("Bits stored is impossible and was ignored.",)
    high = tags.integer(ds, "HighBit")
    shift = 0
    if frame.precision is None and high is not None and high != bits - 1:
        if bits - 1 < high < width:
            shift = high + 1 - bits
        else:
            notes += ("High bit is impossible and was ignored.",)
    values = raw >> shift if shift else raw
    if bits < width:
        values = values & raw.dtype.type((1 << bits) - 1)
    if signed:
        values = values ^ raw.dtype.type(1 << (bits - 1))
    offset = float(1 << (bits - 1)) if signed else 0.0
    lost = max(0, bits - 16)
    if lost:
        values = values >> lost
        notes += (f"Reduced from {bits} to 16 bits.",)
    pixels = np.ascontiguousarray(values, dtype=np.uint16)
    if pixels is frame.samples or pixels.base is not None:
        pixels = pixels.copy()
    return Stored(pixels, float(1 << lost), -offset, None, bits, signed, ()), notes


def _exceeds(samples: NDArray[Any], bits: int) -> bool:
    if samples.dtype.kind == "i":
        return int(samples.max()) >= 1 << (bits - 1) or int(samples.min()) < -(1 << (bits - 1))
    return int(samples.max()) >= 1 << bits


def _has_embedded_overlay(ds: Dataset) -> bool:
    """Whether an overlay lies in the bits above the picture (retired, PS3.3-2004 C.9.2)."""
    return any((0x6000 + 2 * n, 0x0102) in ds and (0x6000 + 2 * n, 0x3000) not in ds for n in range(16))


def _padding(ds: Dataset, frame: Frame, result: Stored) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """Where the stored value lies in PixelPaddingValue..PixelPaddingRangeLimit."""
    value = tags.integer(ds, "PixelPaddingValue")
    if value is None:
        return None, ()
    limit = tags.integer(ds, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    offset = int(-result.intercept)
    scale = int(result.slope)
    found = _between(result.pixels, _in_range(low, result) + offset, _in_range(high, result) + offset, scale)
    raw = frame.samples
    width = raw.dtype.itemsize * 8
    if frame.precision is None and width > result.bits:
        # some devices mark padding in the bits above BitsStored, which are gone from ``pixels``
        whole = raw.view(f"{'i' if result.signed else 'u'}{raw.dtype.itemsize}")
        found |= (whole >= low) & (whole <= high)
    share = float(found.mean())
    if share > PADDING_SHARE:
        return None, (f"Pixel padding ignored: it would cover {share:.0%} of the picture.",)
    return (found, ()) if share else (None, ())


def _in_range(value: int, result: Stored) -> int:
    """A padding value written with the other sign convention, brought into the range of the stored values."""
    if result.signed and value >= 1 << (result.bits - 1):
        return value - (1 << result.bits) if value < 1 << result.bits else value - 65536
    if not result.signed and value < 0:
        return value + 65536
    return value


def _between(pixels: NDArray[np.uint16], low: int, high: int, scale: int) -> NDArray[np.bool_]:
    low, high = sorted((low // scale, high // scale))
    if high < 0 or low > 65535:
        return np.zeros(pixels.shape, np.bool_)
    return (pixels >= max(low, 0)) & (pixels <= min(high, 65535))


def _through_table(result: Stored, table: luts.Table) -> Stored:
    """``pixels`` replaced by the Modality LUT's output; inputs outside the table take its ends."""
    inputs = np.arange(65536) * result.slope + result.intercept
    index = np.clip(inputs - table.first, 0, table.entries.size - 1).astype(np.intp)
    return replace(result, pixels=table.entries[index][result.pixels], slope=1.0, intercept=0.0)


def _constant(pixels: NDArray[np.uint16], padding: NDArray[np.bool_] | None) -> bool:
    visible = pixels if padding is None else pixels[~padding]
    return visible.size == 0 or bool(visible.min() == visible.max())


def _refuse_constant(pixels: NDArray[np.uint16], padding: NDArray[np.bool_] | None) -> None:
    if _constant(pixels, padding):
        raise Refusal("is damaged or empty: every pixel of its picture has the same value.")


def percentile_window(result: Stored) -> Window:
    """The window named "1-99 %": from the 1st to the 99th percentile of the modality values outside padding."""
    counts = np.zeros(65536, np.int64)
    for at in range(0, result.pixels.shape[0], 256):  # by strips: bincount makes 64-bit copies
        strip = result.pixels[at : at + 256]
        if result.padding is not None:
            strip = strip[~result.padding[at : at + 256]]
        counts += np.bincount(strip.ravel(), minlength=65536)
    total = np.cumsum(counts)
    ends = np.searchsorted(total, [max(1, 0.01 * total[-1]), 0.99 * total[-1]])
    if ends[0] >= ends[1]:  # almost all of it is one value: take what there is
        used = np.flatnonzero(counts)
        ends = np.array([used[0], used[-1]])
    low, high = sorted(float(end) * result.slope + result.intercept for end in ends)
    return Window((low + high) / 2, high - low, "1-99 %", "LINEAR_EXACT")

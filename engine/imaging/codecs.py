"""One frame of pixel data, from the bytes of a data set to samples, by a decoder that is named.

imagecodecs decodes the JPEG families: ``jpeg_decode`` for baseline and 12-bit Extended, ``jpegsof3_decode`` for
Lossless, ``jpegls_decode``, ``jpeg2k_decode`` and ``htj2k_decode``. Native, deflated and RLE pixel data are pydicom's.
(imagecodecs' ``ljpeg_decode`` and gdcm give a picture for damaged streams and are not used.)
Knows nothing of grey scales: what the samples mean is for :mod:`engine.imaging.stored`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import UID

from engine.imaging.codestream import Codestream, read_jpeg, read_jpeg2000
from engine.imaging.refusal import Refusal

__all__ = ["SYNTAXES", "Frame", "decode", "name_of"]

_JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
_JPEG_LS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
_JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
_HTJ2K = {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"}
_COMPRESSED = _JPEG | _LOSSLESS | _JPEG_LS | _JPEG_2000 | _HTJ2K
RLE = "1.2.840.10008.1.2.5"
IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, EXPLICIT_BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
NATIVE = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG}
SYNTAXES = frozenset(_COMPRESSED | NATIVE | {RLE})
"""Transfer syntaxes that can be read."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Samples as decoded: [rows, columns] grey or [rows, columns, 3] RGB.

    ``precision`` is what the compressed stream says of its samples, None for native and RLE data.
    """

    samples: NDArray[Any]
    decoder: str
    precision: int | None = None


def name_of(syntax: str) -> str:
    """The transfer syntax in the standard's words; its number if it has none."""
    return UID(syntax).name


def decode(ds: Dataset, syntax: str, frames: int) -> Frame:
    """Decode the first frame of ``ds``.

    Rows, Columns, SamplesPerPixel and the length of native data have been checked by the caller. Raises Refusal for a
    transfer syntax that is not in ``SYNTAXES``, for a stream that contradicts the header and for one that is damaged.
    """
    if syntax not in SYNTAXES:
        raise Refusal(f"is compressed in a way that cannot be read here ({name_of(syntax)[:80]}).")
    frame = _decode_compressed(ds, syntax, frames) if syntax in _COMPRESSED else _decode_native(ds, syntax)
    expected = (int(ds.Rows), int(ds.Columns))
    if frame.samples.shape[:2] != expected:
        raise Refusal("is damaged: its picture has another size than its header says.")
    return frame


def _decode_compressed(ds: Dataset, syntax: str, frames: int) -> Frame:
    try:
        data = get_frame(
            ds.PixelData,
            0,
            number_of_frames=frames,
            extended_offsets=_extended_offsets(ds),
        )
    except (ValueError, IndexError, EOFError, OSError) as error:
        raise Refusal("is damaged: its compressed picture cannot be found.") from error
    stream = read_jpeg2000(data) if syntax in _JPEG_2000 | _HTJ2K else read_jpeg(data)
    if (stream.rows, stream.columns) != (int(ds.Rows), int(ds.Columns)):
        raise Refusal("is damaged: its compressed picture has another size than its header says.")
    if stream.components != int(ds.SamplesPerPixel):
        raise Refusal("is damaged: its compressed picture has another number of colours than its header says.")
    name, function, options = _codec(ds, syntax, stream)
    try:
        samples = np.asarray(function(data, **options))
    except MemoryError:
        raise
    except Exception as error:  # each codec has an exception class of its own, made at run time
        raise Refusal("is damaged: its compressed picture cannot be decoded.") from error
    if stream.components == 3 and samples.ndim != 3:
        raise Refusal("is damaged: its compressed picture cannot be decoded.")
    if stream.components == 3 and syntax in _JPEG_LS | _LOSSLESS:
        samples = _to_rgb(samples, str(ds.get("PhotometricInterpretation") or ""))
    return Frame(samples, name, stream.precision)


def _extended_offsets(ds: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


def _codec(ds: Dataset, syntax: str, stream: Codestream) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """The decoder's recorded name, the function and its options."""
    import imagecodecs  # imported where it is needed: native DICOM and plain pictures do without

    options: dict[str, Any] = {}
    if syntax in _JPEG:
        function = "jpeg_decode"
        if stream.components == 3:
            options = {"colorspace": _jpeg_colours(ds, stream), "outcolorspace": "RGB"}
    elif syntax in _LOSSLESS:
        function = "jpegsof3_decode"
    elif syntax in _JPEG_LS:
        function = "jpegls_decode"
    else:
        function = "htj2k_decode" if syntax in _HTJ2K else "jpeg2k_decode"
    return f"imagecodecs {imagecodecs.__version__} {function}", getattr(imagecodecs, function), options


def _jpeg_colours(ds: Dataset, stream: Codestream) -> str:
    """What three JPEG components are. The stream's own markers come before the header's PhotometricInterpretation."""
    if stream.component_ids in ((82, 71, 66), (114, 103, 98)):
        return "RGB"
    if stream.adobe is not None:
        return "YCBCR" if stream.adobe == 1 else "RGB"
    if stream.jfif:
        return "YCBCR"
    return "RGB" if ds.get("PhotometricInterpretation") == "RGB" else "YCBCR"


def _decode_native(ds: Dataset, syntax: str) -> Frame:
    """Native, big-endian, 1-bit, planar or RLE samples, by pydicom."""
    decoder = get_decoder(UID(syntax))
    # unused bits are kept: they may mark padding
    options: dict[str, Any] = {"raw": True, "correct_unused_bits": False}
    if syntax == RLE:
        options["decoding_plugin"] = "pydicom"
    try:
        samples, _ = decoder.as_array(ds, index=0, **options)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError, RuntimeError, NotImplementedError) as error:
        raise Refusal("is damaged: its pixels do not fit what its header says.") from error
    samples = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))
    photometric = str(ds.get("PhotometricInterpretation") or "")
    return Frame(_to_rgb(samples, photometric) if samples.ndim == 3 else samples, "pydicom")


def _to_rgb(samples: NDArray[Any], photometric: str) -> NDArray[Any]:
    if photometric not in ("YBR_FULL", "YBR_FULL_422") or samples.dtype != np.uint8:
        return samples
    rgb = np.empty_like(samples)
    for at in range(0, samples.shape[0], 256):  # by strips: the conversion takes 16 times the memory
        rgb[at : at + 256] = convert_color_space(samples[at : at + 256], photometric, "RGB")
    return rgb

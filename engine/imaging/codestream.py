"""What a compressed frame says of itself, read from its markers before any decoder is given the bytes.

JPEG, JPEG Lossless and JPEG-LS (ISO 10918-1 B.2.2, 14495-1) and JPEG 2000 / HTJ2K (15444-1 A.5.1). Decoders believe
these numbers and allocate by them, and some return a picture for a stream that was cut short, so both are tested here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.imaging.refusal import Refusal

__all__ = ["Codestream", "read_jpeg", "read_jpeg2000"]

_DAMAGED = "is damaged: its compressed picture "


@dataclass(frozen=True)
class Codestream:
    """Size and samples of a frame. ``adobe`` is the transform of an Adobe marker (0, 1, 2) or None."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    adobe: int | None = None
    jfif: bool = False
    component_ids: tuple[int, ...] = ()


def read_jpeg(frame: bytes, *, ends: bool = True) -> Codestream:
    """The frame header of a JPEG or JPEG-LS stream.

    Raises Refusal if there is none, if the data cannot fill the size that it claims, and, with ``ends``, if the end
    marker is not the last thing in ``frame``: libjpeg fills what is missing with grey and reports success.
    """
    if not frame.startswith(b"\xff\xd8"):
        raise Refusal(_DAMAGED + "does not begin as a JPEG.")
    if ends and b"\xff\xd9" not in frame[-64:]:
        raise Refusal(_DAMAGED + "is cut short.")
    adobe: int | None = None
    jfif = False
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            break
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9 or marker == 0xDA:
            break
        length = struct.unpack_from(">H", frame, at + 2)[0]
        body = frame[at + 4 : at + 2 + length]
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif _is_frame_header(marker) and len(body) >= 6:
            precision, rows, columns, components = struct.unpack_from(">BHHB", body)
            if marker <= 0xC2 and 8 * len(frame) < -(-rows // 8) * -(-columns // 8):  # each block takes a bit at least
                raise Refusal(_DAMAGED + "is cut short.")
            ids = tuple(body[6 + 3 * i] for i in range(components) if 6 + 3 * i < len(body))
            return Codestream(rows, columns, components, precision, adobe=adobe, jfif=jfif, component_ids=ids)
        at += 2 + length
    raise Refusal(_DAMAGED + "has no frame header.")


def _is_frame_header(marker: int) -> bool:
    """SOF0..SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS."""
    return (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7


def read_jpeg2000(frame: bytes) -> Codestream:
    """The SIZ marker of a JPEG 2000 stream. Raises Refusal if it is missing or absurd, or if tile-parts are missing."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or len(frame) < start + 42:
        raise Refusal(_DAMAGED + "does not begin as a JPEG 2000.")
    x1, y1, x0, y0, tile_x, tile_y = struct.unpack_from(">6I", frame, start + 8)
    components = struct.unpack_from(">H", frame, start + 40)[0]
    if not (x0 < x1 and y0 < y1 and tile_x and tile_y and 1 <= components <= 4 and len(frame) > start + 42):
        raise Refusal(_DAMAGED + "has an impossible size.")
    tiles = -(-x1 // tile_x) * -(-y1 // tile_y)
    if tiles > 65535:
        raise Refusal(_DAMAGED + "has an impossible number of tiles.")
    depth = frame[start + 42]
    _complete(frame, start)
    return Codestream(y1 - y0, x1 - x0, components, (depth & 0x7F) + 1, signed=bool(depth & 0x80))


def _complete(frame: bytes, start: int) -> None:
    """Follow the tile-parts by their lengths (Psot) to the end; Refusal if one reaches beyond the data."""
    at = start + 2
    while at + 12 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == 0xFFD9:
            return
        if marker == 0xFF90:
            size = struct.unpack_from(">I", frame, at + 6)[0]
            if size == 0:  # the last tile-part, which reaches to the end marker
                return
            if size < 14 or at + size > len(frame):
                raise Refusal(_DAMAGED + "is cut short.")
            at += size
        else:
            at += 2 + length

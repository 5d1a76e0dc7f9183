"""What a file is, told from its first bytes; its name and suffix are never asked.

Knows magic numbers only: whether the rest of the file keeps the promise is for the readers to find out.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["HEAD", "Kind", "foreign", "kind_of"]

HEAD = 4096
"""Bytes from the start of the file that are enough to tell."""


class Kind(Enum):
    """How the file is to be read."""

    EMPTY = "empty"
    DICOM = "DICOM"
    BARE_DICOM = "DICOM without preamble"
    PNG = "PNG"
    JPEG = "JPEG"
    ZIP = "ZIP"
    OTHER = "other"


PNG = b"\x89PNG\r\n\x1a\n"

# (offset, magic, words): files that people drop by mistake, named so that they know which one it was.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"8BPS", "a Photoshop picture"),
    (4, b"ftyp", "a film or a HEIC picture"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3", "a database"),
    (344, b"n+1\x00", "a NIfTI volume"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
    (0, b"<?xml", "an XML document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<!DOCTYPE html", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"{\\rtf", "a text document"),
)


def kind_of(head: bytes) -> Kind:
    """The kind of the file whose first ``HEAD`` bytes (or all, if shorter) are ``head``."""
    if not head:
        return Kind.EMPTY
    if head[128:132] == b"DICM" and not (head.startswith(PNG) or head.startswith(b"\xff\xd8\xff")):
        return Kind.DICOM
    if head.startswith(PNG):
        return Kind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind.ZIP
    if _bare_dicom(head):
        return Kind.BARE_DICOM
    return Kind.OTHER


def foreign(head: bytes) -> str:
    """In words, what a file of ``Kind.OTHER`` seems to be; empty if nothing known."""
    for offset, magic, words in _FOREIGN:
        if head[offset : offset + len(magic)].lower() == magic.lower():
            return words
    return "a text file" if _is_text(head) else ""


def _bare_dicom(head: bytes) -> bool:
    """Whether a data set may begin here: a low element of group 2 or 8, in any encoding, with a possible length."""
    if len(head) < 8:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[0:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        length = int.from_bytes(head[4:8], order)
        if explicit or length <= 256:
            return True
    return False


def _is_text(head: bytes) -> bool:
    return b"\x00" not in head and sum(byte < 9 or 13 < byte < 32 for byte in head) == 0

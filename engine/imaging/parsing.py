"""One file's bytes to one image, whatever its name: sniffed, read, or refused in a sentence.

This runs in the worker process for anything a user dropped, and may be called directly for files that the program made
itself. It opens the file once, so that what is hashed is what is parsed.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import UnreadableFile
from engine.imaging.limits import Limits
from engine.imaging.refusal import Refusal
from engine.imaging.sniff import HEAD, Kind, foreign, kind_of
from engine.imaging.types import Image

__all__ = ["parse_bytes", "parse_file"]


def parse_file(path: Path, source: str | None = None, limits: Limits | None = None) -> Image:
    """The image in ``path``, named ``source`` in messages. Raises UnreadableFile."""
    limits = limits or Limits()
    source = path.name if source is None else source
    try:
        if path.stat().st_size > limits.file_bytes:
            raise Refusal(f"is too large: more than {limits.file_bytes // 10**6} MB.")
        data = path.read_bytes()
    except Refusal as refusal:
        raise UnreadableFile(refusal.sentence(source)) from refusal
    except OSError as error:
        raise UnreadableFile(Refusal("cannot be opened.").sentence(source)) from error
    return parse_bytes(data, source, limits)


def parse_bytes(data: bytes, source: str, limits: Limits | None = None) -> Image:
    """The image in ``data``. Raises UnreadableFile, also for what no reader foresaw."""
    try:
        return _parse(data, source, limits or Limits())
    except Refusal as refusal:
        raise UnreadableFile(refusal.sentence(source)) from refusal
    except MemoryError as error:
        raise UnreadableFile(Refusal("needs more memory than one file may use.").sentence(source)) from error
    except RecursionError as error:
        raise UnreadableFile(Refusal("is nested too deeply to be a radiograph.").sentence(source)) from error
    except Exception as error:  # the last line of defence: bytes that no reader foresaw are damaged bytes
        raise UnreadableFile(Refusal("is damaged and cannot be read.").sentence(source)) from error


def _parse(data: bytes, source: str, limits: Limits) -> Image:
    head = data[:HEAD]
    kind = kind_of(head)
    if kind is Kind.EMPTY:
        raise Refusal("is empty.")
    if kind in (Kind.DICOM, Kind.BARE_DICOM):
        # imported here: a plain picture does not pay for pydicom
        from engine.imaging.dicom import read_dicom

        return read_dicom(data, source, limits)
    if kind in (Kind.PNG, Kind.JPEG):
        from engine.imaging.pictures import read_picture

        return read_picture(data, source, limits)
    if kind is Kind.ZIP:
        raise Refusal("is an archive inside an archive, which is not opened.")
    words = foreign(head)
    raise Refusal(f"is {words}, not a DICOM, PNG or JPEG image." if words else "is not a DICOM, PNG or JPEG image.")

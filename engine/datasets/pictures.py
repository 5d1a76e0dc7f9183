"""The image files of a data set, looked at side by side: is it there, is it an image, is it whole, how large.

A plain look reads the head and the end of a PNG or JPEG file; ``decode`` reads every pixel in a worker process, as the
viewer does, and gives the hash of what a model would be shown. DICOM is always read by the worker. A fault is a value,
never an exception: all of a set are wanted at once. Knows files, not samples.
"""

from __future__ import annotations

import hashlib
import queue
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from engine.errors import UnreadableFile
from engine.imaging import Image, Limits, Reader, to_pil
from engine.imaging.sniff import HEAD, Kind, foreign, kind_of

JPEG_TAIL = 65_536
"""Bytes at the end of a JPEG file in which its end mark must lie; cameras put other things behind it."""


@dataclass(frozen=True)
class Look:
    """What was seen of one file.

    Attributes:
        fault: "" or which kind of fault: "missing", "empty", "not-an-image", "damaged".
        reason: the fault in words that need no file name before them.
        form: "PNG", "JPEG" or "DICOM"; "" where the file is none of them.
        columns, rows: pixels; 0 where they were not read.
        bits: of a stored grey value, as far as the look goes (8 or 16 for a plain look).
        pixels: sha256 over size and shown values; "" without ``decode`` and for DICOM that was not decoded.
        patient: issuer and id in a DICOM file; "" where none is named.
        sex: as a DICOM file has it.
        acquired: when a DICOM image was made, if that can be relied on.
    """

    path: Path
    fault: str = ""
    reason: str = ""
    form: str = ""
    columns: int = 0
    rows: int = 0
    bits: int = 0
    pixels: str = ""
    patient: str = ""
    sex: str = ""
    acquired: datetime | None = None


def look(
    paths: Iterable[Path],
    *,
    decode: bool = False,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Path, Look]:
    """Look at every file once, ``workers`` at a time; the result is in the order in which paths first appear."""
    distinct = list(dict.fromkeys(paths))
    found: dict[Path, Look] = {}
    with readers(workers) as lend, ThreadPoolExecutor(workers) as pool:

        def one(path: Path) -> Look:
            return _look(path, decode, lend)

        for done, each in enumerate(pool.map(one, distinct), 1):
            found[each.path] = each
            if progress is not None:
                progress(done, len(distinct))
    return found


Lend = Callable[[Path], Image]


@contextmanager
def readers(workers: int) -> Iterator[Lend]:
    """A function that reads an image with the next free worker process; processes start when they are first needed."""
    with ExitStack() as stack:
        free: queue.SimpleQueue[Reader | None] = queue.SimpleQueue()
        for _ in range(workers):
            free.put(None)

        def read(path: Path) -> Image:
            reader = free.get()
            if reader is None:
                reader = stack.enter_context(Reader())
            try:
                return reader.read(path)
            finally:
                free.put(reader)

        yield read


def _look(path: Path, decode: bool, read: Lend) -> Look:
    try:
        if not path.is_file():
            words = "is a folder" if path.is_dir() else "is not there"
            return Look(path, "missing", f"the image {words}")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return Look(path, "missing", "the image cannot be opened")
    kind = kind_of(head)
    if kind is Kind.EMPTY:
        return Look(path, "empty", "the image file is empty")
    if kind not in (Kind.PNG, Kind.JPEG, Kind.DICOM, Kind.BARE_DICOM):
        words = "an archive" if kind is Kind.ZIP else foreign(head) or "not an image we read"
        return Look(path, "not-an-image", f"the file is {words}; PNG, JPEG and DICOM are read")
    if decode or kind in (Kind.DICOM, Kind.BARE_DICOM):
        return _decoded(path, decode, read)
    return _outside(path, kind, size, head)


def _decoded(path: Path, decode: bool, read: Lend) -> Look:
    try:
        image = read(path)
    except UnreadableFile as error:
        # The sentence begins with the file's name, which the table has in a column of its own.
        words = str(error).removeprefix(path.name).strip().rstrip(".")
        return Look(path, "damaged", f"the image {words}")
    return Look(
        path,
        form=image.format,
        columns=image.columns,
        rows=image.rows,
        bits=16 if image.bits > 8 else 8,
        pixels=_shown(image) if decode else "",
        patient="\0".join((image.patient.issuer, image.patient.id)) if image.patient.id else "",
        sex=image.patient.sex,
        acquired=image.acquired if image.date_reliable else None,
    )


def _shown(image: Image) -> str:
    picture = to_pil(image)
    digest = hashlib.sha256(f"{picture.mode} {picture.width} {picture.height}\n".encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()


def _outside(path: Path, kind: Kind, size: int, head: bytes) -> Look:
    """A PNG or JPEG file from its head and its end, without decoding it."""
    form = "PNG" if kind is Kind.PNG else "JPEG"
    limits = Limits()
    if size > limits.file_bytes:
        return Look(path, "damaged", f"the file is larger than {limits.file_bytes // 10**6} MB", form)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here
            with PillowImage.open(path, formats=(form,)) as picture:
                columns, rows = picture.size
        whole = _png_ends(path, size) if form == "PNG" else _jpeg_ends(path, size)
    except PillowImage.DecompressionBombError:
        return Look(path, "damaged", "the image has too many pixels", form)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, struct.error, EOFError):
        return Look(path, "damaged", "the image is damaged: its header cannot be read", form)
    if columns * rows > limits.pixels:
        return Look(path, "damaged", "the image has too many pixels", form, columns, rows)
    if not whole:
        return Look(path, "damaged", "the image is damaged: its end is missing", form, columns, rows)
    return Look(path, form=form, columns=columns, rows=rows, bits=16 if form == "PNG" and head[24] == 16 else 8)


def _png_ends(path: Path, size: int) -> bool:
    """Whether the chunks of a PNG file lead to its last one (PNG specification 5.3: length, type, data, CRC)."""
    with path.open("rb") as file:
        file.seek(size - 12)
        if file.read() == b"\0\0\0\0IEND\xaeB`\x82":
            return True
        at = 8
        while at + 12 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind == b"IEND":
                return True
            at += 12 + length
    return False


def _jpeg_ends(path: Path, size: int) -> bool:
    """Whether the end mark (T.81 B.1.1.3, EOI) is in the last part of a JPEG file."""
    with path.open("rb") as file:
        file.seek(max(0, size - JPEG_TAIL))
        return b"\xff\xd9" in file.read()

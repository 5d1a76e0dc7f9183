"""Receiving a drop: a multipart request streamed file by file into a private folder, with limits.

Starlette's own form parser spools into the system's temp folder; files of patients never go there, so the request is
parsed here as it arrives and written only below the folder the caller gives. Names in the request are taken for
messages alone: the tree that is written is made of cleaned names inside that folder, whatever the request says.

Knows nothing of DICOM or records. Raises ``UsageError`` for a request that is not a drop, ``InputError`` for one over
the limits, ``ResourceError`` when the disk is too full or the sender stalls.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from engine.errors import InputError, ResourceError, UsageError

__all__ = ["UploadLimits", "receive", "safe_parts"]

FILE_FIELD = "files"
NAMES_FIELD = "names"
RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class UploadLimits:
    """What one drop may hold."""

    files: int = 4000
    bytes_per_file: int = 600 << 20
    bytes_in_all: int = 2 << 30
    bytes_of_names: int = 2 << 20
    free_after: int = 512 << 20
    seconds_between_chunks: float = 30.0


def safe_parts(name: str) -> tuple[str, ...]:
    """The name as dropped ("study1/IM0001") as parts that can be nothing but plain entries of a folder.

    Separators split, ``.`` and ``..`` vanish, control characters and what Windows forbids become ``_``; at most eight
    levels and 80 characters a part. Never empty.
    """
    parts = []
    for raw in re.split(r"[/\\]", unicodedata.normalize("NFC", name)):
        clean = "".join(
            "_" if character in '<>:"|?*' or not character.isprintable() else character for character in raw
        )
        clean = clean.encode("utf-8", "replace").decode("utf-8").strip().rstrip(".")
        if clean.strip("."):
            parts.append(("_" + clean if RESERVED.match(clean) else clean)[-80:])
    return tuple(parts[-8:]) or ("file",)


def place(folder: Path, name: str) -> Path:
    """A path inside ``folder`` that does not exist yet, as close to ``name`` as it can be."""
    *above, last = safe_parts(name)
    parent = folder
    for part in above:
        step = parent / part
        parent = step if not step.is_file() else parent / f"{part}_"
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / last
    number = 2
    while target.exists():
        target = parent / f"{Path(last).stem} ({number}){Path(last).suffix}"
        number += 1
    return target


@dataclass
class Drop:
    """The request as far as it has been read: the callbacks of the multipart parser."""

    folder: Path
    limits: UploadLimits
    written: list[tuple[Path, str]] = field(default_factory=list)
    names: bytearray = field(default_factory=bytearray)
    total: int = 0
    finished: bool = False

    _field: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _headers: dict[str, bytes] = field(default_factory=dict)
    _part: str = ""
    _out: BinaryIO | None = None
    _size: int = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._headers = {}
        self._part = ""
        self._size = 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part == FILE_FIELD:
            if len(self.written) >= self.limits.files:
                raise InputError(f"More than {self.limits.files} files were dropped at once. Drop fewer at a time.")
            name = options.get(b"filename", b"file").decode("utf-8", "replace")
            path = place(self.folder, f"{len(self.written):05d}")
            self.written.append((path, name))
            self._out = path.open("xb")
        elif self._part != NAMES_FIELD:
            raise UsageError("The drop could not be read: it has a part this program does not know.")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        self._size += size
        self.total += size
        if self._out is None:
            self.names += data[start:end]
            if len(self.names) > self.limits.bytes_of_names:
                raise InputError("The names of the dropped files are too long to be read.")
            return
        if self._size > self.limits.bytes_per_file:
            megabytes = self.limits.bytes_per_file >> 20
            raise InputError(f"{self.written[-1][1]} is larger than {megabytes} MB and was not read.")
        if self.total > self.limits.bytes_in_all:
            raise InputError(
                f"More than {self.limits.bytes_in_all >> 30} GB were dropped at once. Drop fewer at a time."
            )
        self._out.write(data[start:end])

    def on_part_end(self) -> None:
        self.close()

    def on_end(self) -> None:
        self.finished = True

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def arrange(self) -> list[Path]:
        """Give the files their own names, as a tree below the folder; returns the top entries in the order dropped."""
        names = [name for _, name in self.written]
        if self.names:
            try:
                told = json.loads(self.names)
            except (ValueError, RecursionError) as cause:
                raise UsageError("The drop could not be read: its list of names is damaged.") from cause
            if isinstance(told, list) and len(told) == len(names) and all(isinstance(name, str) for name in told):
                names = told
        tree = self.folder / "drop"
        tree.mkdir()
        top: dict[Path, None] = {}
        for (path, _), name in zip(self.written, names, strict=True):
            target = place(tree, name)
            path.rename(target)
            top[tree / target.relative_to(tree).parts[0]] = None
        return list(top)


async def receive(content_type: str, chunks: AsyncIterator[bytes], folder: Path, limits: UploadLimits) -> list[Path]:
    """Write the files of one multipart request below ``folder``; returns the top entries, files and folders.

    Raises ``UsageError``, ``InputError`` or ``ResourceError``; the folder is the caller's to delete.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UsageError("Files are dropped as a form of files; this request is something else.")
    drop = Drop(folder, limits)
    parser = MultipartParser(boundary, drop.callbacks())  # type: ignore[arg-type]
    since_check = 0
    try:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), limits.seconds_between_chunks)
            except StopAsyncIteration:
                break
            except TimeoutError as cause:
                raise ResourceError("The upload stalled and was given up. Drop the files again.") from cause
            since_check += len(chunk)
            if since_check > 32 << 20 or not drop.total:
                since_check = 0
                if shutil.disk_usage(folder).free < limits.free_after:
                    raise ResourceError("The disk is nearly full. Free some space and drop the files again.")
            parser.write(chunk)
        parser.finalize()
    except MultipartParseError as cause:
        raise UsageError("The drop arrived damaged. Drop the files again.") from cause
    finally:
        drop.close()
    if not drop.finished:
        raise UsageError("The drop broke off before its end. Drop the files again.")
    if not drop.written:
        raise UsageError("No file arrived. Drop one or more images, a folder or a zip archive.")
    return drop.arrange()

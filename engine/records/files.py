"""The images' files, named by the sha256 of their bytes: ``files/<first two digits>/<sha256>``.

A file is complete or absent: it is written beside its place, flushed to the disk and renamed. Its name says what must
be in it, so that damage is always seen. The row that mentions a file is written after it; a file without a row is an
orphan of a crash. This module knows bytes only, neither images nor tables.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path

from engine.errors import RecordsError
from engine.records.database import sync_folder
from engine.records.faults import translated

_BLOCK = 1 << 20
_HEX = frozenset("0123456789abcdef")


class FileStore:
    """Files under ``folder``, found by sha256. Safe for several threads; one process at a time writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the file is or would be."""
        return self.folder / sha256[:2] / sha256

    def add(self, sha256: str, source: Path) -> Path:
        """Copy ``source`` in, unless an undamaged copy is there. Returns the place.

        Raises RecordsError if the bytes are not those of ``sha256`` (the file changed since it was read) or
        ``source`` is gone, ResourceError for a full disk.
        """
        place = self.path(sha256)
        with translated():
            if place.is_file() and _digest(place) == sha256:
                return place
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = place.with_name(f".{sha256}.{secrets.token_hex(4)}.part")
            try:
                if not source.is_file():
                    raise RecordsError("An image file was removed before it could be stored. Open it again.")
                if _copied(source, part) != sha256:
                    raise RecordsError("An image file changed while it was being stored. Open it again.")
                part.replace(place)
                sync_folder(place.parent)
            finally:
                part.unlink(missing_ok=True)
        return place

    def checked(self, sha256: str) -> Path:
        """The place of the file after reading all of it. Raises RecordsError if it is missing or damaged."""
        if (state := self.state(sha256)) != "ok":
            raise RecordsError(f"The stored copy of an image is {state}. Open the original file again to restore it.")
        return self.path(sha256)

    def state(self, sha256: str) -> str:
        """ "ok", "missing" or "damaged", found by reading the file."""
        place = self.path(sha256)
        try:
            return "ok" if _digest(place) == sha256 else "damaged"
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "damaged"

    def others(self, known: Collection[str]) -> Iterator[Path]:
        """Every file of the store that is not one of ``known``, unfinished copies included."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                ours = file.name.startswith(".") or (len(file.name) == 64 and _HEX.issuperset(file.name))
                if ours and file.is_file() and file.name not in known:
                    yield file


def _copied(source: Path, target: Path) -> str:
    """Copy bytes, flush them to the disk, and return their sha256."""
    digest = hashlib.sha256()
    target.touch(mode=0o600, exist_ok=False)
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""ZIP archives and folders as lists of files, hostile ones included.

Members are streamed into files that are named by number: a member's name is a label for messages and never becomes a
path. Links are not followed, archives in archives are not opened, and sizes are counted as they come, whatever the
archive's directory claims. Knows nothing of images.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.imaging.limits import Limits
from engine.imaging.refusal import Refusal
from engine.imaging.text import tidy

__all__ = ["Member", "Unpacked", "ignorable", "unpack", "walk"]

CHUNK = 1 << 20
EXEMPT_FROM_RATIO = 1_000_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SYSTEM_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Member:
    """One file to look at: ``source`` is its name for messages, ``path`` where its bytes are."""

    source: str
    path: Path


@dataclass(frozen=True)
class Unpacked:
    """An archive's files, and a sentence for each member (or for the archive) that was left out."""

    members: tuple[Member, ...]
    problems: tuple[tuple[str, str], ...]


def ignorable(name: str) -> bool:
    """Whether an operating system put the file there, not a person; such files are passed over in silence."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.name.lower() in _SYSTEM_FILES or path.name.startswith("._") or "__MACOSX" in path.parts


def unpack(path: Path, source: str, folder: Path, limits: Limits) -> Unpacked:
    """Stream every member of the ZIP archive ``path`` into ``folder``. Raises Refusal if it is no usable archive."""
    members: list[Member] = []
    problems: list[tuple[str, str]] = []
    left = limits.total_bytes
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [each for each in archive.infolist() if not each.is_dir() and not ignorable(each.filename)]
            if not entries:
                raise Refusal("is an archive without files.")
            for n, entry in enumerate(entries):
                if n >= limits.files:
                    problems.append((source, Refusal(_too_many(limits)).sentence(source)))
                    break
                name = f"{source}/{tidy(entry.filename, 200)}"
                try:
                    target = folder / f"{n:06d}"
                    left -= _extract(archive, entry, target, left, limits)
                    members.append(Member(name, target))
                except _Full:
                    problems.append((source, Refusal(_too_much(limits)).sentence(source)))
                    break
                except Refusal as refusal:
                    problems.append((name, refusal.sentence(name)))
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # zipfile raises BadZipFile, struct.error, NotImplementedError, EOFError, ...
        raise Refusal("is a damaged archive and cannot be opened.") from error
    return Unpacked(tuple(members), tuple(problems))


class _Full(Exception):
    """The archive has used up what it may unpack to."""


def _too_many(limits: Limits) -> str:
    return f"holds more than {limits.files} files; the rest was not opened."


def _too_much(limits: Limits) -> str:
    return f"unpacks to more than {limits.total_bytes // 10**6} MB; the rest was not opened."


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int, limits: Limits) -> int:
    """Write one member to ``target`` and return its size."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Refusal("is a link, and links are not followed.")
    if entry.flag_bits & 0x1:
        raise Refusal("is protected by a password; unpack the archive first.")
    if entry.compress_type not in _METHODS:
        raise Refusal("is packed in a way that is not read here; unpack the archive first.")
    written = 0
    try:
        with archive.open(entry) as reader, target.open("xb") as writer:
            while chunk := reader.read(CHUNK):
                written += len(chunk)
                if written > EXEMPT_FROM_RATIO and written > limits.ratio * entry.compress_size:
                    raise Refusal(f"unpacks to more than {limits.ratio} times its size and was not opened.")
                if written > limits.file_bytes:
                    raise Refusal(f"is too large: more than {limits.file_bytes // 10**6} MB.")
                if written > left:
                    raise _Full
                writer.write(chunk)
    except (Refusal, _Full):
        target.unlink(missing_ok=True)
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise Refusal("is damaged in the archive and cannot be unpacked.") from error
    return written


def walk(folder: Path, source: str) -> Iterator[Member | tuple[str, str]]:
    """The files below ``folder`` in the order of their names; (source, sentence) for what is none."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield source, Refusal("cannot be opened.").sentence(source)
        return
    for entry in entries:
        name = f"{source}/{entry.name}"
        if entry.is_symlink():
            yield name, Refusal("is a link, and links are not followed.").sentence(name)
        elif entry.is_dir():
            yield from walk(entry, name)
        elif not ignorable(entry.name):
            yield Member(name, entry)

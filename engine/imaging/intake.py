"""Anything dropped, files, folders and ZIP archives, to studies of images and one sentence for each file that is none.

Nothing raises for what a file holds. Every file is parsed by one warm worker process (:mod:`engine.imaging.reader`);
this module walks, counts, drops duplicates and groups. It does not know which study is compared with which.
"""

from __future__ import annotations

import logging
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from engine.errors import UnreadableFile
from engine.imaging.archives import Member, walk
from engine.imaging.limits import Limits
from engine.imaging.reader import Reader
from engine.imaging.refusal import Refusal
from engine.imaging.sniff import HEAD, Kind, kind_of
from engine.imaging.types import Image, Patient, Study, View

__all__ = ["Found", "Intake", "Problem", "describe", "group", "read", "read_image", "stream"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A dropped file that gave no image: its name as dropped, and one sentence for the user."""

    source: str
    message: str


@dataclass(frozen=True, eq=False)
class Found:
    """An image, and the file that holds its bytes; None for an archive's member that nobody kept."""

    image: Image
    file: Path | None


@dataclass(frozen=True)
class Intake:
    """What a drop gave. ``files`` leads from an image's sha256 to a file with its bytes, where there is one."""

    studies: tuple[Study, ...]
    problems: tuple[Problem, ...]
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


def read(paths: Iterable[Path], limits: Limits | None = None, *, keep: Path | None = None) -> Intake:
    """Read everything dropped. Never raises for bad input.

    Members of archives are gone when this returns, unless ``keep`` names a folder: then each accepted member is kept
    there, named by its sha256, for the caller to store and remove.
    """
    images: list[Image] = []
    problems: list[Problem] = []
    files: dict[str, Path] = {}
    for each in stream(paths, limits, keep=keep):
        if isinstance(each, Problem):
            problems.append(each)
        else:
            images.append(each.image)
            if each.file is not None:
                files[each.image.sha256] = each.file
    return Intake(group(images), tuple(problems), MappingProxyType(files))


def stream(
    paths: Iterable[Path], limits: Limits | None = None, *, keep: Path | None = None
) -> Iterator[Found | Problem]:
    """``read`` as it goes, file by file; stop iterating to cancel."""
    limits = limits or Limits()
    seen: dict[str, str] = {}
    pixels = 0
    with Reader(limits) as reader:
        for n, each in enumerate(_files(paths, reader)):
            if n >= limits.files:
                yield Problem("", f"Only the first {limits.files} files were opened; drop fewer at a time.")
                return
            if isinstance(each, Problem):
                yield each
                continue
            try:
                image = reader.read(each.path, each.source)
            except UnreadableFile as error:
                log.info("file refused: %s", type(error.__cause__).__name__)
                yield Problem(each.source, str(error))
                continue
            if image.sha256 in seen:
                words = f"is the same file as {seen[image.sha256]} and was read once."
                yield Problem(each.source, Refusal(words).sentence(each.source))
                continue
            seen[image.sha256] = image.source
            pixels += image.rows * image.columns
            if pixels > limits.total_pixels:
                yield Problem(each.source, "The images are more than can be held at once; drop fewer at a time.")
                return
            yield Found(image, _kept(each, image, keep))


@dataclass(frozen=True)
class _Unpacked(Member):
    """A member of an archive, whose file goes with the reader."""


def _files(paths: Iterable[Path], reader: Reader) -> Iterator[Member | Problem]:
    """Every file in what was dropped, archives opened, in order."""
    for path in paths:
        name = path.name or str(path)
        try:
            mode = path.stat().st_mode
        except OSError:
            yield Problem(name, Refusal("cannot be found or opened.").sentence(name))
            continue
        if stat.S_ISDIR(mode):
            for each in walk(path, name):
                if isinstance(each, Member):
                    yield from _file(each, reader)
                else:
                    yield Problem(*each)
        else:
            yield from _file(Member(name, path), reader)


def _file(member: Member, reader: Reader) -> Iterator[Member | Problem]:
    try:
        if not stat.S_ISREG(member.path.stat().st_mode):
            yield Problem(member.source, Refusal("is not a file that can be read.").sentence(member.source))
            return
        with member.path.open("rb") as opened:
            kind = kind_of(opened.read(HEAD))
    except OSError:
        yield Problem(member.source, Refusal("cannot be opened.").sentence(member.source))
        return
    if kind is not Kind.ZIP:
        yield member
        return
    try:
        unpacked = reader.unpack(member.path, member.source)
    except UnreadableFile as error:
        yield Problem(member.source, str(error))
        return
    for each in unpacked.members:
        yield _Unpacked(each.source, each.path)
        each.path.unlink(missing_ok=True)
    for source, sentence in unpacked.problems:
        yield Problem(source, sentence)


def _kept(member: Member, image: Image, keep: Path | None) -> Path | None:
    if not isinstance(member, _Unpacked):
        return member.path
    if keep is None:
        return None
    target = keep / image.sha256
    shutil.move(member.path, target)
    return target


def read_image(path: Path, reader: Reader | None = None) -> Image:
    """The image in one file. Raises UnreadableFile with a sentence that names the file.

    A worker process is started for it; give a ``Reader`` to read many files with one worker.
    """
    if reader is not None:
        return reader.read(path)
    with Reader() as own:
        return own.read(path)


def describe(image: Image, *, patient: Patient, acquired: datetime | None, view: View) -> Image:
    """What the user says about a plain picture: who, when and which view. Returns a new image."""
    return replace(
        image,
        patient=patient,
        acquired=acquired,
        acquired_basis="stated by the user" if acquired else "not stated",
        date_reliable=acquired is not None,
        view=view,
        view_basis="stated by the user" if view is not View.UNKNOWN else "not stated",
    )


def group(images: Iterable[Image]) -> tuple[Study, ...]:
    """Images to studies, newest first, undated and unreliably dated last.

    One study is one StudyInstanceUID of one patient. A picture, or a file without a study UID, is a study of its own
    with the uid "sha256:..."; a UID that is used for several patients gets a number behind it for each further one.
    """
    groups: dict[tuple[str, str, str], list[Image]] = {}
    for image in images:
        uid = image.study_uid or f"sha256:{image.sha256}"
        groups.setdefault((uid, image.patient.id, image.patient.issuer), []).append(image)
    studies = []
    patients_of: dict[str, int] = {}
    for (uid, _, _), members in groups.items():
        patients_of[uid] = patients_of.get(uid, 0) + 1
        studies.append(_study(uid if patients_of[uid] == 1 else f"{uid}/{patients_of[uid]}", members))
    return tuple(sorted(studies, key=_when, reverse=True))


def _when(study: Study) -> tuple[bool, datetime]:
    return study.date_reliable, study.acquired or datetime.min


def _study(uid: str, images: list[Image]) -> Study:
    dated = [image for image in images if image.acquired is not None]
    first = min(dated, key=lambda image: image.acquired or datetime.max) if dated else images[0]
    return Study(
        uid=uid,
        patient=images[0].patient,
        acquired=first.acquired,
        date_reliable=first.date_reliable,
        accession=next((image.accession for image in images if image.accession), ""),
        description=next((image.study_description for image in images if image.study_description), ""),
        images=tuple(images),
    )

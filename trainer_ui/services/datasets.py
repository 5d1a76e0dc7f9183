"""The data sets of this machine: folders under ``home()/data``, and files elsewhere that the user has named.

A data file holds samples to train on (JSON or JSON Lines, in Libra's form or in those of LLaMA-Factory) or questions in
Libra's form (JSON Lines). Its rows are counted, not checked: that is what the command ``data validate`` is for. Images
are read by nobody here.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from engine import paths
from engine.errors import InputError, UsageError
from engine.jobs import files, queue
from engine.jobs.job import State
from trainer_ui.services import kept

SUFFIXES = (".json", ".jsonl")
Form = Literal["training", "questions"]
Whole = Literal["whole", "being made", "unfinished"]

_NAME = re.compile(r"[^\W_][\w .-]{0,63}")
_CHUNK = 4 << 20
_HEAD = 256 << 10
_TURNS = (b'"conversations"', b'"messages"', b'"instruction"')
"""Keys that every sample has once: Libra's, and those of LLaMA-Factory's forms."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set: what it is for, how many rows it holds, its bytes, and when it was written.

    ``whole`` is False for a list that does not end: whoever wrote it was stopped.
    """

    path: Path
    form: Form
    rows: int
    whole: bool
    size: int
    written: float


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: shown, and that of its folder if it has one here.
        files: its data files; empty while it is being made, and after that has failed.
        images: the folder that its image paths are relative to.
        made: when the newest file was written, in seconds since 1970; 0 without any.
        state: whether all of it is there, as far as the job that makes it and its files tell.
        own: whether it lies in the data folder; else its files were named by the user.
        missing: files that the user has named and that are gone.
    """

    name: str
    folder: Path
    files: tuple[DataFile, ...]
    images: Path
    made: float
    own: bool
    state: Whole = "whole"
    missing: tuple[str, ...] = ()

    @property
    def training(self) -> int:
        """Samples to train on."""
        return sum(file.rows for file in self.files if file.form == "training")

    @property
    def questions(self) -> int:
        """Questions to be answered."""
        return sum(file.rows for file in self.files if file.form == "questions")


def root() -> Path:
    """Where data sets are made. Not created here."""
    return paths.home() / "data"


def found() -> tuple[DataSet, ...]:
    """All data sets, by name; folders that hold none are left out, but for those whose making has begun."""
    known = kept.read("data")
    sets = {name: data for name, record in known.items() if (data := _named(name, record)) is not None}
    makers = {job.result: job for job in reversed(queue.jobs()) if job.result is not None}  # the latest one counts
    folders = set(root().iterdir()) if root().is_dir() else set()
    for folder in sorted(folders | {place for place, job in makers.items() if job.active and place.parent == root()}):
        maker, files = makers.get(folder), tuple(_files(folder))
        state: Whole = "whole" if all(file.whole for file in files) else "unfinished"
        if maker is not None and maker.state is not State.DONE:
            state = "being made" if maker.active else "unfinished"
        if files or state == "being made":
            images = Path(known.get(folder.name, {}).get("images") or _image_folder(folder))
            sets[folder.name] = DataSet(folder.name, folder, files, images, _newest(files), True, state)
    return tuple(sets[name] for name in sorted(sets, key=str.casefold))


def _image_folder(folder: Path) -> Path:
    """Where the images are of a set that was split by a command: its split.json says it; else beside it."""
    said = (files.read(folder / "split.json") or {}).get("image_folder")
    return folder / said if isinstance(said, str) else folder


def fresh(name: str) -> Path:
    """The folder for a data set that is to be made under this name. Raises UsageError for one that cannot be had."""
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise UsageError("A name begins with a letter or a digit; letters, digits, blanks, - _ and . may follow.")
    folder = root() / name
    taken = {data.name.casefold() for data in found()} | {begun.name.casefold() for begun in _begun()}
    if name.casefold() in taken or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"There is a data set {name} already. Choose another name.")
    return folder


def suggested(base: str) -> str:
    """A name that is free: ``base``, or with a number behind it."""
    taken = {data.name.casefold() for data in found()} | {folder.name.casefold() for folder in _begun()}
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(name for name in names if name.casefold() not in taken)


def remember_images(name: str, images: Path) -> None:
    """A data set that is being made here has its images elsewhere."""
    with kept.changed("data") as content:
        content[name] = {"images": str(images)}


def add(path: Path, images: Path | None = None) -> DataSet:
    """List a data file that lies elsewhere; nothing is copied. Raises InputError for what is none."""
    file = inspect(path)
    if file is None or not file.whole:
        raise InputError(
            f"{path.name} holds neither samples nor questions: a list of samples with conversations (Libra's form) or "
            "messages (LLaMA-Factory's), or one question with its id, image and text a line."
        )
    name = f"{path.parent.name}/{path.name}"
    record = {"files": [str(path)], "images": str(images or path.parent)}
    with kept.changed("data") as content:
        while name in content and content[name].get("files") != record["files"]:
            name += "'"
        content[name] = record
    return DataSet(name, path.parent, (file,), images or path.parent, _newest((file,)), False)


def forget(name: str) -> None:
    """List a file that was named no more; it stays where it is."""
    with kept.changed("data") as content:
        content.pop(name, None)


def discard(name: str) -> None:
    """Delete what there is of a set whose making was stopped. Raises UsageError for any other."""
    data = next((data for data in found() if data.name == name), None)
    if data is None or not data.own or data.state != "unfinished":
        raise UsageError("Only a set that was not finished is deleted here.")
    shutil.rmtree(data.folder)


def inspect(path: Path) -> DataFile | None:
    """The data file at ``path``; None where it holds something else or cannot be read."""
    try:
        status = path.stat()
        form, rows, whole = _looked_at(str(path), status.st_size, status.st_mtime_ns)
    except OSError:
        return None
    return DataFile(path, form, rows, whole, status.st_size, status.st_mtime) if form is not None else None


def _begun() -> set[Path]:
    """Folders in which jobs are making, or are going to make, a data set."""
    return {job.result for job in queue.jobs() if job.active and job.result is not None}


def _named(name: str, record: dict[str, Any]) -> DataSet | None:
    named = [Path(text) for text in record.get("files", [])]
    if not named:
        return None
    files = tuple(file for path in named if (file := inspect(path)) is not None)
    gone = tuple(str(path) for path in named if path not in {file.path for file in files})
    state: Whole = "whole" if all(file.whole for file in files) else "unfinished"
    return DataSet(name, named[0].parent, files, Path(record["images"]), _newest(files), False, state, gone)


def _files(folder: Path) -> list[DataFile]:
    """What lies in a folder, files to train on first."""
    paths = [path for path in folder.iterdir() if path.suffix in SUFFIXES] if folder.is_dir() else []
    files = [file for path in paths if path.is_file() and (file := inspect(path)) is not None]
    return sorted(files, key=lambda file: (file.form != "training", file.path.name))


def _newest(files: tuple[DataFile, ...]) -> float:
    return max((file.written for file in files), default=0.0)


@lru_cache(maxsize=256)
def _looked_at(path: str, size: int, changed: int) -> tuple[Form | None, int, bool]:
    """Form and rows of a file, and whether it is whole; once as long as it stays as it is. Raises OSError."""
    with Path(path).open("rb") as file:
        head = file.read(_HEAD)
        form = _form(path, head)
        if form is None:
            return None, 0, False
        mark = b"\n" if path.endswith(".jsonl") else _mark(head)
        file.seek(0)
        rows, before = 0, b""
        while chunk := file.read(_CHUNK):
            seen = before + chunk
            rows += seen.count(mark)
            before = seen[len(seen) - len(mark) + 1 :]  # too short to hold a mark that was counted
            last = chunk
    if mark == b"\n":
        return form, rows + (not last.endswith(b"\n")), True
    return form, rows, last.rstrip().endswith(b"]")


def _form(path: str, head: bytes) -> Form | None:
    if path.endswith(".jsonl"):
        try:
            row = json.loads(head.split(b"\n", 1)[0])
        except (ValueError, RecursionError):
            return None
        keys = row.keys() if isinstance(row, dict) else set()
        if keys & {turns.decode().strip('"') for turns in _TURNS}:
            return "training"
        return "questions" if {"question_id", "image", "text"} <= keys else None
    return "training" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and _mark(head) else None


def _mark(head: bytes) -> bytes:
    """The key that the rows of a list are counted by: the first there is; b"" where there is none."""
    found = {head.find(turns): turns for turns in _TURNS if turns in head}
    return found[min(found)] if found else b""

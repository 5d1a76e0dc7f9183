"""The models that were merged here, what each is worth, and the making of more: a form becomes a command and a job.

They are folders below ``home()/exports``. A folder without a certificate was merged and never compared, because whoever
was at it was stopped; a folder that is being made shows as what its job says.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Literal

from engine import paths
from engine.errors import NotFound, UsageError
from engine.jobs import queue
from engine.jobs.job import Job, State
from engine.models.promotion import OF_MERGED, content
from trainer_ui.services import certificates
from trainer_ui.services.certificates import Certificate
from trainer_ui.services.jobs import Colour

KIND = "merge"
DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTISATIONS = ("nf4", "int8")

Where = Literal["waiting", "merging", "comparing", "same", "other", "quantised", "broken", "not compared"]

WORDS: dict[Where, tuple[str, Colour]] = {
    "waiting": ("waiting", "gray"),
    "merging": ("being merged", "blue"),
    "comparing": ("being compared", "blue"),
    "same": ("certified: the same model", "green"),
    "other": ("NOT the same model", "red"),
    "quantised": ("quantised: near, not the same", "orange"),
    "broken": ("quantised, and BROKEN", "red"),
    "not compared": ("never compared", "red"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Wanted:
    """What is to be made of an adapter; ``questions`` are the cases it is compared on, None for the usual ones."""

    adapter: Path
    name: str
    dtype: str = "auto"
    quantization: str = "none"
    base: Path | None = None
    questions: Path | None = None
    images: Path | None = None


@dataclass(frozen=True)
class Export:
    """One merged model.

    Attributes:
        where: what it is, or what is being done with it.
        certificate: None where there is none yet.
        base, adapter: the names of what it was made from, "" where it does not say.
        made: seconds since 1970.
        demonstration: made to show the program, not to read radiographs.
    """

    name: str
    path: Path
    where: Where
    certificate: Certificate | None
    base: str
    adapter: str
    made: float
    demonstration: bool

    @property
    def words(self) -> str:
        """Its state in words."""
        return WORDS[self.where][0]

    @property
    def colour(self) -> Colour:
        """Of the badge with the words."""
        return WORDS[self.where][1]

    @property
    def live(self) -> bool:
        """Whether a job is at it."""
        return self.where in ("waiting", "merging", "comparing")

    @property
    def promotable(self) -> bool:
        """Whether it may go to the viewer."""
        return self.where in ("same", "quantised")

    @property
    def when(self) -> str:
        """When it was made, short."""
        return datetime.fromtimestamp(self.made).strftime("%Y-%m-%d %H:%M")


def root() -> Path:
    """Where merged models are put. Not created here."""
    return paths.home() / "exports"


def overview() -> tuple[Export, ...]:
    """All of them, those being made first, then the newest."""
    makers = _makers()
    there = [entry for entry in root().iterdir() if entry.is_dir()] if root().is_dir() else []
    folders = {entry for entry in there if not entry.name.startswith(".") and _is_model(entry)}
    folders |= {folder for folder, job in makers.items() if job.active}
    found = [_export(folder, makers.get(folder)) for folder in folders]
    return tuple(sorted(found, key=lambda one: (not one.live, -one.made, one.name)))


def find(name: str) -> Export:
    """The one of this name. Raises NotFound."""
    found = next((one for one in overview() if one.name == name), None)
    if found is None:
        raise NotFound(f"There is no exported model {name}: it may have been deleted, or could not be made.")
    return found


def suggested(base: str) -> str:
    """A name that no exported model has."""
    return free(base, _taken())


def free(base: str, taken: set[str]) -> str:
    """``base`` as a name that a model may have, with a number behind it where it is ``taken`` (small letters)."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-._")[:48] or "model"
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(name for name in names if name.casefold() not in taken)


def begin(wanted: Wanted) -> Job:
    """Queue a merge with its comparison. Raises UsageError for a name that cannot be had, OSError."""
    name = checked(wanted.name)
    if name.casefold() in _taken():
        raise UsageError(f"There is an exported model {name} already. Choose another name.")
    folder = root() / name
    words = ["merge", "--adapter", str(wanted.adapter), "--output", str(folder), "--name", name]
    words += ["--base", str(wanted.base)] if wanted.base is not None else []
    words += ["--dtype", wanted.dtype] if wanted.dtype != "auto" else []
    words += ["--quantization", wanted.quantization] if wanted.quantization != "none" else []
    words += ["--questions", str(wanted.questions)] if wanted.questions is not None else []
    words += ["--images", str(wanted.images)] if wanted.questions is not None and wanted.images is not None else []
    how = f" in {wanted.quantization}" if wanted.quantization != "none" else ""
    return queue.add(KIND, f"Merge {name}{how} and compare", words, folder)


def checked(name: str) -> str:
    """A name that a model may have. Raises UsageError for any other."""
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError("A name begins with a letter or a digit; letters, digits, - _ and . may follow, no blanks.")
    return name


def discard(name: str) -> None:
    """Delete a merged model for good; what it was made from stays. Raises NotFound, UsageError."""
    one = find(name)
    if one.live:
        raise UsageError(f"{name} is being made. Stop its job first.")
    links = _links(one.path)
    if links:
        raise UsageError(f"The viewer uses it as {links[0]}. Take that back first.")
    gone = one.path.with_name(f".deleted-{time.time_ns()}")  # out of sight first: no half of it is ever shown
    one.path.rename(gone)
    shutil.rmtree(gone)


def _export(folder: Path, job: Job | None) -> Export:
    record, certificate = content(folder / "interval.json"), certificates.read(folder)
    merged = record.get(OF_MERGED)
    said = merged if isinstance(merged, Mapping) else {}
    return Export(
        name=folder.name,
        path=folder,
        where=_where(job, certificate),
        certificate=certificate,
        base=Path(str(said.get("base") or "")).name,
        adapter=str(said.get("adapter") or ""),
        made=_made(folder, job),
        demonstration=record.get("demonstration") is True,
    )


def _where(job: Job | None, certificate: Certificate | None) -> Where:
    if job is not None and job.active:
        if job.state is State.QUEUED:
            return "waiting"
        told = job.progress
        return "comparing" if told is not None and told.words == "cases compared" else "merging"
    return certificate.verdict if certificate is not None else "not compared"


def _made(folder: Path, job: Job | None) -> float:
    try:
        return (folder / "config.json").stat().st_mtime
    except OSError:
        return job.made if job is not None else 0.0


def _makers() -> dict[Path, Job]:
    """The latest job of each folder."""
    found: dict[Path, Job] = {}
    for job in queue.jobs():
        if job.kind == KIND and job.result is not None and job.result.parent == root():
            known = found.get(job.result)
            if known is None or (job.active, job.made) > (known.active, known.made):
                found[job.result] = job
    return found


def _taken() -> set[str]:
    there = {entry.name for entry in root().iterdir() if any(entry.iterdir())} if root().is_dir() else set()
    return {name.casefold() for name in there | {folder.name for folder, job in _makers().items() if job.active}}


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _links(folder: Path) -> list[str]:
    """The installed models whose files are links into ``folder``."""
    installed = paths.models()
    linked = [entry for entry in installed.rglob("*") if entry.is_symlink()] if installed.is_dir() else []
    inside = [entry for entry in linked if entry.resolve().is_relative_to(folder.resolve())]
    return [entry.relative_to(installed).parts[0] for entry in inside]

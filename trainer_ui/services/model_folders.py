"""What lies in the folder of a model or an adapter: its files with their hashes, its card, the licences of its parts.

Told by small files alone, at once and without torch. Hashes of weights are those that were recorded when the folder was
written; small files without one are hashed here. Nothing of a card or a licence is judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.models import catalogue
from engine.models.promotion import content
from trainer_ui.services import answering_models

HASHED = 64_000_000
"""Bytes of a file without a recorded hash that is hashed here."""

MOST_FILES, MOST_CARD = 200, 400_000
UNSTATED = "not stated: its model card says it"


@dataclass(frozen=True)
class File:
    """One file: its path within the folder, its bytes, its sha256 or "" where none is known."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Licence:
    """Of one part: what the part is, what it is called, under which terms, and where that is said."""

    part: str
    name: str
    terms: str
    said: str


def files(folder: Path) -> tuple[File, ...]:
    """The folder's files and those of the folders in it, weights first."""
    recorded = _recorded(folder)
    found = []
    for file in sorted(_inside(folder))[:MOST_FILES]:
        name, status = file.relative_to(folder).as_posix(), file.stat()
        known = recorded.get(name, "")
        if not known and status.st_size <= HASHED:
            known = _digest(str(file), status.st_size, status.st_mtime_ns)
        found.append(File(name, status.st_size, known))
    return tuple(sorted(found, key=lambda one: (one.name not in recorded, "/" in one.name, one.name)))


def made_for(folder: Path) -> tuple[File, ...]:
    """The files of the base that an adapter was made for, as far as that was recorded; their sizes are not known."""
    said = content(folder / "interval.json").get("base_sha256")
    known = said.items() if isinstance(said, Mapping) else ()
    return tuple(File(str(name), 0, str(value)) for name, value in known)


def called(folder: Path) -> str:
    """What a model or an adapter calls itself; its folder's name where it does not."""
    name = content(folder / "interval.json").get("name")
    return name if isinstance(name, str) and name else folder.name


def card(folder: Path) -> str:
    """The model card, "" where there is none."""
    try:
        return (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:MOST_CARD]
    except OSError:
        return ""


def licences(folder: Path) -> tuple[Licence, ...]:
    """Those of the model, of what it was made from, and of the parts of that, as far as anything here says them.

    Raises UsageError for a folder that holds neither a model nor an adapter.
    """
    own = content(folder / "interval.json")
    found = [Licence("the model itself", called(folder), *_stated(own))]
    model = answering_models.at(folder)
    below = model.base_path
    if model.base:
        record = content(below / "interval.json") if below is not None else {}
        published = _published(record, content((below or folder) / "config.json"))
        stated = _stated(record)
        if stated[0] == UNSTATED and published is not None and published.license:
            stated = _terms(published), "the catalogue of published models"
        found.append(Licence("its base", model.base, *stated))
    else:
        published = _published(own, content(folder / "config.json"))
    if published is not None:
        found += _parts(published)
    return tuple(found)


def _parts(published: catalogue.Published) -> Iterator[Licence]:
    named = [("language model", published.language_model)] if published.language_model else []
    for what, hub_id in (*named, *(("vision tower", tower) for tower in published.towers)):
        known = catalogue.entry(hub_id)
        terms = _terms(known) if known is not None else UNSTATED
        yield Licence(what, hub_id, terms, "the catalogue of published models" if known is not None else "")
    if published.notes:
        yield Licence("note", published.name, published.notes, "the catalogue of published models")


def _published(record: Mapping[str, Any], config: Mapping[str, Any]) -> catalogue.Published | None:
    source = record.get("source")
    return (catalogue.entry(source) if isinstance(source, str) else None) or catalogue.identify(config)


def _terms(one: catalogue.Published) -> str:
    known = [one.license or UNSTATED] + (["research only"] if one.research_only else [])
    return ", ".join(known)


def _stated(record: Mapping[str, Any]) -> tuple[str, str]:
    license = record.get("license")
    return (license, "interval.json") if isinstance(license, str) and license else (UNSTATED, "")


def _recorded(folder: Path) -> dict[str, str]:
    said = content(folder / "interval.json").get("sha256")
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, Mapping) else {}


def _inside(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            yield from (one for one in entry.iterdir() if one.is_file() and not one.name.startswith("."))


@lru_cache(maxsize=512)
def _digest(file: str, size: int, changed: int) -> str:
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

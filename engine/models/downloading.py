"""Fetch a published model with the vision tower it needs, when asked to and never by itself.

Configuration, tokenizer and weights are fetched, never code; weights in one format, safetensors where there are any.
Each weight file is compared with the hash the hub has of it.

What arrives lies in ``models/.unfinished`` until all of it is there. A call that ends early leaves it there, and the
next one goes on from it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import ModelError, UsageError
from engine.models import catalogue, contents, hub, installed, places, provenance, recognition
from engine.models.catalogue import Published
from engine.models.hub import Repository
from engine.models.survey import Survey, survey

_HUB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """One repository that was fetched: how it looks where it lies, which commit, how many files, how many bytes."""

    hub_id: str
    found: Survey
    revision: str
    files: int
    size: int


@dataclass(frozen=True)
class Download:
    """What a call fetched, the model first, and the folders of what was here before."""

    fetched: tuple[Fetched, ...]
    here: tuple[Path, ...]


def download(
    hub_id: str,
    *,
    revision: str = "",
    name: str = "",
    only: bool = False,
    report: Report = lambda line: None,
    bars: bool = False,
) -> Download:
    """Fetch a model and what it needs; what is here already is not fetched again.

    Args:
        hub_id: OWNER/NAME.
        revision: a branch, tag or commit, instead of the newest one.
        name: its name in ``models/``.
        only: leave out what it needs.
        report: is given a line for each file.
        bars: show huggingface-hub's progress bars on standard error.

    Raises:
        UsageError: no hub id, or a name that is taken.
        ModelError: the hub has no such model or cannot be reached, or nothing there can be used.
        ResourceError: it does not fit on the disk; no weights were fetched.
        Cancelled: stopped by the user.
    """
    if _HUB_ID.fullmatch(hub_id) is None:
        raise UsageError(f"{hub_id!r} is not the name of a model on the hub: OWNER/NAME, as in microsoft/rad-dino.")
    known = catalogue.entry(hub_id)
    if known is not None and known.unsupported:
        raise ModelError(f"{known.name} cannot be used here: {known.unsupported}.")
    fetched: list[Fetched] = []
    here: list[Path] = []

    def get(wanted: str, revision: str, name: str) -> Path:
        folder = _here(wanted)
        if folder is None:
            fetched.append(_fetch(Repository.open(wanted, revision), name, report))
            return fetched[-1].found.path
        there = provenance.read(folder).get("revision")
        if revision and revision != there:
            raise UsageError(
                f"{wanted} is installed already, at revision {there}. Remove it first to have another one."
            )
        here.append(folder)
        return folder

    with hub.online(bars=bars), hub.explained(hub_id):
        model = get(hub_id, revision, name)
        for tower in () if only else needs(model, known):
            at_hand = places.find(tower, model)
            if at_hand is None:
                get(tower, "", "")
            else:
                here.append(at_hand)
    # Looked at once more: what the model needed may have come after it.
    return Download(tuple(replace(one, found=survey(one.found.path)) for one in fetched), tuple(here))


def needs(folder: Path, known: Published | None) -> tuple[str, ...]:
    """Hub ids of the vision towers a model needs: as its configuration names them, else as the catalogue says."""
    named = _json(folder / "config.json").get("mm_vision_tower")
    if isinstance(named, str) and _HUB_ID.fullmatch(named) and not (folder / named).is_dir():
        return (named,)
    return known.towers if known is not None and not isinstance(named, str) else ()


def _here(hub_id: str) -> Path | None:
    sources = ((folder, provenance.read(folder).get("source")) for folder in installed.folders())
    return next((folder for folder, source in sources if str(source).lower() == hub_id.lower()), None)


def _fetch(repository: Repository, name: str, report: Report) -> Fetched:
    hub_id, files = repository.hub_id, repository.files
    partial = _partial(repository)
    small = sorted(file for file in files if contents.is_small_file(file))
    report(f"{hub_id}: {len(small)} small files")
    for file in small:
        repository.get(file, partial)
    kind = contents.kind(partial)
    _refuse_unsupported(hub_id, partial, kind)
    is_part = kind in (contents.TOWER, contents.LANGUAGE_MODEL)
    folder = installed.named(name or (hub_id if is_part else hub_id.rpartition("/")[2]))
    weights = contents.weight_files(files, lambda index: _shards(repository.get(index, partial), files))
    if not weights:
        raise ModelError(f"{hub_id} holds no weights in the format of safetensors or PyTorch.")
    installed.need_space(max(0, sum(files[file].size for file in weights) - _bytes_in(partial)))
    sha256 = {}
    for number, file in enumerate(weights, 1):
        report(f"{hub_id}: {file}, {files[file].size / 1e6:,.1f} MB ({number} of {len(weights)})")
        got = repository.get(file, partial)
        if not file.endswith(".json"):
            sha256[file] = _checked(got, files[file].sha256)
    known = catalogue.entry(hub_id)
    size = _bytes_in(partial)
    provenance.write(
        partial,
        provenance.read(partial),
        source=hub_id,
        revision=repository.commit,
        license=repository.license,
        conversation=known.conversation if known is not None else "",
        sha256=sha256,
    )
    installed.put_in_place(partial, folder)
    return Fetched(hub_id, survey(folder), repository.commit, len(small) + len(weights), size)


def _partial(repository: Repository) -> Path:
    """The folder in which a repository arrives at one commit; those of its other commits are swept."""
    stem = f"{repository.hub_id.replace('/', '--')}."
    partial = installed.unfinished(f"{stem}{repository.commit[:12]}.download")
    for other in partial.parent.iterdir():
        if other != partial and other.name.startswith(stem) and other.name.endswith(".download"):
            shutil.rmtree(other, ignore_errors=True)
    return partial


def _refuse_unsupported(hub_id: str, partial: Path, kind: str) -> None:
    """Raise ModelError before the weights are fetched where the configuration says that they could not be used."""
    if not kind:
        raise ModelError(f"{hub_id} holds no model: it has neither config.json nor adapter_config.json.")
    if kind != contents.MODEL:
        return
    found = recognition.examine(partial)
    if not found.family:
        raise ModelError(f"{hub_id} cannot be used: {found.problems[0]}.", problems=found.problems)


def _shards(index: Path, files: Mapping[str, Any]) -> list[str]:
    where = _json(index).get("weight_map")
    listed = sorted({str(file) for file in where.values()}) if isinstance(where, dict) else []
    absent = [file for file in listed if file not in files or "/" in file]
    if absent or not listed:
        raise ModelError(f"{index.name} of this model names files that it does not have.")
    return listed


def _checked(file: Path, expected: str) -> str:
    """The file's hash. Raises ModelError, and removes the file, if the hub has another one of it."""
    digest = provenance.digest(file, lambda size: None)
    if expected and digest != expected:
        file.unlink()
        raise ModelError(f"{file.name} arrived damaged. Run the same command again to fetch it anew.")
    return digest


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

"""The data set that is open on the data page, and which of its files: what an address names, made sure of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import NotFound
from trainer_ui.services import datasets
from trainer_ui.services.datasets import DataFile, DataSet


@dataclass(frozen=True)
class Opened:
    """One file of a data set."""

    data: DataSet
    file: DataFile

    @property
    def images(self) -> Path:
        """The folder that image paths are relative to."""
        return self.data.images

    @property
    def name(self) -> str:
        """Of set and file, for a title."""
        return name_of(self.data, self.file)


def name_of(data: DataSet, file: DataFile) -> str:
    """What a file is called among those of all sets."""
    return data.name if data.name.endswith(f"/{file.path.name}") else f"{data.name}/{file.path.name}"


def data_set(name: str) -> DataSet:
    """The data set of this name. Raises NotFound, also for one that has no file to look at."""
    data = next((data for data in datasets.found() if data.name == name), None)
    if data is None:
        raise NotFound(f"There is no data set {name}: it may have been moved or taken off the list.")
    if not data.files:
        why = "It is being made: wait for its job." if data.state == "being made" else "Its files are gone."
        raise NotFound(f"There is nothing to look at in {name} yet. {why}")
    return data


def opened(name: str, file: str = "") -> Opened:
    """A file of a data set by the names in the address, its first one without. Raises NotFound."""
    data = data_set(name)
    return Opened(data, next((each for each in data.files if each.path.name == file), data.files[0]))


def others(one: Opened) -> tuple[Opened, ...]:
    """Every other file of every data set: those of the same set first."""
    found = [Opened(data, file) for data in datasets.found() for file in data.files if file.path != one.file.path]
    return tuple(sorted(found, key=lambda other: other.data.name != one.data.name))

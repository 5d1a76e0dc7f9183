"""Models that a run may start from: installed ones that can be trained, and full models that earlier runs have made.

Those in Libra's format are trained here, Qwen2-VL and LLaVA through LLaMA-Factory.

Told by their configuration alone, at once and without torch; whether one can really be read, the check of a recipe
says. Adapters are left out: they are merged first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.jobs import files
from engine.training import run_folder

_CONFIG, _ADAPTER, _OURS = "config.json", "adapter_config.json", "interval.json"
_KEYS = ("mm_vision_tower", "mm_projector_type")
"""One of them is in the configuration of every model in Libra's format."""


_FACTORYS = ("qwen2_vl", "qwen2_5_vl", "llava")
"""What configurations of the models that LLaMA-Factory trains say of their type."""


@dataclass(frozen=True)
class StartModel:
    """A model: its folder, what it is called, and what is to be known of it."""

    path: Path
    name: str
    note: str = ""

    @property
    def words(self) -> str:
        """For a list to choose from."""
        return f"{self.name} ({self.note})" if self.note else self.name


def found() -> tuple[StartModel, ...]:
    """All of them: the installed ones by name, then those of runs, the newest first."""
    installed = sorted(_installed(), key=lambda model: model.name.casefold())
    made = [
        StartModel(run.model, run.name, "of a run") for run in run_folder.folders() if _is_model(run.model)
    ]  # fmt: skip
    return (*installed, *made)


def is_factorys(folder: Path) -> bool:
    """Whether a model is one that LLaMA-Factory trains."""
    config = files.read(folder / _CONFIG) or {}
    return config.get("model_type") in _FACTORYS and not _in_libras_format(config)


def _installed() -> Iterator[StartModel]:
    root = paths.models()
    for folder in _folders(root):
        for place in (folder,) if (folder / _CONFIG).is_file() else tuple(_folders(folder)):
            if _is_model(place):
                ours = files.read(place / _OURS) or {}
                note = "demonstration: knows nothing of patients" if ours.get("demonstration") else ""
                note = note or ("through LLaMA-Factory" if is_factorys(place) else "")
                yield StartModel(place, place.relative_to(root).as_posix(), note)


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (entry for entry in sorted(place.iterdir()) if entry.is_dir() and not entry.name.startswith("."))


def _is_model(folder: Path) -> bool:
    config = files.read(folder / _CONFIG) or {}
    return not (folder / _ADAPTER).is_file() and (_in_libras_format(config) or is_factorys(folder))


def _in_libras_format(config: Mapping[str, Any]) -> bool:
    return any(config.get(key) for key in _KEYS)

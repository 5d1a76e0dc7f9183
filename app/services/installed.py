"""Which folders of ``models/`` can draft: models, and adapters and projectors whose base is on this machine.

Told by names of files and small configurations alone, so that nothing of torch is needed; whether a folder is sound,
the engine says when it loads it. The names are those of engine.models (weights, recognition, adapters), whose modules
read tensors and take torch along.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.models import languages, places, record
from engine.reports.language import LANGUAGES

WEIGHTS = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
PROJECTOR_FILES = ("mm_projector.bin", "mm_projector.safetensors", "mm_tac_projector.bin")
CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
LANGUAGE_MODELS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3")
TOWERS = ("dinov2", "clip_vision_model", "siglip_vision_model", "clip", "siglip")
"""``model_type`` of what only serves other models."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be chosen: its label and its folder as text."""

    label: str
    path: str


def installed(extra: Path | None) -> tuple[ModelChoice, ...]:
    """What lies in ``models/`` by name, whole models first; ``extra`` (from the command line) before all of them."""
    folder = paths.models()
    found = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    whole = [entry for entry in found if is_whole(entry) and _drafts(entry)]
    parts = [entry for entry in found if not is_whole(entry) and base(entry) is not None]
    every = [*whole, *parts]
    if extra is not None:
        extra = extra.expanduser().resolve()
        every = [extra, *(entry for entry in every if entry.resolve() != extra)]
    return tuple(ModelChoice(_label(entry), str(entry)) for entry in every)


def is_whole(folder: Path) -> bool:
    """Whether the folder is neither an adapter's nor a projector's."""
    part = (folder / ADAPTER_CONFIG).is_file() or is_projector(folder)
    return _has_weights(folder) or not part


def is_projector(folder: Path) -> bool:
    """Whether the folder holds a projector for a language model that lies elsewhere."""
    if (folder / ADAPTER_CONFIG).is_file() or _has_weights(folder):
        return False
    return (folder / CONFIG).is_file() and any((folder / name).is_file() for name in PROJECTOR_FILES)


def base(folder: Path) -> Path | None:
    """Where the model lies that an adapter or a projector was trained on; None where it is not on this machine."""
    if is_projector(folder):
        # Its configuration is that of the model it was trained on, which transformers names there.
        name = _read(folder / CONFIG).get("_name_or_path")
    else:
        name = _read(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    return places.find(name, folder) if isinstance(name, str) and name else None


def is_demonstration(folder: Path) -> bool:
    """Whether what lies in the folder, or its base, says that it is made to show the program only."""
    below = None if is_whole(folder) else base(folder)
    return record.read([folder, *([below] if below is not None else [])], []).demonstration


def written(folder: Path) -> tuple[str, ...]:
    """The languages in which the model in the folder writes reports, of LANGUAGES: "en", "zh", "en+zh"."""
    below = None if is_whole(folder) else base(folder)
    places_of = [folder, *([below] if below is not None else [])]
    kinds = (str(_read(place / CONFIG).get("model_type", "")) for place in places_of)
    family = next((languages.FAMILIES[kind] for kind in kinds if kind in languages.FAMILIES), "")
    known = languages.of(record.read(places_of, []), family)
    return tuple(language for language in LANGUAGES if languages.writes(known, language))


def stamp(path: str) -> Stamp:
    """What tells one model from another that takes its place: the folder itself, and the files that say what it is.

    Whether weights are still those that were loaded, the engine's own process finds out.
    """
    found: list[tuple[str, int, int]] = []
    for name in ("", "interval.json", "config.json", "adapter_config.json"):
        try:
            stat = (Path(path) / name).stat()
        except OSError:
            continue
        found.append((name, stat.st_ino, stat.st_mtime_ns if name else 0))
    return tuple(found)


def _label(folder: Path) -> str:
    """The folder's name; of an adapter or a projector, with what it sits on."""
    below = None if is_whole(folder) else base(folder)
    return folder.name if below is None else f"{folder.name} on {below.name}"


def _drafts(folder: Path) -> bool:
    """Whether the folder looks like a model that reads images and writes; a part of one beside it does not."""
    config = _read(folder / CONFIG)
    kind = str(config.get("model_type", ""))
    if kind in LANGUAGE_MODELS:
        return bool(config.get("mm_vision_tower"))  # some models in Libra's format keep their language model's type
    return bool(config) and kind not in TOWERS


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in WEIGHTS)


def _read(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

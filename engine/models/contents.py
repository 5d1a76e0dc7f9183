"""Which files make a model, an adapter, a projector or a vision tower: in a folder here, or in a list of names.

Everything else that lies beside them (code, checkpoints of the training, other formats of the same weights) is left
alone: it is neither copied nor downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from engine.models import adapters, language, towers
from engine.models.libra import CONNECTOR
from engine.models.recognition import PROJECTOR_FILES
from engine.models.weights import LAYOUTS, Weights, look, look_at

MODEL, ADAPTER, PROJECTOR = "model", "adapter", "projector"
TOWER, LANGUAGE_MODEL = "vision tower", "language model"
"""Kinds of folders; "" is none of them."""

SMALL_FILES = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "chat_template.json", "chat_template.jinja", "adapter_config.json",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "interval.json", "training.json", "figures.json", "certificate.json", "evaluation.json",
)  # fmt: skip
"""Configuration and tokenizer, in transformers' names and ours."""

DOCUMENT = re.compile(r"(README|LICEN[SC]E|NOTICE|USE_POLICY)(\.(md|txt))?", re.IGNORECASE)
"""What says where a model comes from and under which terms."""


def kind(folder: Path) -> str:
    """Which of the kinds a folder is by its configuration and the names of its files and tensors."""
    config = _config(folder)
    full = any((folder / name).is_file() for name in LAYOUTS)
    if adapters.is_adapter(folder) and not full:
        return ADAPTER
    if config is None:
        return ""
    if str(config.get("model_type")) in (*towers.KINDS, *towers.WHOLE):
        return TOWER
    if not full and any((folder / name).is_file() for name in PROJECTOR_FILES):
        return PROJECTOR
    if _is_plain_language_model(config) and not any(name.startswith(CONNECTOR) for name in look(folder).entries):
        return LANGUAGE_MODEL
    return MODEL


def weights(folder: Path) -> list[Weights]:
    """The weights that lie in a folder itself, by their headers: a model's, an adapter's or a projector's."""
    if kind(folder) == ADAPTER:
        names = [next((name for name in adapters.FILES if (folder / name).is_file()), adapters.FILES[0])]
        names += [adapters.TRAINED_BESIDE] if (folder / adapters.TRAINED_BESIDE).is_file() else []
        return [look_at(folder / name) for name in names]
    if kind(folder) == PROJECTOR:
        return [look_at(next(folder / name for name in PROJECTOR_FILES if (folder / name).is_file()))]
    found = look(folder)
    inner = _inner_tower(folder)
    return [found] if inner is None else [found, look(inner)]


def files(folder: Path) -> list[str]:
    """What belongs to the model in a folder, as paths relative to it: small files first, then weights."""
    inner = _inner_tower(folder)
    small = []
    for place in (folder, inner) if inner else (folder,):
        entries = sorted(entry.name for entry in place.iterdir() if entry.is_file())
        small += [(place / name).relative_to(folder).as_posix() for name in entries if is_small_file(name)]
        small += [(place / name).relative_to(folder).as_posix() for name in LAYOUTS if _is_index(place / name)][:1]
    large = [file.relative_to(folder).as_posix() for part in weights(folder) for file in part.files if file.is_file()]
    return list(dict.fromkeys([*small, *large]))


def is_small_file(name: str) -> bool:
    """Whether a file of this name belongs to a model beside its weights."""
    return name in SMALL_FILES or DOCUMENT.fullmatch(name) is not None


def weight_files(names: Collection[str], shards: Callable[[str], list[str]]) -> list[str]:
    """Which of a repository's files hold its weights, in one format: safetensors where there are any.

    Args:
        names: its files.
        shards: reads an index file and gives the names of the files it lists.
    """
    layout = next((name for name in LAYOUTS if name in names), None)
    if layout is not None:
        return [layout, *shards(layout)] if layout.endswith(".index.json") else [layout]
    adapter = next((name for name in adapters.FILES if name in names), None)
    if adapter is not None:
        return [adapter, *([adapters.TRAINED_BESIDE] if adapters.TRAINED_BESIDE in names else [])]
    projector = next((name for name in PROJECTOR_FILES if name in names), None)
    return [projector] if projector is not None else []


def _is_plain_language_model(config: dict[str, Any]) -> bool:
    classes = [model for _, model in language.CLASSES.values()]
    return language.architecture(config) in classes or str(config.get("model_type")) in language.CLASSES


def _is_index(file: Path) -> bool:
    return file.name.endswith(".index.json") and file.is_file()


def _inner_tower(folder: Path) -> Path | None:
    """The vision tower inside a model's own folder, where our trainer puts it."""
    config = _config(folder)
    name = str((config or {}).get("mm_vision_tower") or "")
    inner = folder / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or not (inner / "config.json").is_file():
        return None
    return inner


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

"""The vision tower a checkpoint names: where it is on this machine and what it is.

Only DINOv2 towers are supported so far. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import ModelError
from engine.models.preprocessing import ImageProcessor, Padding
from engine.models.tac import LAYERS
from engine.models.weights import Weights, look

PROJECTION = "embeddings.patch_embeddings.projection.weight"


@dataclass(frozen=True)
class Tower:
    """A tower's folder, its configuration, how pictures are prepared for it, its weights, and what is wrong."""

    folder: Path
    config: Mapping[str, Any]
    processor: ImageProcessor | None
    weights: Weights
    problems: tuple[str, ...]


def find(name: str, model: Path, override: str | Path | None = None) -> Path:
    """The folder of the tower ``name`` that the checkpoint in the folder ``model`` names.

    In this order: ``override``; inside the model folder; ``name`` as a path; the same relative path beside the model
    folder or one level up; under ``models/``; the hub's cache. Raises ModelError that says what to add.
    """
    if override is not None:
        folder = Path(override).expanduser()
        if not is_model(folder):
            raise ModelError(f"There is no vision tower in {override}: a folder with a config.json is needed.")
        return folder
    if not name:
        raise ModelError("The model's config.json names no vision tower; name one with --tower.")
    model = model.resolve()
    candidates = [model / name, Path(name), model.parent / name, model.parent.parent / name, paths.models() / name]
    for folder in candidates:
        if is_model(folder):
            return folder
    cached = _in_hub_cache(name)
    if cached is None:
        raise ModelError(
            f"The model needs the vision tower {name}, which is not on this machine. "
            f"Put its folder at {paths.models() / name} or name it with --tower."
        )
    return cached


def examine(folder: Path, padding: Padding) -> Tower:
    """What lies in a tower's folder by its headers; never raises for what the files hold."""
    problems: list[str] = []
    config = _read_json(folder / "config.json", problems) or {}
    preprocessor = _read_json(folder / "preprocessor_config.json", problems)
    processor = None
    if preprocessor is not None:
        try:
            processor = ImageProcessor.from_config(preprocessor, padding)
        except ModelError as error:
            problems.append(str(error))
    kind = config.get("model_type")
    if config and kind != "dinov2":
        problems.append(f"vision towers of the kind {kind!r} are not supported yet; DINOv2 is")
        return Tower(folder, config, processor, Weights(), tuple(problems))
    weights = look(folder)
    problems.extend(f"vision tower: {problem}" for problem in weights.problems)
    if config and weights.entries:
        problems.extend(_contradictions(config, weights))
    return Tower(folder, config, processor, weights, tuple(problems))


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model's configuration."""
    return (folder / "config.json").is_file()


def _contradictions(config: Mapping[str, Any], weights: Weights) -> list[str]:
    width, patch, blocks = config.get("hidden_size"), config.get("patch_size"), config.get("num_hidden_layers")
    problems = []
    if blocks != LAYERS:
        problems.append(f"vision tower: TAC needs {LAYERS} blocks, config.json says {blocks}")
    entry = weights.entries.get(PROJECTION)
    if entry is None:
        problems.append("vision tower: the weights are not those of a Dinov2Model")
    elif entry.shape != (width, config.get("num_channels", 3), patch, patch):
        problems.append(f"vision tower: {PROJECTION} has the shape {list(entry.shape)}, against config.json")
    held = {name.split(".")[2] for name in weights.entries if name.startswith("encoder.layer.")}
    if entry is not None and len(held) != blocks:
        problems.append(f"vision tower: the weights hold {len(held)} blocks, config.json says {blocks}")
    return problems


def _read_json(file: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, dict):
            return content
    except FileNotFoundError:
        problems.append(f"vision tower: {file.name} is missing")
        return None
    except (OSError, ValueError, RecursionError):
        pass
    problems.append(f"vision tower: {file.name} is damaged")
    return None


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # a path, not a repository's name
        return None
    return Path(cached).parent if isinstance(cached, str) else None

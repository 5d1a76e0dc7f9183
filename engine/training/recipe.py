"""A training recipe: a YAML file parsed once, at the border, into frozen dataclasses.

An object of these classes is valid: unknown keys, missing files and impossible numbers are refused while reading, all
of them at once, so that a run of hours never ends over a spelling mistake. Paths in a recipe are relative to the
folder the command is started in. This module reads text; it loads neither images nor weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from engine.errors import UsageError

PARTS = ("vision_tower", "connector", "language_model")
OPTIMISERS = ("adamw", "muon")


@dataclass(frozen=True, slots=True)
class NewModel:
    """Shapes of a model that starts from random weights; the keys are transformers' own configuration names."""

    vision_tower: dict[str, Any]
    language_model: dict[str, Any]
    vocabulary: int = 1024


@dataclass(frozen=True, slots=True)
class AuxiliaryWeights:
    """Weights of the losses that only training data with truth files can give; 0 switches one off.

    ``findings``: size band of every finding, from the strongest patches. ``regions``: where it is, patch by patch.
    ``change``: what happened to it since the prior, from the connector's output.
    """

    findings: float = 0.0
    regions: float = 0.0
    change: float = 0.0

    @property
    def any(self) -> bool:
        return bool(self.findings or self.regions or self.change)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: which parts learn, from what, for how long. Parts that are not named stay frozen."""

    name: str
    train: tuple[str, ...]
    epochs: float
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.03
    optimiser: str = "adamw"
    text: bool = True
    auxiliary: AuxiliaryWeights = field(default_factory=AuxiliaryWeights)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a run depends on. ``start`` is a model folder to continue from, or None with ``new`` given.

    ``demonstration`` marks a model that shows the program and is not for reading radiographs; so is all it drafts.
    """

    name: str
    output: Path
    samples: tuple[Path, ...]
    truth: tuple[Path, ...]
    conversation: str
    stages: tuple[Stage, ...]
    start: Path | None = None
    new: NewModel | None = None
    seed: int = 0
    max_length: int = 2048
    threads: int | None = None
    license: str = ""
    demonstration: bool = False


def read_recipe(path: Path) -> Recipe:
    """Parse and validate ``path``.

    Raises:
        UsageError: the file cannot be read or breaks the format; the message lists every fault.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"The recipe {path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"The recipe {path} must be a YAML mapping of settings.")
    faults: list[str] = []
    recipe = _recipe(document, faults)
    if faults or recipe is None:
        raise UsageError(f"The recipe {path} cannot be used: " + "; ".join(faults) + ".")
    return recipe


def _recipe(document: dict[str, Any], faults: list[str]) -> Recipe | None:
    _unknown(document, {f.name for f in fields(Recipe)}, "the recipe", faults)
    for key in ("name", "output", "samples", "conversation", "stages"):
        if key not in document:
            faults.append(f"'{key}' is missing")
    samples = _files(document.get("samples", []), faults)
    truth = _files(document.get("truth", []), faults)
    start = Path(document["start"]) if document.get("start") else None
    new = _new_model(document["new"], faults) if document.get("new") else None
    if (start is None) == (new is None):
        faults.append("give exactly one of 'start' (a model folder) and 'new' (the shapes of a new model)")
    stages = tuple(_stage(item, number, faults) for number, item in enumerate(document.get("stages") or [], 1))
    if not stages:
        faults.append("'stages' is empty")
    if any(stage is not None and stage.auxiliary.any for stage in stages) and not truth:
        faults.append("auxiliary losses need 'truth' files")
    for key in ("seed", "max_length", "threads"):
        if document.get(key) is not None and not isinstance(document[key], int):
            faults.append(f"'{key}' must be a whole number")
    for key, kind in (("license", str), ("demonstration", bool)):
        if key in document and not isinstance(document[key], kind):
            faults.append(f"'{key}' must be {'a text' if kind is str else 'true or false'}")
    if faults:
        return None
    keys = ("seed", "max_length", "threads", "license", "demonstration")
    optional = {key: document[key] for key in keys if document.get(key) is not None}
    return Recipe(
        name=str(document["name"]),
        output=Path(document["output"]),
        samples=samples,
        truth=truth,
        conversation=str(document["conversation"]),
        stages=tuple(stage for stage in stages if stage is not None),
        start=start,
        new=new,
        **optional,
    )


def _stage(item: Any, number: int, faults: list[str]) -> Stage | None:
    where = f"stage {number}"
    if not isinstance(item, dict):
        faults.append(f"{where} must be a mapping")
        return None
    before = len(faults)
    _unknown(item, {f.name for f in fields(Stage)}, where, faults)
    missing = [key for key in ("name", "train", "epochs", "batch_size", "learning_rate") if key not in item]
    faults.extend(f"{where}: '{key}' is missing" for key in missing)
    parts = item.get("train", [])
    wrong = [part for part in parts if part not in PARTS] if isinstance(parts, list) else [parts]
    if wrong or not parts:
        faults.append(f"{where}: 'train' must name some of {', '.join(PARTS)}")
    for key in ("epochs", "learning_rate", "batch_size"):
        if key in item and not (_number(item[key]) and item[key] > 0):
            faults.append(f"{where}: '{key}' must be a number above 0")
    for key in ("weight_decay", "warmup"):
        if key in item and not (_number(item[key]) and 0 <= item[key] < 1):
            faults.append(f"{where}: '{key}' must lie between 0 and 1")
    if item.get("optimiser", OPTIMISERS[0]) not in OPTIMISERS:
        faults.append(f"{where}: 'optimiser' must be one of {', '.join(OPTIMISERS)}")
    weights = item.get("auxiliary") or {}
    if not isinstance(weights, dict) or not all(_number(value) and value >= 0 for value in weights.values()):
        faults.append(f"{where}: 'auxiliary' must map losses to weights of 0 or more")
    else:
        _unknown(weights, {f.name for f in fields(AuxiliaryWeights)}, f"{where}, 'auxiliary'", faults)
    if item.get("text") is False and not any(weights.values() if isinstance(weights, dict) else ()):
        faults.append(f"{where}: nothing to learn from (no text, no auxiliary loss)")
    if len(faults) > before:
        return None
    values = {**item, "train": tuple(parts), "auxiliary": AuxiliaryWeights(**weights)}
    return Stage(**values)


def _new_model(item: Any, faults: list[str]) -> NewModel | None:
    if not isinstance(item, dict):
        faults.append("'new' must be a mapping")
        return None
    _unknown(item, {f.name for f in fields(NewModel)}, "'new'", faults)
    for key in ("vision_tower", "language_model"):
        if not isinstance(item.get(key), dict):
            faults.append(f"'new' needs the shapes of the {key}")
    if faults:
        return None
    return NewModel(**item)


def _files(names: Any, faults: list[str]) -> tuple[Path, ...]:
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list):
        faults.append("'samples' and 'truth' must be file names")
        return ()
    paths = tuple(Path(name) for name in names)
    faults.extend(f"no file {path}" for path in paths if not path.is_file())
    return paths


def _unknown(item: dict[str, Any], known: set[str], where: str, faults: list[str]) -> None:
    faults.extend(f"{where}: unknown setting '{key}'" for key in item if key not in known)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

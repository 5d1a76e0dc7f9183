"""What lies in a model folder, from its configuration and tensor names, and everything that is wrong with it at once.

Nothing is built and no tensor is read but the small texts of what is stored quantised (stored.py), so that looking is
quick however large the model. What decides is ``model_type``, ``architectures`` and the names and shapes of the
tensors; the folder's name decides nothing.

A model may be in several places: an adapter or a projector in one folder, its base in a second, its vision tower in a
third. ``ModelFolder`` is the sum: the tensors of all, by the names a full checkpoint would have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import ModelError, UsageError
from engine.models import (
    adapters,
    catalogue,
    conversation,
    families,
    language,
    languages,
    libra,
    places,
    provenance,
    record,
    stored,
    towers,
)
from engine.models.adapters import Adapter
from engine.models.families import Family
from engine.models.record import Record
from engine.models.tokens import TOKENIZER_FILES
from engine.models.weights import Weights, look, look_at

PROJECTOR_FILES = ("mm_projector.bin", "mm_projector.safetensors", "mm_tac_projector.bin")
"""A folder with one of these and without other weights holds a projector for a language model that lies elsewhere."""

PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"


@dataclass(frozen=True)
class ModelFolder:
    """One model, examined.

    Attributes:
        path, name: where, and what to call it: interval.json's name, the catalogue's, or the folder's.
        family: "libra-tac", "libra", "qwen2-vl", "llava", or "" where it is nothing this program can use.
        config: the checkpoint's configuration as it stands.
        weights: the headers of all tensors but the tower's and the adapter's, by their names in the model.
        tokenizer: the folder of the tokenizer.
        adapter: the LoRA adapter on it, or None.
        tower: the vision tower, or None where it was not found or is part of the weights.
        preprocessor: how its pictures are made, as its files say it; None where they do not.
        record: what this program itself keeps of it (interval.json).
        template: name of the conversation template, and ``template_basis``, why that one.
        license: as interval.json says; "" unknown.
        demonstration: made to show the program, not to read radiographs.
        problems: everything that keeps it from being used, one sentence each.
        warnings: what may be used but should be known.
    """

    path: Path
    name: str
    family: str
    config: Mapping[str, Any]
    weights: Weights
    tokenizer: Path
    adapter: Adapter | None
    tower: towers.Tower | None
    preprocessor: Mapping[str, Any] | None
    record: Record
    template: str
    template_basis: str
    license: str
    demonstration: bool
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """DICOM modalities of the images it reads."""
        return self.record.modalities

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages its reports are written in."""
        return languages.of(self.record, self.family)

    def check(self) -> None:
        """Raise ModelError listing every problem, if there is one."""
        if self.problems:
            count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
            first = self.problems[0]
            raise ModelError(
                f"The model {self.name} cannot be used because of {count}: {first}.", problems=self.problems
            )


@dataclass(frozen=True)
class _Layers:
    """Where the parts of a model lie. ``folders``: those that may hold its tower and interval.json, nearest first."""

    config: Mapping[str, Any]
    weights: Weights
    tokenizer: Path
    adapter: Adapter | None
    folders: tuple[Path, ...]


def examine(
    path: Path,
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    tower: str | Path | None = None,
    template: str | None = None,
) -> ModelFolder:
    """Examine a model by its headers.

    Args:
        path: a full checkpoint, or an adapter or projector over a base.
        base: the base of an adapter or projector, instead of the one it names.
        adapter: an adapter folder to put on ``path``.
        tower: the vision tower, instead of the one the checkpoint names.
        template: the conversation template, instead of the one the rules choose.

    Raises ModelError where there is no folder and UsageError for an unknown ``template``; all else is in ``problems``.
    """
    if template is not None:
        conversation.template(template)
    for folder in (path, adapter):
        if folder is not None and not Path(folder).expanduser().is_dir():
            raise ModelError(f"There is no model folder {folder}.")
    problems: list[str] = []
    warnings: list[str] = []
    if adapter is not None:
        path, base = Path(adapter).expanduser(), path
    layers = _layers(path, Path(base).expanduser() if base is not None else None, problems)
    config, weights = layers.config, layers.weights
    published = catalogue.match(config)
    family = None if problems else families.of(config, weights)
    if config and family is None and not problems:
        problems.append(_unknown(config))
    own = record.read(layers.folders, problems)
    found_tower, preprocessor, put_on = None, None, layers.adapter
    if family is not None:
        weights = stored.gathered(weights.renamed(family.canonical))
        problems += weights.problems
        preprocessor = None if family.TOWER_APART else _preprocessor(layers.folders, problems)
        problems += family.problems(config, weights, preprocessor, own)
        if not any((layers.tokenizer / name).is_file() for name in TOKENIZER_FILES):
            problems.append(f"no tokenizer: one of {', '.join(TOKENIZER_FILES)} is missing")
        if family.TOWER_APART:
            found_tower = _tower(config, layers.folders, tower, own, problems)
        elif tower is not None:
            problems.append("its vision tower is part of it, another one cannot be named")
        if put_on is not None:
            if stored.method(weights) != "none":
                problems.append("its base is stored quantised; put it on the base in 16 or 32 bits")
            put_on = put_on.renamed(family.canonical)
            problems += put_on.problems
            problems += put_on.misfits({name: entry.shape for name, entry in weights.entries.items()})
    chosen, basis = _choose_template(template, own, published, family, config)
    if family is not None and basis == "default":
        warnings.append(f"The conversation template is not known; {chosen} is assumed.")
    fallback = published.name if published and put_on is None else path.resolve().name
    return ModelFolder(
        path=path,
        name=(own.name if len(layers.folders) == 1 else "") or fallback,
        family=family.family(config, weights) if family is not None else "",
        config=config,
        weights=weights,
        tokenizer=layers.tokenizer,
        adapter=put_on,
        tower=found_tower,
        preprocessor=preprocessor,
        record=own,
        template=chosen,
        template_basis=basis,
        license=own.license,
        demonstration=own.demonstration,
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _layers(path: Path, base: Path | None, problems: list[str]) -> _Layers:
    """Find the parts of the model in ``path``; ``base`` is where the caller says its base is."""
    projector = next((path / name for name in PROJECTOR_FILES if (path / name).is_file()), None)
    full = look(path)
    if adapters.is_adapter(path) and not full.files:
        adapter = adapters.examine(path)
        below = _base(adapter.base, path, base, "adapter", problems)
        if below is None:
            problems += adapter.problems
            return _Layers({}, Weights(), path, adapter, (path,))
        under = _layers(below, None, problems)
        if under.adapter is not None:
            problems.append(f"the base {below.name} is an adapter itself")
        config = _read(path / "config.json", problems) if places.is_model(path) else under.config
        return _Layers(config, under.weights.overlaid(adapter.beside), under.tokenizer, adapter, (path, *under.folders))
    config = _read(path / "config.json", problems)
    if config and projector is not None and not full.files:
        below = _base("", path, base, "projector", problems)
        if below is None:
            return _Layers(config, Weights(), path, None, (path,))
        # Its tensors replace those of the base, should that have a connector of its own.
        weights = look(below).overlaid(look_at(projector))
        return _Layers(config, weights, below, None, (path, below))
    if base is not None:
        problems.append("it is a full model and needs no base; an adapter goes on it with --adapter")
    return _Layers(config, full if config else Weights(), path, None, (path,))


def _base(named: str, path: Path, given: Path | None, what: str, problems: list[str]) -> Path | None:
    if given is not None:
        if not places.is_model(given) and not adapters.is_adapter(given):
            problems.append(f"there is no base model in {given}")
            return None
        problems += _other_files(path, given)
        return given
    found = places.find(named, path) if named else None
    if found is None:
        where = f"its base model {named}, which is not on this machine" if named else "its base model"
        problems.append(
            f"it is {'an' if what == 'adapter' else 'a'} {what} and needs {where}; name it with --base"
            + (f" or put it at {paths.models() / Path(named).name}" if named else "")
        )
        return None
    problems += _other_files(path, found)
    return found


def _other_files(path: Path, base: Path) -> list[str]:
    """Whether the weights of ``base`` are recorded as others than those that what lies in ``path`` was made for.

    Hashes are compared where both folders record them; none is computed, for that would take minutes.
    """
    expected, recorded = provenance.hashes(path, "base_sha256"), provenance.hashes(base)
    other = [name for name, value in expected.items() if recorded.get(name, value) != value]
    return [f"it was made for another base: {name} of {base.name} is not the file it records" for name in other[:1]]


def _tower(
    config: Mapping[str, Any],
    folders: tuple[Path, ...],
    override: str | Path | None,
    own: Record,
    problems: list[str],
) -> towers.Tower | None:
    name = str(config.get("mm_vision_tower") or "")
    place: Path | None = None
    for number, folder in enumerate(folders, 1):
        try:
            place = towers.find(name, folder, override)
            break
        except ModelError as error:
            if number == len(folders):
                problems.append(str(error).rstrip("."))
    if place is None:
        return None
    found = towers.examine(place, libra.padding(config, own))
    problems += found.problems
    problems += libra.tower_problems(config, found)
    return found


def _preprocessor(folders: tuple[Path, ...], problems: list[str]) -> Mapping[str, Any] | None:
    """How pictures are made: preprocessor_config.json, or transformers 5's processor_config.json, nearest first."""
    for folder in folders:
        if (folder / PREPROCESSOR).is_file():
            return _read(folder / PREPROCESSOR, problems) or None
        if (folder / PROCESSOR).is_file():
            inner = _read(folder / PROCESSOR, problems).get("image_processor")
            if isinstance(inner, dict):
                return inner
    problems.append(f"{PREPROCESSOR} is missing")
    return None


def _unknown(config: Mapping[str, Any]) -> str:
    """Why a folder with this configuration is no model this program can use."""
    name = language.architecture(config) or str(config.get("model_type", "")) or "without a name"
    if language.kind(config) is not None:
        return f"{name} is a language model without a connector to images; it can be the base of an adapter"
    return f"the architecture {name} is not supported"


def _read(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problems.append(f"{file.name} is missing: this is not a model folder")
        return {}
    except (OSError, ValueError, RecursionError):
        problems.append(f"{file.name} is damaged")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{file.name} is damaged")
        return {}
    return content


def _choose_template(
    asked: str | None,
    own: Record,
    published: catalogue.Published | None,
    family: Family | None,
    config: Mapping[str, Any],
) -> tuple[str, str]:
    """The template's name and why: the caller's wish, interval.json, the catalogue, else the family's."""
    if asked is not None:
        return asked, "asked for"
    if own.conversation:
        try:
            return conversation.template(own.conversation).name, "interval.json"
        except UsageError:
            pass  # written by a newer version; the next rule decides
    if published is not None and published.conversation:
        return published.conversation, "catalogue"
    name, sure = (family or libra).default_template(config)
    return name, "family" if sure else "default"

"""Recipes as texts that a form and a person edit: read, changed setting by setting, told what is wrong with them, kept.

The text is what counts; a form shows what stands in it and changes it one setting at a time, so that comments and order
stay where they can. A path in a recipe is relative to the project, because that is where its command is started, and is
written so where it lies in the project.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from engine import paths
from engine.errors import UsageError
from engine.training.presets import Preset, presets
from engine.training.recipe import Recipe, parse_recipe
from trainer_ui.services import datasets, kept, places, start_models

__all__ = ["Amount", "Fault", "Preset", "amount", "changed", "presets"]

Place = tuple[str | int, ...]
"""Where a setting stands in a recipe: ("stages", 0, "epochs")."""

SHORT = "the recipe"
_PATHS: tuple[Place, ...] = (
    ("start",),
    ("projector",),
    ("images",),
    ("samples",),
    ("truth",),
    ("validation", "questions"),
    ("validation", "images"),
)
_OF_LIBRAS: tuple[Place, ...] = (("conversation",), ("projector",))
_OF_LIBRAS_STAGES = ("connector_learning_rate",)
"""Settings that mean nothing to LLaMA-Factory and have no field where it trains."""

_SAY_MUCH = ("llamafactory",)
"""Mappings that say something even when there is nothing in them."""

_FAULTS = re.compile(r"^The recipe .*? cannot be used: (.*)\.$", re.DOTALL)
_DRAFT = "recipe"
_MOST = 1 << 20
_SHORT_LINE = 48
"""Characters of a mapping that stands on one line."""


@dataclass(frozen=True)
class Fault:
    """One thing that keeps a recipe from being used; ``folder`` is what would have to be allowed, where that is all."""

    says: str
    folder: Path | None = None


@dataclass(frozen=True)
class Amount:
    """How much work a stage is: samples of the files, samples of a step, steps, and validations on the way."""

    stage: str
    samples: int
    per_step: int
    steps: int
    validations: int


def root() -> Path:
    """Where the recipes of runs that were begun here are. Not created here."""
    return paths.home() / "recipes"


def document(text: str) -> dict[str, Any] | None:
    """The settings in a recipe's text; None where it is no YAML mapping."""
    try:
        content = yaml.safe_load(text) if len(text) <= _MOST else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def value(content: object, place: Place) -> Any:
    """What stands at a place of a document; None where nothing does."""
    for step in place:
        if isinstance(content, Mapping) and isinstance(step, str):
            content = content.get(step)
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return None
    return content


def changed(text: str, place: Place, new: Any) -> str:
    """The text with another value at ``place``; None takes the setting out, and with it a mapping that held only that.

    What is replaced is replaced where it stands; where that cannot be done the whole text is written anew. Raises
    UsageError for a text that is no mapping, and for a place in what is no mapping and no list.
    """
    content = document(text)
    if content is None:
        raise UsageError("The recipe cannot be read as YAML: set it right there first.")
    if value(content, place) == new and type(value(content, place)) is type(new):
        return text
    _put(content, place, new)
    spliced = _spliced(text, place, new)
    if spliced is not None and document(spliced) == content:
        return spliced
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


def with_start(text: str, model: Path) -> str:
    """The recipe with another model to start from, and whoever trains models of its kind.

    What LLaMA-Factory has no use for is taken out where it is to train. Raises as ``changed``.
    """
    text = changed(text, ("start",), spoken(model))
    if not start_models.is_factorys(whole(spoken(model))):
        return changed(text, ("llamafactory",), None)
    content = document(text) or {}
    if content.get("llamafactory") is None:
        text = changed(text, ("llamafactory",), {})
    stages = content.get("stages")
    numbers = range(len(stages)) if isinstance(stages, list) else ()
    foreign = *_OF_LIBRAS, *(("stages", number, key) for number in numbers for key in _OF_LIBRAS_STAGES)
    for place in foreign:
        if value(content, place) is not None:
            text = changed(text, place, None)
    return text


def with_training(text: str, file: Path, images: Path) -> str:
    """The recipe with another file to learn from, whose images lie in ``images``. Raises as ``changed``."""
    text = changed(text, ("samples",), spoken(file))
    return changed(text, ("images",), None if images == file.parent else spoken(images))


def with_validation(text: str, file: Path | None, images: Path | None = None) -> str:
    """The recipe with other questions to be validated with; None for no validation. Raises as ``changed``."""
    if file is None:
        return changed(text, ("validation",), None)
    text = changed(text, ("validation", "questions"), spoken(file))
    apart = images is not None and images != file.parent
    return changed(text, ("validation", "images"), spoken(images) if apart and images is not None else None)


def read(text: str) -> Recipe:
    """The recipe in a text, its paths whole. Raises UsageError with every fault."""
    content = document(text)
    if content is None:
        return parse_recipe(text[:_MOST], SHORT)
    for place in _PATHS:
        named = value(content, place)
        if isinstance(named, str) and named:
            _put(content, place, str(whole(named)))
        elif isinstance(named, list):
            _put(content, place, [str(whole(one)) if isinstance(one, str) and one else one for one in named])
    return parse_recipe(yaml.safe_dump(content), SHORT)


def faults(text: str) -> tuple[Fault, ...]:
    """Everything that keeps a recipe from being started, as far as reading it tells."""
    try:
        recipe = read(text)
    except UsageError as error:
        matched = _FAULTS.match(str(error))
        parts = matched[1].split("; ") if matched else [str(error)]
        said = [Fault(f"{part[:1].upper()}{part[1:].removesuffix('.')}.") for part in parts]
        return (*_no_start(value(document(text), ("start",))), *said)
    found: list[Fault] = [*_no_start(str(recipe.start) if recipe.start is not None else None)]
    for path in _named(recipe):
        if path.exists() and not places.inside(path):
            folder = path.resolve() if path.is_dir() else path.resolve().parent
            fault = Fault(f"The studio has not been allowed to look into {folder} yet.", folder)
            found += [fault] if fault not in found else []
    return tuple(found)


def amount(recipe: Recipe) -> tuple[Amount, ...]:
    """The work of each stage; () where a file cannot be counted. Rows count as samples, also those too long."""
    counted = [datasets.inspect(file) for file in recipe.samples]
    samples = sum(file.rows for file in counted if file is not None)
    if None in counted or not samples:
        return ()
    found = []
    for stage in recipe.stages:
        at_once = stage.batch_size * (recipe.llamafactory.processes if recipe.llamafactory is not None else 1)
        steps_of_epoch = max(1, math.ceil(math.ceil(samples / at_once) / stage.accumulate))
        steps = math.ceil(stage.epochs * steps_of_epoch)
        every = recipe.validation.every if recipe.validation is not None else None
        validations = steps // every if every else math.ceil(stage.epochs)
        if recipe.llamafactory is not None and every:
            validations = math.ceil(steps / every)  # LLaMA-Factory validates at the end besides
        if recipe.validation is None or not stage.text:
            validations = 0
        found.append(Amount(stage.name, samples, at_once * stage.accumulate, steps, validations))
    return tuple(found)


def whole(named: str) -> Path:
    """The path that a recipe means: relative ones from the project, where its command is started."""
    path = Path(named)
    return path if path.is_absolute() else paths.PROJECT / path


def spoken(path: Path) -> str:
    """A path as a recipe says it: from the project where it lies there, else whole."""
    place = path.absolute()
    return place.relative_to(paths.PROJECT).as_posix() if place.is_relative_to(paths.PROJECT) else str(place)


def from_preset(preset: Preset) -> str:
    """A preset's text for this machine: its files are looked for in the data folder, their images where those are."""
    text = preset.text
    content = document(text) or {}
    for place in _PATHS:
        named = value(content, place)
        if isinstance(named, str) and named.startswith("saves/"):
            text = changed(text, place, spoken(paths.home() / named.removeprefix("saves/")))
    return _without_output(_with_images(text))


def from_run(recipe: Path) -> str:
    """The recipe of a run, to begin another with. Raises UsageError where it cannot be read."""
    try:
        return _without_output(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(f"The recipe of {recipe.parent.name} cannot be read.") from cause


def draft() -> str:
    """The recipe that is being written, or was last; that of the first preset where none was.

    There is one on this machine, in a file: every window shows it, and neither a reload nor a new start loses it.
    """
    return _draft(kept.read(_DRAFT))


def write(edit: Callable[[str], str]) -> None:
    """Write the recipe further: ``edit`` makes the new text of the old one. Raises what it raises, and OSError."""
    with kept.changed(_DRAFT) as content:
        content["text"] = edit(_draft(content))[:_MOST]


def _draft(content: Mapping[str, Any]) -> str:
    text = content.get("text")
    return text if isinstance(text, str) and text.strip() else from_preset(presets()[0])


def save(text: str, name: str) -> Path:
    """Write a recipe under a name of its own among those that were begun here. Raises OSError."""
    place = free(name)
    paths.ensure(place.parent)
    with place.open("x", encoding="utf-8") as stream:
        stream.write(text if text.endswith("\n") else f"{text}\n")
    return place


def free(name: str) -> Path:
    """Where a recipe of this name would be written: nothing is ever overwritten."""
    files = (root() / f"{name}{'' if number == 1 else f'-{number}'}.yaml" for number in count(1))
    return next(file for file in files if not file.exists())


def _no_start(named: object) -> tuple[Fault, ...]:
    """That the model to start from is not there, where it is not."""
    if not isinstance(named, str) or not named or whole(named).is_dir():
        return ()
    return (Fault(f"There is no model {spoken(whole(named))}. Choose one that is installed."),)


def _named(recipe: Recipe) -> Sequence[Path]:
    """Every path a recipe reads from."""
    held_out = recipe.validation
    single = (recipe.start, recipe.projector, recipe.images, held_out.questions if held_out else None)
    some = [path for path in (*single, held_out.images if held_out else None) if path is not None]
    return [*recipe.samples, *recipe.truth, *some]


def _with_images(text: str) -> str:
    """The text with the folders of the images, where its files are of data sets that say so."""
    folders = {file.path.resolve(): data.images for data in datasets.found() for file in data.files}
    content = document(text) or {}
    samples, questions = value(content, ("samples",)), value(content, ("validation", "questions"))
    if isinstance(samples, str) and whole(samples).resolve() in folders:
        text = with_training(text, whole(samples), folders[whole(samples).resolve()])
    if isinstance(questions, str) and whole(questions).resolve() in folders:
        text = with_validation(text, whole(questions), folders[whole(questions).resolve()])
    return text


def _without_output(text: str) -> str:
    """Every run gets a folder of its own."""
    return changed(text, ("output",), None) if document(text) is not None else text


def _put(content: Any, place: Place, new: Any) -> None:
    """Change a document in place; mappings on the way to ``place`` are made where there are none."""
    *way, last = place
    outer: list[tuple[Any, str | int]] = []
    for number, step in enumerate(way):
        inner = value(content, (step,))
        if inner is None and isinstance(content, dict) and isinstance(place[number + 1], str):
            if new is None:
                return
            inner = content[step] = {}
        if not isinstance(inner, dict | list):
            raise UsageError(f"'{step}' of the recipe is no mapping: set it right in the YAML first.")
        outer.append((content, step))
        content = inner
    if isinstance(content, dict) and new is None:
        content.pop(last, None)
        if not content and outer and isinstance(outer[-1][1], str) and outer[-1][1] not in _SAY_MUCH:
            outer[-1][0].pop(outer[-1][1])
    elif isinstance(content, dict) or (isinstance(content, list) and isinstance(last, int) and last < len(content)):
        content[last] = new
    else:
        raise UsageError("This setting has no place in the recipe: set it right in the YAML first.")


class _Plain(yaml.SafeDumper):
    """Writes a recipe as one would: lists of words and small mappings on one line, the rest line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, all(not isinstance(one, dict | list) for one in sequence))

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, False)
        scalars = all(isinstance(inner, yaml.ScalarNode) for _, inner in node.value)
        node.flow_style = scalars and sum(len(str(part.value)) for pair in node.value for part in pair) < _SHORT_LINE
        return node


def _spliced(text: str, place: Place, new: Any) -> str | None:
    """The text with one setting changed, added or taken out, all else untouched; None where that cannot be done so.

    Whether it has been done right is for the caller to see, by reading it.
    """
    *way, last = place
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in way:
        node = _inner(node, step)
    old = _inner(node, last)
    if old is None:
        return _added(text, node, str(last), new) if isinstance(node, yaml.MappingNode) and new is not None else None
    if new is None:
        begin, end = text.rfind("\n", 0, old.start_mark.index) + 1, text.find("\n", old.end_mark.index - 1)
        return (
            None if old.start_mark.line != old.end_mark.line else text[:begin] + text[end + 1 if end >= 0 else None :]
        )
    if isinstance(old, yaml.CollectionNode) and not old.flow_style:
        return None
    return text[: old.start_mark.index] + _written(new) + text[old.end_mark.index :]


def _inner(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((inner for key, inner in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        inner: yaml.Node = node.value[step]
        return inner
    return None


def _added(text: str, node: yaml.MappingNode, key: str, new: Any) -> str | None:
    """The text with a setting more at the end of a mapping."""
    if not node.value:
        return None
    first, final = node.value[0][0], node.value[-1][1]
    entry = f"{key}: {_written(new)}"
    if node.flow_style:
        return text[: final.end_mark.index] + f", {entry}" + text[final.end_mark.index :]
    end = len(text[: final.end_mark.index].rstrip())
    end = text.find("\n", end)
    head, rest = (text, "") if end < 0 else (text[:end], text[end:])
    return f"{head}\n{' ' * first.start_mark.column}{entry}{rest}"


def _written(new: Any) -> str:
    """A value on one line."""
    written = yaml.safe_dump(new, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return written.strip().removesuffix("...").strip()  # the dots end a document that is one plain scalar

"""What training on a file would be, without loading the model: the words a sample becomes, and the memory it takes.

Reads configuration, tokenizer and headers alone, so that a page can show both while a recipe is being written.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch

from engine.datasets.libra import TrainingSample, read_training
from engine.datasets.pictures import look
from engine.errors import DatasetError, ModelError
from engine.models import conversation, families, libra, tokens
from engine.models.composite import IGNORED
from engine.models.memory import free
from engine.models.recognition import ModelFolder, examine
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN
from engine.models.wording import Wording
from engine.training.labels import label, label_whole, learnt_text
from engine.training.memory import FACTORYS_PROCESS, PROCESS, SPARE, Counts, Sizes, planned
from engine.training.recipe import Factory, Recipe, Stage

LONGEST = 64
"""Samples, by their characters, of which the longest in tokens is looked for."""

QUANTISED = {"none": 0.0, "int8": 1.01, "nf4": 0.53}
"""Bytes of a value of the language model's layers, scales included."""


@dataclass(frozen=True)
class Shown:
    """A sample as the model gets it.

    Attributes:
        pieces: text and whether it is learnt; "<image>" stands for the images.
        positions: it takes, images included; ``images`` of them are the images'.
        learnt: how many of them are learnt.
        room: positions the model has.
    """

    pieces: tuple[tuple[str, bool], ...]
    positions: int
    images: int
    learnt: int
    room: int


@dataclass(frozen=True)
class Forecast:
    """The memory a stage is planned to take.

    Attributes:
        stage: its name.
        needed: bytes at most.
        room: bytes there are now.
        checkpointing: whether activations would be computed twice to fit.
        learning: values that learn.
        positions: of the longest conversation.
    """

    stage: str
    needed: int
    room: int
    checkpointing: bool
    learning: int
    positions: int

    @property
    def fits(self) -> bool:
        """Whether it can be tried."""
        return self.needed <= self.room

    def words(self) -> str:
        """One sentence for a person."""
        said = f"{self.stage}: about {self.needed / 1e9:.1f} GB of the {self.room / 1e9:.1f} GB that are free"
        if self.checkpointing:
            said += ", with activations computed twice (a third slower)"
        return said + ("." if self.fits else ": too much. A smaller batch_size with more to accumulate needs less.")


@dataclass(frozen=True)
class _Parts:
    """What the names of a family's tensors begin with."""

    tower: str
    connector: str
    layers: str

    def of(self, name: str) -> str:
        """The part that a tensor belongs to, by the recipe's name for it."""
        if name.startswith(self.connector):
            return "connector"
        return "vision_tower" if name.startswith(self.tower) else "language_model"


_LIBRA = _Parts(libra.TOWER, libra.CONNECTOR, "model.layers.")
_PARTS = {
    "qwen2-vl": _Parts("model.visual.", "model.visual.merger.", "model.language_model.layers."),
    "llava": _Parts("model.vision_tower.", "model.multi_modal_projector.", "model.language_model.layers."),
}


class Reader:
    """A model's way with samples.

    Args:
        factory: what the recipe says of LLaMA-Factory, where that is to train it.

    Raises:
        ModelError: the folder cannot be used, or holds no model that can be trained so.
        UsageError: an unknown template.
    """

    def __init__(self, model: Path, conversation_name: str = "", factory: Factory | None = None) -> None:
        self._wording: Wording | None = None
        if factory is not None:
            self._folder, self._wording = look_at(model, factory)
            self._tokenizer: Any = self._wording.tokenizer
            self._parts = _PARTS[self._folder.family]
            family = families.of(self._folder.config, self._folder.weights)
            assert family is not None
            self.demand = family.demand(self._folder)
        else:
            self._folder = examine(model.expanduser(), template=conversation_name or None)
            self._folder.check()
            if self._folder.tower is None:
                raise ModelError(
                    f"{self._folder.name} is no model in Libra's format; only those are trained without LLaMA-Factory. "
                    "Qwen2-VL and LLaVA are trained through it: say 'llamafactory: {}' in the recipe."
                )
            self._tokenizer = tokens.load_tokenizer(self._folder.tokenizer)
            self._marks = libra.add_tokens(self._tokenizer, self._folder.config)
            self._template = conversation.template(self._folder.template)
            self._parts = _LIBRA
            self.demand = libra.demand(self._folder)
        self.room = room_of(self._folder)

    def show(self, sample: TrainingSample) -> Shown:
        """A sample as the model gets it. Raises DatasetError for what cannot be learnt."""
        (question, answer), *further = sample.turns
        turns = [(question.replace(IMAGE_TEXT, "").strip(), answer), *further]
        if self._wording is not None:
            found = label_whole(self._wording, turns, _sizes(sample))
            image = self._wording.image_id
            positions, images = len(found.ids), found.ids.count(image)
        else:
            found = label(self._tokenizer, self._template, turns, self._marks)
            image, images = IMAGE_TOKEN, self.demand.patches
            positions = len(found.ids) - 1 + images
        learnt = sum(value != IGNORED for value in found.labels)
        return Shown(tuple(learnt_text(self._tokenizer, found, image)), positions, images, learnt, self.room)

    def counts(self, stage: Stage, value: int, quantization: str) -> Counts:
        """What the model takes in a stage: bytes of its weights, values that learn."""
        weights = learning = 0.0
        apart = self._folder.tower  # of Libra's models
        for name, entry in self._folder.weights.entries.items():
            part = self._parts.of(name)
            if part == "vision_tower" and apart is not None:
                continue
            size = prod(entry.shape)
            in_layers = name.startswith(self._parts.layers) and len(entry.shape) == 2
            has_factors = stage.lora is not None and (part == "language_model" or self._wording is not None)
            learns = part in stage.train and not has_factors
            held = 4 if learns else QUANTISED[quantization] if in_layers and quantization != "none" else value
            weights += size * held
            learning += size * learns
            linear = in_layers or (part != "language_model" and len(entry.shape) == 2)
            if stage.lora is not None and has_factors and linear and part in stage.train:
                factors = stage.lora.rank * sum(entry.shape)
                weights, learning = weights + 4 * factors, learning + factors
        tower = sum(prod(entry.shape) for entry in apart.weights.entries.values()) if apart is not None else 0
        trained = "vision_tower" in stage.train
        return Counts(int(weights + tower * (4 if trained else value)), int(learning + tower * trained))

    def computed(self, longest: Shown, batch: int) -> int:
        """Positions of a batch whose logits are computed: LLaMA-Factory's trainer computes all of them."""
        return batch * (longest.learnt if self._wording is None else longest.positions)


def look_at(model: Path, factory: Factory) -> tuple[ModelFolder, Wording]:
    """A model that LLaMA-Factory is to train, by its headers, with a recipe's limits for pictures, and how it words.

    Raises:
        ModelError: it cannot be used, or LLaMA-Factory is not used for its family here.
    """
    found = examine(model.expanduser())
    found.check()
    if found.family not in _PARTS:
        raise ModelError(
            f"{found.name} is of the family {found.family}; LLaMA-Factory trains {' and '.join(_PARTS)} here. Leave "
            "'llamafactory' out of the recipe."
        )
    if found.adapter is not None:
        raise ModelError(f"{found.name} is an adapter. Merge it first ('merge'), then train on the merged model.")
    record = replace(found.record, image_max_pixels=factory.image_max_pixels, image_min_pixels=factory.image_min_pixels)
    found = replace(found, record=record)
    return found, families.wording(found)


def room_of(folder: ModelFolder) -> int:
    """Positions that a model has."""
    config = folder.config.get("text_config")
    config = config if isinstance(config, Mapping) and "max_position_embeddings" in config else folder.config
    return int(config.get("max_position_embeddings") or 2048)


def _sizes(sample: TrainingSample) -> list[tuple[int, int]]:
    """Width and height of a sample's pictures as they are given: the prior first."""
    placed = list(reversed(dict.fromkeys(sample.images)))
    seen = look(placed, workers=1)
    fault = next((one for one in seen.values() if one.fault), None)
    if fault is not None:
        raise DatasetError(f"{fault.path.name}: {fault.reason}.")
    return [(seen[path].columns, seen[path].rows) for path in placed]


def forecast(recipe: Recipe, samples: Sequence[TrainingSample] | None = None) -> list[Forecast]:
    """The memory of each stage of a recipe that starts from a model; [] for one that starts from nothing.

    Args:
        samples: what its training files hold, where they have been read already.

    Raises:
        DatasetError, ModelError, UsageError: files or model cannot be used.
    """
    if recipe.start is None:
        return []
    reader = Reader(recipe.start, recipe.conversation, recipe.llamafactory)
    if samples is None:
        samples = [sample for file in recipe.samples for sample in read_training(file, recipe.images)]
    longest = _longest(samples, reader)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    value = 2 if recipe.dtype == "bfloat16" or (recipe.dtype == "auto" and device.type == "cuda") else 4
    room = free(device)
    process = PROCESS if recipe.llamafactory is None else FACTORYS_PROCESS
    found = []
    for stage in recipe.stages:
        sizes = Sizes(
            batch=stage.batch_size,
            positions=longest.positions,
            learnt=reader.computed(longest, stage.batch_size),
            layers=reader.demand.layers,
            width=reader.demand.width,
            inner=reader.demand.inner,
            vocabulary=reader.demand.vocabulary,
            value=value,
            device=device.type,
        )
        counts = reader.counts(stage, value, recipe.quantization)
        plain = planned(counts, stage, sizes, checkpointing=False, process=process)
        twice = recipe.gradient_checkpointing == "on" or (
            recipe.gradient_checkpointing == "auto" and plain > SPARE * room
        )
        needed = planned(counts, stage, sizes, checkpointing=True, process=process) if twice else plain
        found.append(Forecast(stage.name, needed, room, twice, counts.learning, longest.positions))
    return found


def _longest(samples: Sequence[TrainingSample], reader: Reader) -> Shown:
    """The largest of each number over the samples with the most characters."""
    some = heapq.nlargest(LONGEST, samples, key=lambda one: sum(len(text) for turn in one.turns for text in turn))
    shown = [reader.show(sample) for sample in some]
    longest = max(shown, key=lambda one: one.positions)
    return replace(longest, learnt=max(one.learnt for one in shown))

"""What training on a file would be, without loading the model: the words a sample becomes, and the memory it takes.

Reads configuration, tokenizer and headers alone, so that a page can show both while a recipe is being written.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch

from engine.datasets.libra import TrainingSample, read_training
from engine.errors import ModelError
from engine.models import conversation, libra, tokens
from engine.models.composite import IGNORED
from engine.models.memory import free
from engine.models.recognition import ModelFolder, examine
from engine.models.tokens import IMAGE_TEXT
from engine.training.labels import label, learnt_text
from engine.training.memory import SPARE, Counts, Sizes, planned
from engine.training.recipe import Recipe, Stage

LONGEST = 64
"""Samples, by their characters, of which the longest in tokens is looked for."""

QUANTISED = {"none": 0.0, "int8": 1.01, "nf4": 0.53}
"""Bytes of a value of the language model's layers, scales included."""


@dataclass(frozen=True)
class Shown:
    """A sample as the model gets it.

    Attributes:
        pieces: text and whether it is learnt; "<image>" stands for the images.
        positions: it takes, images included.
        learnt: how many of them are learnt.
        room: positions the model has.
    """

    pieces: tuple[tuple[str, bool], ...]
    positions: int
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


class Reader:
    """A model's way with samples.

    Raises:
        ModelError: the folder cannot be used, or holds no model in Libra's format.
        UsageError: an unknown template.
    """

    def __init__(self, model: Path, conversation_name: str = "") -> None:
        self._folder: ModelFolder = examine(model.expanduser(), template=conversation_name or None)
        self._folder.check()
        if self._folder.tower is None:
            raise ModelError(f"{self._folder.name} is no model in Libra's format; only those can be trained here.")
        self._tokenizer: Any = tokens.load_tokenizer(self._folder.tokenizer)
        self._marks = libra.add_tokens(self._tokenizer, self._folder.config)
        self._template = conversation.template(self._folder.template)
        self.demand = libra.demand(self._folder)
        self.room = int(self._folder.config.get("max_position_embeddings") or 2048)

    def show(self, sample: TrainingSample) -> Shown:
        """A sample as the model gets it. Raises DatasetError for what cannot be learnt."""
        (question, answer), *further = sample.turns
        turns = [(question.replace(IMAGE_TEXT, "").strip(), answer), *further]
        found = label(self._tokenizer, self._template, turns, self._marks)
        learnt = sum(value != IGNORED for value in found.labels)
        positions = len(found.ids) - 1 + self.demand.patches
        return Shown(tuple(learnt_text(self._tokenizer, found)), positions, learnt, self.room)

    def counts(self, stage: Stage, value: int, quantization: str) -> Counts:
        """What the model takes in a stage: bytes of its weights, values that learn."""
        weights = learning = 0.0
        for name, entry in self._folder.weights.entries.items():
            if name.startswith(libra.TOWER):
                continue
            size = prod(entry.shape)
            in_layers = name.startswith("model.layers.") and len(entry.shape) == 2
            learns = name.startswith(libra.CONNECTOR) if "connector" in stage.train else False
            learns |= "language_model" in stage.train and stage.lora is None and not name.startswith(libra.CONNECTOR)
            held = 4 if learns else QUANTISED[quantization] if in_layers and quantization != "none" else value
            weights += size * held
            learning += size * learns
            if in_layers and stage.lora is not None:
                factors = stage.lora.rank * sum(entry.shape)
                weights, learning = weights + 4 * factors, learning + factors
        assert self._folder.tower is not None
        tower = sum(prod(entry.shape) for entry in self._folder.tower.weights.entries.values())
        trained = "vision_tower" in stage.train
        return Counts(int(weights + tower * (4 if trained else value)), int(learning + tower * trained))


def forecast(recipe: Recipe) -> list[Forecast]:
    """The memory of each stage of a recipe that starts from a model; [] for one that starts from nothing.

    Raises:
        DatasetError, ModelError, UsageError: files or model cannot be used.
    """
    if recipe.start is None:
        return []
    reader = Reader(recipe.start, recipe.conversation)
    longest = _longest([sample for file in recipe.samples for sample in read_training(file, recipe.images)], reader)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    value = 2 if recipe.dtype == "bfloat16" or (recipe.dtype == "auto" and device.type == "cuda") else 4
    room = free(device)
    found = []
    for stage in recipe.stages:
        sizes = Sizes(
            batch=stage.batch_size,
            positions=longest.positions,
            learnt=longest.learnt * stage.batch_size,
            layers=reader.demand.layers,
            width=reader.demand.width,
            inner=reader.demand.inner,
            vocabulary=reader.demand.vocabulary,
            value=value,
            device=device.type,
        )
        counts = reader.counts(stage, value, recipe.quantization)
        plain = planned(counts, stage, sizes, checkpointing=False)
        twice = recipe.gradient_checkpointing == "on" or (
            recipe.gradient_checkpointing == "auto" and plain > SPARE * room
        )
        needed = planned(counts, stage, sizes, checkpointing=True) if twice else plain
        found.append(Forecast(stage.name, needed, room, twice, counts.learning, longest.positions))
    return found


def _longest(samples: Sequence[TrainingSample], reader: Reader) -> Shown:
    """The largest of each number over the samples with the most characters."""
    some = heapq.nlargest(LONGEST, samples, key=lambda one: sum(len(text) for turn in one.turns for text in turn))
    shown = [reader.show(sample) for sample in some]
    longest = max(shown, key=lambda one: one.positions)
    return replace(longest, learnt=max(one.learnt for one in shown))

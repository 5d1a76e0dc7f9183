"""What a run starts from: a model that is loaded, with or without another connector, or one of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.datasets.libra import TrainingSample
from engine.errors import ModelError, UsageError
from engine.models import weights
from engine.models.checkpoint import load_model
from engine.models.composite import LibraModel
from engine.models.conversation import Template, template
from engine.models.libra import CONNECTOR, LoadedLibra
from engine.models.loaded import ModelInfo
from engine.models.preprocessing import ImageProcessor
from engine.models.recognition import PROJECTOR_FILES
from engine.models.tokens import load_tokenizer
from engine.training.recipe import Recipe
from engine.training.run_folder import RunFolder
from engine.training.vocabulary import learn_vocabulary

CHEST_MEAN, CHEST_STD = 0.5307, 0.2583
"""Grey level statistics of the RAD-DINO preprocessor, also used for towers made here."""


@dataclass(frozen=True)
class Start:
    """A model that is to learn.

    Attributes:
        loaded: with all that drafting needs, for validation.
        bfloat16: whether it computes in bfloat16; what learns is float32 all the same.
        new: whether its weights were random.
    """

    loaded: LoadedLibra
    bfloat16: bool
    new: bool

    @property
    def model(self) -> LibraModel:
        """Tower, connector and language model."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Any:
        """transformers'."""
        return self.loaded.tokenizer

    @property
    def processor(self) -> ImageProcessor:
        """How its pictures are made."""
        return self.loaded.processor

    @property
    def template(self) -> Template:
        """How its questions are put."""
        return self.loaded.template

    @property
    def marks(self) -> tuple[str, str]:
        """Text around the image's place."""
        return self.loaded.image_marks

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.loaded.device


def begin(recipe: Recipe, folder: RunFolder, conversations: Sequence[TrainingSample], device: torch.device) -> Start:
    """The model of a recipe.

    Raises:
        ModelError: it cannot be loaded or is none that can be trained here.
        UsageError: an unknown template.
    """
    if recipe.new is not None:
        return Start(_new(recipe, folder, conversations, device), _bfloat16(recipe, device), True)
    assert recipe.start is not None
    bfloat16 = _bfloat16(recipe, device)
    loaded = load_model(
        recipe.start,
        dtype="bfloat16" if bfloat16 else "float32",
        quantization=recipe.quantization,
        device=str(device),
        template=recipe.conversation or None,
        merge=True,
    )
    if not isinstance(loaded, LoadedLibra):
        raise ModelError(f"{loaded.info.name} is no model in Libra's format; only those can be trained here.")
    if loaded.config.get("quantization_config"):
        raise UsageError(f"{loaded.info.name} is stored quantised; train from the model in 16 or 32 bits.")
    if loaded.info.adapter and recipe.lora is not None:
        raise UsageError(f"{loaded.info.name} is an adapter. Merge it first ('merge'), then train on the merged model.")
    if recipe.projector is not None:
        _put(recipe.projector, loaded.model.connector)
    return Start(loaded, bfloat16, False)


def _bfloat16(recipe: Recipe, device: torch.device) -> bool:
    return recipe.dtype == "bfloat16" or (recipe.dtype == "auto" and device.type == "cuda")


def _put(projector: Path, connector: nn.Module) -> None:
    """Read a published connector (names that end as the connector's do, after ``mm_projector.``) into ``connector``."""
    file = projector
    if projector.is_dir():
        named = [projector / name for name in PROJECTOR_FILES if (projector / name).is_file()]
        if not named:
            raise ModelError(f"There is no projector in {projector}: one of {', '.join(PROJECTOR_FILES)}.")
        file = named[0]
    elif not projector.is_file():
        raise ModelError(f"There is no projector {projector}.")
    found = weights.look_at(file)
    if found.problems:
        raise ModelError(f"The projector {file.name} cannot be used: {found.problems[0]}.", found.problems)
    mark = CONNECTOR.removeprefix("model.")
    names = {name: name.split(mark, 1)[1] for name in found.entries if mark in name}
    state = {names[name]: tensor for name, tensor in weights.read(found, names).items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in connector.state_dict().items()}
    problems = [f"{name} is missing" for name in wanted if name not in state]
    problems += [f"{name} has no place" for name in state if name not in wanted]
    problems += [f"{n} has the wrong shape" for n, t in state.items() if n in wanted and tuple(t.shape) != wanted[n]]
    if problems:
        raise ModelError(f"The projector {file.name} does not fit this model: {problems[0]}.", tuple(problems))
    connector.load_state_dict(state)


def _new(
    recipe: Recipe, folder: RunFolder, conversations: Sequence[TrainingSample], device: torch.device
) -> LoadedLibra:
    assert recipe.new is not None
    form = template(recipe.conversation)
    place = folder.path / "vocabulary"
    if not place.is_dir():
        texts = (text for sample in conversations for turn in sample.turns for text in (form.layout, *turn))
        learn_vocabulary(texts, recipe.new.vocabulary, place)
    tokenizer = load_tokenizer(place)
    language = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **({"max_position_embeddings": recipe.max_length} if recipe.max_length else {}),
        **recipe.new.language_model,
    }
    model = LibraModel.from_config(recipe.new.vision_tower, language).to(device)
    edge = int(model.vision_tower.config.image_size)
    processor = ImageProcessor(
        shortest_edge=edge,
        crop=(edge, edge),
        mean=(CHEST_MEAN, CHEST_MEAN, CHEST_MEAN),
        std=(CHEST_STD, CHEST_STD, CHEST_STD),
    )
    info = ModelInfo(
        path=str(folder.model), name=recipe.name, family="libra-tac", sha256="", dtype="float32", quantization="none",
        parameters=sum(p.numel() for p in model.parameters()), demonstration=bool(recipe.demonstration),
        license=recipe.license, conversation=form.name,
    )  # fmt: skip
    return LoadedLibra(
        info=info,
        tokenizer=tokenizer,
        stop_ids=(int(tokenizer.eos_token_id),),
        stop_text=form.stop,
        warnings=(),
        model=model,
        processor=processor,
        template=form,
        config={},
        image_marks=("", ""),
    )

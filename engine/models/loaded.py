"""A model ready to run, whatever its family: the four things the drafting engine asks of one.

    ask      a question -> the prompt, as text and as ids
    see      a picture -> what is kept of it; depends on that picture alone, so that it can be kept
    embed    ids and what was seen -> the language model's input
    language_model   transformers' module that continues it

Each family has a module of its own with a subclass: libra.py, qwen2vl.py, llava.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.models import languages
from engine.models.record import ENGLISH, RADIOGRAPHS

if TYPE_CHECKING:
    # Not at run time: a process that only speaks of models, and loads none, must not take torch's seconds to start.
    import torch
    from PIL.Image import Image
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from engine.models.conversation import Turns

UNSAID = frozenset({"", "OT", "SC"})
"""Modalities that do not say how an image was made."""


@dataclass(frozen=True)
class ModelInfo:
    """What a draft says about the model that wrote it.

    Attributes:
        path, name, family: where, what it is called, and one of "libra-tac", "libra", "qwen2-vl", "llava", "served".
        sha256: one hash over all weight files: the base's, the adapter's, the tower's; "" for a served model.
        dtype: "float32", "bfloat16" or "float16", as it runs; "" where a server knows it.
        quantization: "none", "int8" or "nf4": the language model's layers (quantisation.py); "" as dtype.
        parameters: values in all parts together; 0 where they are not known.
        demonstration: made to show the program, not to read radiographs.
        license: as far as known, else "".
        conversation: name of the template its prompts are written in.
        adapter: name of the adapter on it, "" for none.
        modalities: DICOM modalities of the images it reads.
        languages: languages its reports are written in, as BCP 47 tags.
        served: address of the server that runs it; "" for a model of this machine.
    """

    path: str
    name: str
    family: str
    sha256: str
    dtype: str
    quantization: str
    parameters: int
    demonstration: bool
    license: str
    conversation: str
    adapter: str = ""
    modalities: tuple[str, ...] = RADIOGRAPHS
    languages: tuple[str, ...] = ENGLISH
    served: str = ""

    def reads(self, modality: str) -> bool:
        """Whether the model may be given an image of this DICOM modality.

        "", OT and SC do not say how an image was made and pass, as pictures without a modality do. RG is a radiograph
        on film: who reads CR or DX reads it.
        """
        meant = {"RG": {"RG", "CR", "DX"}}.get(modality, {modality})
        return modality in UNSAID or not meant.isdisjoint(self.modalities)

    def writes(self, language: str) -> bool:
        """Whether the model can be asked for a report in this language: "en", "zh" or "en+zh"."""
        return languages.writes(self.languages, language)


@dataclass(frozen=True)
class Precision:
    """Where and how a model's numbers are held.

    Attributes:
        device, dtype: of everything that is not quantised.
        quantization: "none", "int8" or "nf4", of the language model's layers.
        merge: whether an adapter is added to the weights, or stays beside them.
    """

    device: torch.device
    dtype: torch.dtype
    quantization: str = "none"
    merge: bool = True


@dataclass(frozen=True)
class Prompt:
    """The language model's input for a whole prompt.

    Attributes:
        embeddings: ``[1, P, H]``.
        positions: position ids ``[axes, 1, P]`` where they are more than a count, else None.
        next_position: the position of the first token that follows; None where it is P.
        boundary: positions up to the end of the last image: the same whatever is asked about these images.
    """

    embeddings: Tensor
    positions: Tensor | None = None
    next_position: int | None = None
    boundary: int = 0


@dataclass(frozen=True, eq=False)
class LoadedModel(ABC):
    """A model with all that belongs to it, in evaluation mode on its device.

    Attributes:
        info: what a draft says about it.
        model: all of its parts as one module.
        tokenizer: transformers'.
        stop_ids: ids that end an answer.
        stop_text: text that ends an answer where no id does, or "".
        warnings: sentences for the user.
    """

    info: ModelInfo
    model: Any
    tokenizer: PreTrainedTokenizerBase
    stop_ids: tuple[int, ...]
    stop_text: str
    warnings: tuple[str, ...]

    @property
    @abstractmethod
    def language_model(self) -> Any:
        """transformers' causal language model; takes embeddings or ids, gives logits."""

    @abstractmethod
    def ask(self, question: str, *, has_prior: bool, earlier: Turns = ()) -> tuple[str, list[int]]:
        """The prompt of a question about the image or the two images, as text and as ids.

        ``earlier``: the questions before it, with their answers. Raises UsageError where the model knows only one.
        """

    @abstractmethod
    def see(self, picture: Image) -> Tensor:
        """What is kept of one picture, on the model's device; its shape says what ``embed`` must know of its size."""

    @abstractmethod
    def embed(self, ids: list[int], current: Tensor, prior: Tensor | None) -> Prompt:
        """The input for a prompt of ``ask`` and what ``see`` gave of its images; ``prior`` None where there is none."""

    @abstractmethod
    def positions(self, ids: list[int], sizes: Sequence[tuple[int, int]]) -> int:
        """Positions a prompt of ``ask`` takes, P, before anything is computed.

        Args:
            sizes: width and height of each picture; some models see more of a larger one.
        """

    @property
    def room(self) -> int:
        """Positions the language model has, for prompt and answer together."""
        config = self.language_model.config
        return int(getattr(config, "text_config", config).max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        device: torch.device = self.language_model.device
        return device

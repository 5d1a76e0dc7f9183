"""The model families, as one table: what recognition and loading ask of each, and which one a folder is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import ModelError
from engine.models import libra, llava, qwen2vl

if TYPE_CHECKING:
    from engine.models.demand import Demand
    from engine.models.loaded import LoadedModel, Precision
    from engine.models.recognition import ModelFolder
    from engine.models.record import Record
    from engine.models.weights import Weights
    from engine.models.wording import Wording


class Family(Protocol):
    """A family's module."""

    TOWER_APART: bool
    """Whether its models name a vision tower that lies elsewhere; else their own folder says how pictures are made."""

    def family(self, config: Mapping[str, Any], found: Weights) -> str:
        """The family's name, or "" where a folder with this configuration and these tensors is not of it."""

    def canonical(self, name: str) -> str:
        """The name in the model of a tensor or module that files may call otherwise."""

    def default_template(self, config: Mapping[str, Any]) -> tuple[str, bool]:
        """The conversation template where nothing says which, and whether it is known to be right."""

    def problems(
        self, config: Mapping[str, Any], found: Weights, preprocessor: Mapping[str, Any] | None, record: Record
    ) -> Iterator[str]:
        """Everything that keeps a folder from being used, by its headers; its tokenizer and tower aside."""

    def demand(self, folder: ModelFolder) -> Demand:
        """The sizes its memory follows from, of an examined folder without problems."""

    def load(self, folder: ModelFolder, how: Precision) -> LoadedModel:
        """Build the model of an examined folder without problems. Raises ModelError for damaged tensors."""


FAMILIES: tuple[Family, ...] = (qwen2vl, llava, libra)


def of(config: Mapping[str, Any], found: Weights) -> Family | None:
    """The family of a folder, or None for what is none."""
    return next((family for family in FAMILIES if family.family(config, found)), None)


def wording(folder: ModelFolder) -> Wording:
    """How a model's conversations become ids, of an examined folder without problems.

    Raises:
        ModelError: its pictures are no tokens of its prompts, as those of Libra's models are not.
    """
    made = {"qwen2-vl": qwen2vl.wording, "llava": llava.wording}.get(folder.family)
    if made is None:
        raise ModelError(
            f"{folder.name} is of the family {folder.family}, whose pictures are no tokens of its prompts."
        )
    return made(folder)

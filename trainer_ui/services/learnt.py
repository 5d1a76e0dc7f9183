"""What a model gets of a sample, and which of it is learnt. Imports torch where it is first asked, which takes seconds.

Only the model's configuration and tokenizer are read; its weights are not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.datasets.libra import IMAGE_TEXT, TrainingSample
from trainer_ui.services import start_models
from trainer_ui.services.start_models import StartModel

if TYPE_CHECKING:
    from engine.training.preview import Reader


@dataclass(frozen=True)
class Piece:
    """A run of text, or the images; ``learnt`` is what the loss is computed over."""

    text: str
    learnt: bool
    images: bool = False


@dataclass(frozen=True)
class Prompt:
    """A sample as a model gets it.

    Attributes:
        positions: it takes; ``images`` of them are the images', ``learnt`` are learnt.
        room: positions the model has.
    """

    pieces: tuple[Piece, ...]
    positions: int
    images: int
    learnt: int
    room: int

    @property
    def fits(self) -> bool:
        """Whether nothing is cut off."""
        return self.positions <= self.room

    @property
    def words(self) -> str:
        """The figures in a sentence."""
        used = f"{self.positions:,} of {self.room:,} positions used"
        return f"{used}: {self.images:,} by the images, {self.learnt:,} are learnt."


def models() -> tuple[StartModel, ...]:
    """Models whose way with a sample can be shown."""
    return start_models.found()


def prompt(model: Path, sample: TrainingSample) -> Prompt:
    """A sample as this model gets it. Raises ModelError, UsageError and DatasetError."""
    reader = _reader(model, (model / "config.json").stat().st_mtime_ns)
    shown = reader.show(sample)
    pieces = tuple(Piece(text, learnt, images=text == IMAGE_TEXT) for text, learnt in shown.pieces)
    return Prompt(pieces, shown.positions, shown.images, shown.learnt, shown.room)


@lru_cache(maxsize=2)
def _reader(model: Path, changed: int) -> Reader:
    from engine.training.preview import Reader  # torch and transformers come with it
    from engine.training.recipe import Factory

    return Reader(model, factory=Factory() if start_models.is_factorys(model) else None)

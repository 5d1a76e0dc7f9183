"""Where a model comes from: its plan and its loading, on any rung of fitting.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from engine.drafting.fitting import Rung
from engine.models.checkpoint import load_model
from engine.models.loaded import LoadedModel
from engine.models.memory import free
from engine.models.packing import pack
from engine.models.plan import Plan, plan
from engine.models.survey import Survey, survey


@dataclass(frozen=True)
class Source:
    """A model's folder and what goes with it; the fields are those of ``Engine.load``. ``new_tokens``: for the plan."""

    path: str | Path
    base: str | Path | None = None
    adapter: str | Path | None = None
    tower: str | Path | None = None
    conversation: str | None = None
    new_tokens: int = 512

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.survey.model.name if self.survey.model is not None else Path(self.path).name

    @cached_property
    def survey(self) -> Survey:
        """The folder by its headers. Raises as ``survey``."""
        path = Path(self.path).expanduser()
        return survey(path, base=self.base, adapter=self.adapter, tower=self.tower, template=self.conversation)

    def plan(self, rung: Rung) -> Plan | None:
        """What it takes on that rung; None where the folder cannot be used."""
        return plan(
            self.survey,
            device=rung.device,
            precision=rung.precision,
            beams=rung.beams,
            new_tokens=self.new_tokens,
            free=free(torch.device(rung.device)),
        )

    def load(self, rung: Rung) -> LoadedModel:
        """The model, laid out for drafting. Raises as ``load_model``."""
        loaded = load_model(
            self.path,
            base=self.base,
            adapter=self.adapter,
            tower=self.tower,
            template=self.conversation,
            dtype=rung.dtype,
            quantization=rung.quantization,
            device=rung.device,
        )
        pack(loaded.model)
        return loaded

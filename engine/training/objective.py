"""The loss of one batch: the words of the report given the images, and the auxiliary targets where truth is known.

Every image of a batch is encoded once, also where it serves as current and as (dummy) prior; the vocabulary's logits
are computed at the supervised positions alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.composite import IGNORED, LibraModel, widen
from engine.training.adaptation import is_factor
from engine.training.auxiliary import AuxiliaryHeads
from engine.training.recipe import PARTS, Stage


class Objective(nn.Module):
    """A model with the heads that train it, for one stage after the other (``begin``)."""

    def __init__(self, model: LibraModel, heads: AuxiliaryHeads | None) -> None:
        super().__init__()
        self.model = model
        self.heads = heads
        self.stage: Stage | None = None

    def begin(self, stage: Stage) -> None:
        """Freeze what ``stage`` does not train. A frozen part is in evaluation mode: no dropout in it.

        With LoRA the language model's factors learn and nothing else of it. What learns is float32 and in memory of its
        own, not mapped from a file.
        """
        self.stage = stage
        for part in PARTS:
            for name, parameter in getattr(self.model, part).named_parameters():
                learns = part in stage.train and (part != "language_model" or self._learns(name, stage))
                parameter.requires_grad_(learns)
                if learns:
                    parameter.data = parameter.data.to(torch.float32, copy=True)
        self.train(self.training)

    @staticmethod
    def _learns(name: str, stage: Stage) -> bool:
        return stage.lora is None or is_factor(name)

    def train(self, mode: bool = True) -> Objective:
        super().train(mode)
        if self.stage is not None:
            for part in PARTS:
                if part not in self.stage.train:
                    getattr(self.model, part).eval()
        return self

    def forward(
        self,
        pixels: Tensor,
        current: Tensor,
        prior: Tensor,
        input_ids: Tensor,
        labels: Tensor,
        bands: Tensor | None = None,
        regions: Tensor | None = None,
        changes: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One batch of B pairs over U distinct images.

        Args:
            pixels: ``[U, 3, h, w]``.
            current, prior: indices into ``pixels``, ``[B]`` each; equal where there is no prior.
            input_ids: ``[B, T]`` with one IMAGE_TOKEN a row, padded on the right.
            labels: ``[B, T]``, ``IGNORED`` where nothing is to be learnt.
            bands, regions, changes: targets of the auxiliary heads (``engine.training.auxiliary``).

        Returns:
            ``loss``, the sum of its parts, and the parts (text_loss, image_loss, change_loss), each a scalar;
            ``learnt``, the positions over which text_loss is the mean.
        """
        assert self.stage is not None, "begin(stage) comes first"
        weights = self.stage.auxiliary
        tower, selection = self.model.vision_tower, self.model.selection
        with torch.set_grad_enabled(torch.is_grad_enabled() and "vision_tower" in self.stage.train):
            states = tower(pixels.to(tower.dtype), output_hidden_states=True)
        parts: dict[str, Tensor] = {}
        if (
            (weights.findings or weights.regions)
            and self.heads is not None
            and bands is not None
            and regions is not None
        ):
            patches = states.last_hidden_state[:, 1:]
            parts["image_loss"] = self.heads.image_loss(patches, bands, regions, weights)
        if self.stage.text or weights.change:
            extracts = self.model.connector.extract(selection.chosen(states))
            tokens = self.model.connector.align(extracts[current], extracts[prior])
            if self.heads is not None and changes is not None and bands is not None and regions is not None:
                films = torch.stack((bands[current], bands[prior]), dim=1)
                parts["change_loss"] = self.heads.change_loss(tokens, changes, films, regions[prior], weights)
            if self.stage.text:
                parts["text_loss"] = self._text_loss(tokens, input_ids, labels)
        loss = torch.stack(list(parts.values())).sum()
        return {"loss": loss, **parts, "learnt": (labels != IGNORED).sum().to(loss.dtype)}

    def _text_loss(self, tokens: Tensor, input_ids: Tensor, labels: Tensor) -> Tensor:
        targets = widen(labels, input_ids, tokens.shape[1], IGNORED)[:, 1:]
        # Padding stands on the right, so causal attention alone keeps it out of every supervised position.
        embedded = self.model.embed(input_ids, tokens)
        hidden = self.model.language_model.model(inputs_embeds=embedded).last_hidden_state[:, :-1]
        learnt = targets != IGNORED
        logits = self.model.language_model.lm_head(hidden[learnt])
        return F.cross_entropy(logits.float(), targets[learnt])

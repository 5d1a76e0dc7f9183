"""A language model with one prompt in its cache: the prompt's forward pass once, then one position a step.

Knows transformers' causal language models; not what the ids mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.decoding.cache import ATTENTION, SharedPromptCache
from engine.errors import ModelError


class Session:
    """One prompt, prefilled on construction; its rows are decoded together by ``step``.

    Attributes:
        logits: float32 ``[rows, vocabulary]`` of the next position; after the prefill there is one row.
    """

    def __init__(
        self,
        language_model: Any,
        prompt: Tensor,
        positions: Tensor | None = None,
        next_position: int | None = None,
    ) -> None:
        """Prefill ``prompt``.

        Args:
            prompt: embeddings ``[1, P, width]``.
            positions: position ids ``[axes, 1, P]`` of a model whose positions are more than a count.
            next_position: with ``positions``: that of the token after the prompt, on all axes.

        Raises:
            ModelError: the model gives NaN.
        """
        if language_model.config._attn_implementation != ATTENTION:
            language_model.set_attn_implementation(ATTENTION)
        self._model = language_model
        self._cache = SharedPromptCache()
        self._axes = 0 if positions is None else len(positions)
        self._next_position = next_position or 0
        self.logits = self._forward(inputs_embeds=prompt, **({} if positions is None else {"position_ids": positions}))

    def step(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        """Append one token to every row and return the next ``logits``.

        Args:
            tokens: int64 ``[rows]``; the number of rows is settled by the first step.
            parents: int64 ``[rows]``, the row each one continues; None where every row continues itself.

        Raises:
            ModelError: the model computed NaN or infinity.
        """
        if parents is not None:
            with torch.inference_mode():
                self._cache.keep(parents)
        placed = {}
        if self._axes:  # elsewhere the model counts by itself
            placed = {"position_ids": tokens.new_full((self._axes, len(tokens), 1), self._next_position)}
            self._next_position += 1
        self.logits = self._forward(input_ids=tokens.unsqueeze(1), **placed)
        return self.logits

    def _forward(self, **inputs: Tensor) -> Tensor:
        # Logits of the last position only: over a prompt of 1500 positions the head would cost as much as a decode
        # step each.
        with torch.inference_mode():
            output = self._model(**inputs, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
            logits: Tensor = output.logits[:, -1].float()
            if not bool(torch.isfinite(logits).all()):
                raise ModelError(
                    "The model computed values that are not numbers; its weights or the chosen dtype are not usable. "
                    "Try --dtype float32."
                )
            return logits

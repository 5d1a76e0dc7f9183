"""A language model with one prompt in its cache: the prompt's forward pass once, then one step after the other.

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
        passes: forward passes since the prompt's.
        reused: positions of the prompt that were taken from an earlier session.
        next_position: that of the next token, on all ``axes``; 0 axes where the model counts by itself.
    """

    def __init__(
        self,
        language_model: Any,
        prompt: Tensor,
        positions: Tensor | None = None,
        next_position: int | None = None,
        *,
        boundary: int = 0,
        after: Session | None = None,
    ) -> None:
        """Prefill ``prompt``, in two passes where it has a ``boundary``.

        What lies before the boundary is computed by itself, and only that is ever reused. So a prompt gives the same
        numbers, to the last bit, whatever was asked before it.

        Args:
            prompt: embeddings ``[1, P, width]``.
            positions: position ids ``[axes, 1, P]`` of a model whose positions are more than a count.
            next_position: with ``positions``: that of the token after the prompt, on all axes.
            boundary: where the part that many prompts share ends; 0 for none.
            after: an earlier session of the same model, which is used up; where its prompt is the same up to the same
                boundary, that part is not computed again.

        Raises:
            ModelError: the model gives NaN.
        """
        if language_model.config._attn_implementation != ATTENTION:
            language_model.set_attn_implementation(ATTENTION)
        self.language_model = language_model
        self._prompt = prompt
        self._positions = positions
        self.axes = 0 if positions is None else len(positions)
        self.next_position = prompt.shape[1] if next_position is None else next_position
        self._boundary = boundary
        self.passes = 0
        self.reused = boundary if after is not None and self._begins_like(after) else 0
        self.cache = SharedPromptCache()
        if after is not None:
            # Taken over or forgotten, it is gone before this prompt takes memory of its own.
            self.cache, after.cache = (after.cache if self.reused else self.cache), SharedPromptCache()
            after._boundary = 0
            self.cache.reopen(self.reused)
        if boundary and not self.reused:
            self._read(0, boundary)
        self.logits = self._read(boundary, prompt.shape[1])
        self.cache.close()

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
                self.cache.keep(parents)
        self.logits = self._append(tokens.unsqueeze(1))
        return self.logits

    def try_tokens(self, tokens: Tensor) -> Tensor:
        """Append several tokens to the only row; the logits after each of them, float32 ``[T, vocabulary]``.

        ``take_back`` removes those that turn out to be wrong. ``tokens``: int64 ``[T]``. Raises as ``step``.
        """
        return self._append(tokens.unsqueeze(0))

    def take_back(self, tokens: int) -> None:
        """Remove the last ``tokens`` positions of every row, as if they had never been appended."""
        if tokens:
            self.cache.forget(self.cache.continuation - tokens)
            self.next_position -= tokens

    def rest(self) -> Session:
        """Give up the rows and their continuations, and keep the prompt for a later session."""
        self.cache.forget(0)
        self.logits = self.logits[:0]
        return self

    def _append(self, tokens: Tensor) -> Tensor:
        rows, length = tokens.shape
        placed = {}
        if self.axes:  # elsewhere the model counts by itself
            ahead = torch.arange(self.next_position, self.next_position + length, device=tokens.device)
            placed = {"position_ids": ahead.expand(self.axes, rows, length)}
        self.next_position += length
        self.passes += 1
        return self._forward(length, input_ids=tokens, **placed)

    def _forward(self, keep: int, **inputs: Tensor) -> Tensor:
        return finite_logits(self.language_model, keep, past_key_values=self.cache, **inputs)

    def _read(self, begin: int, end: int) -> Tensor:
        """Take some positions of the prompt into the cache; the logits after them."""
        placed = {} if self._positions is None else {"position_ids": self._positions[:, :, begin:end]}
        return self._forward(1, inputs_embeds=self._prompt[:, begin:end], **placed)

    def _begins_like(self, other: Session) -> bool:
        """Whether both prompts are the same up to the same boundary."""
        end = self._boundary
        if not end or end != other._boundary or not torch.equal(self._prompt[:, :end], other._prompt[:, :end]):
            return False
        if self._positions is None or other._positions is None:
            return self._positions is other._positions
        return torch.equal(self._positions[:, :, :end], other._positions[:, :, :end])


def finite_logits(language_model: Any, keep: int, **inputs: Any) -> Tensor:
    """One forward pass; the logits of the last ``keep`` positions of every row, float32 ``[rows * keep, vocabulary]``.

    Of the last positions only: over a prompt of 1500 positions the head would cost as much as a decode step each.

    Raises:
        ModelError: the model computed NaN or infinity.
    """
    with torch.inference_mode():
        output = language_model(**inputs, use_cache=True, logits_to_keep=keep)
        logits: Tensor = output.logits[:, -keep:].flatten(0, 1).float()
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                "The model computed values that are not numbers; its weights or the chosen dtype are not usable. "
                "Try --dtype float32."
            )
        return logits

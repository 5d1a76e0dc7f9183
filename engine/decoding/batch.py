"""Several prompts answered side by side: every step reads the weights once for all of them.

Each prompt is prefilled by itself (session.py), so that none sees another's padding; then their keys and values are
laid side by side, padded on the right with a mask, and the rows are decoded together, each at its own positions.
Greedy only: sampling and beams are done one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from engine.decoding.cache import BLOCK, Layer, Rows
from engine.decoding.choosing import Answer, Ends, Settings, ban_repeats
from engine.decoding.session import Session, finite_logits

NOTHING = -1
"""Stands before the ids of a short prompt in the history of a batch; no token, so that no ban follows from it."""


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer of all rows: the prompts' padded keys and values, and the rows' own."""

    is_sliding = False

    def __init__(self, layers: Sequence[Layer], filled: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self._filled = filled  # bool [rows, P]
        self._prompt = tuple(_side_by_side([layer.prompt[part] for layer in layers], filled) for part in (0, 1))
        self._own: Tensor | None = None  # [keys and values, rows, K, room, d]
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the prompts are there from the beginning."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """A step's ``[rows, K, 1, d]``; gives all of each row."""
        if self._own is None or self.length == self._own.shape[3]:
            rows, heads, _, width = key_states.shape
            grown = key_states.new_empty((2, rows, heads, self.length + BLOCK, width))
            if self._own is not None:
                grown[:, :, :, : self.length] = self._own
            self._own = grown
        self._own[0, :, :, self.length] = key_states[:, :, 0]
        self._own[1, :, :, self.length] = value_states[:, :, 0]
        self.length += 1
        own = self._own[:, :, :, : self.length]
        return Rows(self._prompt[0], own[0], self._filled), Rows(self._prompt[1], own[1], self._filled)

    def get_seq_length(self) -> int:
        return int(self._filled.shape[1]) + self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        return -1


def _side_by_side(parts: Sequence[Tensor], filled: Tensor) -> Tensor:
    """``[K, P_i, d]`` each as ``[rows, K, P, d]`` with zeros where a row has no position."""
    heads, _, width = parts[0].shape
    together = parts[0].new_zeros((len(parts), heads, filled.shape[1], width))
    for row, part in zip(together, parts, strict=True):
        row[:, : part.shape[1]] = part
    return together


class Batch:
    """Prefilled sessions of one model, decoded together. The sessions are used up.

    Attributes:
        logits: float32 ``[rows, vocabulary]`` of each row's next position.
        passes: forward passes so far.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._model = sessions[0].language_model
        layers = [session.cache.layers for session in sessions]
        lengths = torch.tensor([session.cache.get_seq_length() for session in sessions])
        device = sessions[0].logits.device
        filled = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).to(device)
        self._cache = Cache(layers=[_Layer(same, filled) for same in zip(*layers, strict=True)])
        self._next = torch.tensor([session.next_position for session in sessions], device=device)
        self._axes = sessions[0].axes
        self.logits = torch.cat([session.logits for session in sessions])
        self.passes = 0

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to every row, int64 ``[rows]``, and return the next ``logits``."""
        places = self._next[:, None]
        self._next = self._next + 1
        self.passes += 1
        self.logits = finite_logits(
            self._model, 1, input_ids=tokens[:, None], past_key_values=self._cache,
            position_ids=places.expand(self._axes, *places.shape) if self._axes else places,
        )  # fmt: skip
        return self.logits


def greedy(batch: Batch, prompts: Sequence[Sequence[int]], settings: Settings, ends: Ends) -> list[Answer]:
    """The answer to each of ``prompts`` (ids with the image as one id, for the ban on repeats), greedily."""
    longest = max(map(len, prompts))
    device = batch.logits.device
    padded = [[NOTHING] * (longest - len(ids)) + list(ids) for ids in prompts]
    history = torch.tensor(padded, dtype=torch.int64, device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    likely: list[list[float]] = [[] for _ in prompts]
    stopped = [False] * len(prompts)
    logits = batch.logits
    for position in range(settings.max_new_tokens):
        tokens = ban_repeats(logits, history, settings.no_repeat_ngram).argmax(dim=-1)
        said = logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0].tolist()
        for row, token in enumerate(tokens.tolist()):
            if not stopped[row]:
                answers[row].append(token)
                likely[row].append(said[row])
                stopped[row] = token in settings.stop_ids or ends(answers[row])
        if all(stopped) or position + 1 == settings.max_new_tokens:
            break
        history = torch.cat((history, tokens[:, None]), dim=1)
        logits = batch.step(tokens)
    rows = zip(answers, likely, stopped, strict=True)
    return [Answer(tuple(ids), None, ended, tuple(values)) for ids, values, ended in rows]

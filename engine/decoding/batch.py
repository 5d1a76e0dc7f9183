"""Several prompts answered side by side: every step reads the weights once for all of them.

Each prompt is prefilled by itself (session.py), so that none sees another's padding; then their keys and values are
laid side by side, padded on the right with a mask, and the rows are decoded together, each at its own positions. Rows
that have ended leave when half of the batch has. Greedy only: sampling and beams are done one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        keys, values = zip(*(layer.give_up() for layer in layers), strict=True)
        self._prompt = (_side_by_side(keys, filled), _side_by_side(values, filled))
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

    def keep(self, rows: Tensor, filled: Tensor) -> None:
        """Only these rows go on, of which ``filled`` tells the positions."""
        keys, values = self._prompt
        self._prompt = (keys[rows], values[rows])
        self._filled = filled
        if self._own is not None:
            self._own = self._own[:, rows]

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
        self._filled = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).to(device)
        # One layer after the other: the sessions give up theirs, so that hardly any of it is there twice.
        self._layers = [_Layer(same, self._filled) for same in zip(*layers, strict=True)]
        self._cache = Cache(layers=list(self._layers))
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

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order."""
        chosen = torch.tensor(rows, device=self._next.device)
        self._filled = self._filled[chosen]
        for layer in self._layers:
            layer.keep(chosen, self._filled)
        self._next = self._next[chosen]
        self.logits = self.logits[chosen]


@dataclass(frozen=True)
class Row:
    """One prompt of a batch.

    Attributes:
        prompt_ids: its ids with the image as one id, for the ban on repeats.
        settings: greedy; ``no_repeat_ngram`` is the same for all rows of a batch.
        ends: whether the tokens so far end the answer by what they say.
    """

    prompt_ids: Sequence[int]
    settings: Settings
    ends: Ends


def greedy(batch: Batch, rows: Sequence[Row]) -> list[Answer]:
    """The answer to each of ``rows``, in their order. The batch is used up. Raises ModelError as ``Session.step``."""
    longest = max(len(row.prompt_ids) for row in rows)
    device = batch.logits.device
    padded = [[NOTHING] * (longest - len(row.prompt_ids)) + list(row.prompt_ids) for row in rows]
    history = torch.tensor(padded, dtype=torch.int64, device=device)
    answers: list[list[int]] = [[] for _ in rows]
    likely: list[list[float]] = [[] for _ in rows]
    stopped = [False] * len(rows)
    inside = list(range(len(rows)))  # the rows by their place in the batch
    going = set(inside)
    while True:
        # 1. choose the next token of every row
        tokens = ban_repeats(batch.logits, history, rows[0].settings.no_repeat_ngram).argmax(dim=-1)
        said = batch.logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0].tolist()
        # 2. append it to the rows that are going on, and close those that end
        for row, token, value in zip(inside, tokens.tolist(), said, strict=True):
            if row not in going:
                continue
            answers[row].append(token)
            likely[row].append(value)
            stopped[row] = token in rows[row].settings.stop_ids or rows[row].ends(answers[row])
            if stopped[row] or len(answers[row]) == rows[row].settings.max_new_tokens:
                going.remove(row)
        if not going:
            break
        history = torch.cat((history, tokens[:, None]), dim=1)
        # 3. leave out what has ended: laying out anew costs about a step
        if 2 * len(going) <= len(inside):
            places = [place for place, row in enumerate(inside) if row in going]
            batch.keep(places)
            inside = [inside[place] for place in places]
            history, tokens = history[places], tokens[places]
        # 4. compute what may follow
        batch.step(tokens)
    found = zip(answers, likely, stopped, strict=True)
    return [Answer(tuple(ids), None, ended, tuple(values)) for ids, values, ended in found]

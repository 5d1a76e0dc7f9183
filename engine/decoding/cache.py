"""Keys and values of a prompt stored once for all rows, and each row's own continuation written in place.

Rows are beams or samples of one prompt. Expanding the prompt's keys and values to every row, as a plain cache does,
costs rows times the memory and the reading; here a decode step multiplies all rows with the one copy (one matrix
product a layer) and each row with its own short continuation. Nothing is copied per step but, in beam search, the
continuations of beams that changed their parent.

It works for any transformers language model whose attention goes through ``ALL_ATTENTION_FUNCTIONS``:
``SharedPromptCache`` hands its two parts to the attention function as a pair instead of a tensor, the model passes
them on untouched, and ``shared_prompt_attention`` (registered under ATTENTION) takes them apart. With a plain cache
that function is SDPA.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "interval_shared_prompt"
BLOCK = 64
"""Tokens by which the room for continuations grows."""


class Split(NamedTuple):
    """Keys or values in two parts: the prompt's ``[K, P, d]`` and the rows' own ``[rows, K, T, d]`` (K heads)."""

    prompt: Tensor
    own: Tensor


class Rows(NamedTuple):
    """Keys or values of rows with prompts of their own: ``[rows, K, P, d]``, ``[rows, K, T, d]`` and which of the P
    positions a row has, bool ``[rows, P]``.
    """

    prompt: Tensor
    own: Tensor
    filled: Tensor


class Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer: filled by the prompt's forward passes, then extended by every step."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.length = 0  # positions of the continuation
        self.open = True  # more of the prompt may come
        self._prompt: tuple[Tensor, Tensor] | None = None
        self._own: Tensor | None = None  # [keys and values, rows, K, room, d]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """The prompt's keys and values, ``[1, K, P, d]`` each, become the shared part."""
        self._prompt = (key_states[0].contiguous(), value_states[0].contiguous())
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The prompt's pass gets tensors of the whole prompt; a step of T positions ``[rows, K, T, d]`` two Splits."""
        if self._prompt is None:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        if self.open:
            keys, values = (
                torch.cat((k, s[0]), dim=1) for k, s in zip(self._prompt, (key_states, value_states), strict=True)
            )
            self._prompt = (keys, values)
            return keys[None], values[None]
        end = self.length + key_states.shape[2]
        own = self._room_for(key_states, end)
        own[0, :, :, self.length : end] = key_states
        own[1, :, :, self.length : end] = value_states
        self.length = end
        return Split(self._prompt[0], own[0, :, :, :end]), Split(self._prompt[1], own[1, :, :, :end])

    def _room_for(self, states: Tensor, end: int) -> Tensor:
        if self._own is None or end > self._own.shape[3]:
            rows, heads, _, width = states.shape
            grown = states.new_empty((2, rows, heads, -(-end // BLOCK) * BLOCK, width))
            if self._own is not None:
                grown[:, :, :, : self.length] = self._own[:, :, :, : self.length]
            self._own = grown
        return self._own

    def keep(self, parents: Tensor) -> None:
        """Row i continues what row ``parents[i]`` was."""
        if self._own is not None:
            own = self._own[:, :, :, : self.length]
            own.copy_(own.index_select(1, parents))

    def forget(self, length: int) -> None:
        """Keep ``length`` positions of the continuation; 0 gives its room back as well."""
        self.length = length
        if length == 0:
            self._own = None

    def reopen(self, positions: int) -> None:
        """Keep the first ``positions`` of the prompt alone; more of it may come again."""
        self.forget(0)
        self.open = True
        if self._prompt is not None:
            keys, values = self._prompt
            self._prompt = (keys[:, :positions], values[:, :positions])

    @property
    def prompt(self) -> tuple[Tensor, Tensor]:
        """The prompt's keys and values, ``[K, P, d]`` each."""
        assert self._prompt is not None
        return self._prompt

    def give_up(self) -> tuple[Tensor, Tensor]:
        """The prompt's keys and values as ``prompt``, no longer held here. The layer is used up."""
        prompt, self._prompt = self.prompt, None
        return prompt

    def get_seq_length(self) -> int:
        return self.length + (0 if self._prompt is None else self._prompt[0].shape[1])

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        return -1


class SharedPromptCache(Cache):
    """A cache for one prompt and any number of rows that continue it.

    Until ``close`` every forward pass is part of the prompt and has one row; afterwards each adds positions to every
    row.
    """

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=Layer)

    def close(self) -> None:
        """The prompt is complete."""
        for layer in self._own():
            layer.open = False

    def keep(self, parents: Tensor) -> None:
        """Row i continues what row ``parents[i]`` was, in every layer; ``parents`` int64 ``[rows]``."""
        for layer in self._own():
            layer.keep(parents)

    def forget(self, length: int) -> None:
        """Keep ``length`` positions of every row's continuation."""
        for layer in self._own():
            layer.forget(length)

    def reopen(self, positions: int) -> None:
        """Keep the first ``positions`` of the prompt alone; more of it may come again."""
        for layer in self._own():
            layer.reopen(positions)

    @property
    def continuation(self) -> int:
        """Positions every row has added to the prompt."""
        return self._own()[0].length if self.layers else 0

    def _own(self) -> list[Layer]:
        assert all(isinstance(layer, Layer) for layer in self.layers)
        return self.layers  # type: ignore[return-value]


def shared_prompt_attention(
    module: torch.nn.Module, query: Tensor, key: Any, value: Any, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Attention of T new positions per row ``[rows, heads, T, d]`` to prompt and continuation; softmax in float32.

    With tensors instead of Splits (the prompt's pass, training) it is SDPA. Returns ``[rows, T, heads, d]``.
    """
    if isinstance(key, Rows):
        return _attend_in_rows(query, key, value, kwargs.get("scaling")), None
    if not isinstance(key, Split):
        plain: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return plain
    rows, heads, length, width = query.shape
    groups, positions = key.prompt.shape[0], key.prompt.shape[1]
    scaling = kwargs.get("scaling") or width**-0.5
    grouped = (query * scaling).reshape(rows, groups, -1, width)  # [rows, K, queries of one key head times T, d]
    together = grouped.transpose(0, 1).reshape(groups, -1, width)  # all rows as one matrix per key head
    to_prompt = (together @ key.prompt.mT).view(groups, rows, -1, positions).transpose(0, 1)
    to_own = grouped @ key.own.mT
    scores = torch.cat((to_prompt, to_own), dim=-1)
    if attention_mask is not None:  # several new positions, or a model that sees a window of positions only
        open_scores = scores.view(rows, groups, -1, length, scores.shape[-1])
        scores = open_scores.masked_fill(~attention_mask[:, :, None], -torch.inf).view_as(scores)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    on_prompt = weights[..., :positions].transpose(0, 1).reshape(groups, -1, positions)
    from_prompt = (on_prompt @ value.prompt).view(groups, rows, -1, width).transpose(0, 1)
    attended = from_prompt + weights[..., positions:] @ value.own
    return attended.reshape(rows, heads, length, width).transpose(1, 2).contiguous(), None


def _attend_in_rows(query: Tensor, key: Rows, value: Rows, scaling: float | None) -> Tensor:
    """Attention of one new position per row ``[rows, heads, 1, d]`` to that row's own prompt and continuation."""
    rows, heads, _, width = query.shape
    groups, positions = key.prompt.shape[1], key.prompt.shape[2]
    grouped = (query * (scaling or width**-0.5)).reshape(rows, groups, -1, width)
    to_prompt = (grouped @ key.prompt.mT).masked_fill(~key.filled[:, None, None], -torch.inf)
    scores = torch.cat((to_prompt, grouped @ key.own.mT), dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    attended = weights[..., :positions] @ value.prompt + weights[..., positions:] @ value.own
    return attended.reshape(rows, 1, heads, width)


AttentionInterface.register(ATTENTION, shared_prompt_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)

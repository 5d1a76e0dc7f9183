"""What may come next, and when an answer ends: settings and the functions that apply them to logits.

The meaning of every setting is that of transformers' ``generate`` 4.51.3, which Libra uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Ends = Callable[[Sequence[int]], bool]
"""Whether the tokens so far end an answer by what they say (a stop text); asked after every token."""


@dataclass(frozen=True)
class Settings:
    """How to decode, complete: nothing is left to defaults here.

    Attributes:
        max_new_tokens: at most this many tokens.
        stop_ids: tokens that end an answer; they are part of the result.
        num_beams: > 1 is beam search.
        length_penalty: finished beams are ranked by log-probability / length^this.
        no_repeat_ngram: n-grams of this size never come twice, the prompt's ids included; 0 for no ban.
        temperature: 0 is greedy; else logits are divided by it and sampled. Not with beams.
        top_p: sample from the smallest set of tokens with at least this probability; 1.0 for all.
        seed: of the sampling; None for a different answer each time.
        num_return_sequences: beams or samples returned.
        lookup: texts as ids that the answer may repeat in part. They make greedy decoding quicker and change nothing.
    """

    max_new_tokens: int
    stop_ids: tuple[int, ...]
    num_beams: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    num_return_sequences: int = 1
    lookup: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Step:
    """After one more token: the row that leads so far, and for sampling all of them have advanced alike."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """One finished answer.

    Attributes:
        token_ids: its ids, a stop id included.
        score: of beams, the score they are ranked by; else None.
        stopped: whether it ended by itself.
        log_probabilities: of each token given those before it, as the model says, before bans and temperature.
    """

    token_ids: tuple[int, ...]
    score: float | None
    stopped: bool
    log_probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The end of decoding: the answers, best first."""

    sequences: tuple[Answer, ...]


def ban_repeats(logits: Tensor, history: Tensor, size: int) -> Tensor:
    """``logits`` ``[rows, V]`` with -inf for every token that would complete an n-gram of ``history`` again.

    Args:
        history: int64 ``[rows, T]``: the prompt's ids, the image as one id, and what was generated.
        size: n of the n-grams, >= 1; 0 changes nothing.
    """
    if size == 0 or history.shape[1] + 1 < size or history.shape[1] == 0:
        return logits
    grams = history.unfold(1, size, 1) if history.shape[1] >= size else history.new_empty((len(history), 0, size))
    tail = history[:, history.shape[1] - size + 1 :]
    seen = (grams[:, :, :-1] == tail[:, None]).all(dim=2)
    banned = torch.zeros_like(logits, dtype=torch.bool)
    row, position = seen.nonzero(as_tuple=True)
    token = grams[row, position, -1]
    real = token >= 0  # the image's id is no token
    banned[row[real], token[real]] = True
    return logits.masked_fill(banned, -torch.inf)


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """``logits`` ``[rows, V]`` with -inf for all but the smallest set of likeliest tokens of ``top_p`` or more."""
    if top_p >= 1.0:
        return logits
    ordered, order = torch.sort(logits, descending=False)
    cumulative = ordered.softmax(dim=-1).cumsum(dim=-1)
    drop = cumulative <= 1 - top_p
    drop[:, -1] = False  # the likeliest always stays
    return logits.masked_fill(drop.scatter(1, order, drop), -torch.inf)

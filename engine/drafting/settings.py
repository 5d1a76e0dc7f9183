"""Decoding settings as a caller says them, with what follows from leaving them out."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.decoding.choosing import Settings

MAX_BEAMS = 32
MAX_TOKENS = 4096


@dataclass(frozen=True)
class Decoding:
    """How the answer is chosen. The default is greedy and gives the same draft every time.

    Attributes:
        num_beams: > 1 is beam search.
        length_penalty: of beam search; 1 unless given. Higher favours longer text.
        no_repeat_ngram: n-grams of this size may not come twice; 3 with beams and none without, unless given.
        temperature: 0 is greedy, > 0 samples.
        top_p: sampling from the likeliest tokens that together have this probability; all unless given.
        seed: of the sampling; one is drawn and reported unless given.
        max_new_tokens: at most so many tokens.
        num_return_sequences: so many of the beams, or so many samples.
    """

    num_beams: int = 1
    length_penalty: float | None = None
    no_repeat_ngram: int | None = None
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    max_new_tokens: int = 512
    num_return_sequences: int = 1

    def __post_init__(self) -> None:
        _within("number of beams", self.num_beams, 1, MAX_BEAMS)
        _within("number of new tokens", self.max_new_tokens, 1, MAX_TOKENS)
        _within("number of returned sequences", self.num_return_sequences, 1, MAX_BEAMS)
        _within("temperature", self.temperature, 0, 5)
        if self.temperature and self.temperature < 0.01:
            raise UsageError("A temperature this close to 0 is not useful; 0 is greedy.")
        if self.length_penalty is not None:
            _within("length penalty", self.length_penalty, -10, 10)
        if self.no_repeat_ngram is not None:
            _within("no-repeat n-gram size", self.no_repeat_ngram, 0, 64)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError("top-p must be above 0 and at most 1.")
        if self.seed is not None:
            _within("seed", self.seed, 0, 2**63 - 1)
        if self.num_beams > 1 and self.temperature > 0:
            raise UsageError("Beam search and a temperature exclude each other: use one beam, or temperature 0.")
        if self.num_return_sequences > max(self.num_beams, MAX_BEAMS if self.temperature > 0 else 1):
            raise UsageError("More returned sequences than beams: raise the number of beams, or sample.")

    def resolved(self, room: int) -> Decoding:
        """With every setting filled in that was left out, and no more new tokens than ``room`` positions allow."""
        beams = self.num_beams > 1
        return replace(
            self,
            length_penalty=1.0 if self.length_penalty is None else self.length_penalty,
            no_repeat_ngram=(3 if beams else 0) if self.no_repeat_ngram is None else self.no_repeat_ngram,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=secrets.randbits(31) if self.temperature > 0 and self.seed is None else self.seed,
            max_new_tokens=min(self.max_new_tokens, room),
        )

    def with_beams(self, beams: int) -> Decoding:
        """The same with so many beams at most, and no more texts than beams."""
        if beams >= self.num_beams:
            return self
        return replace(self, num_beams=beams, num_return_sequences=min(self.num_return_sequences, beams))

    def settings(self, stop_ids: tuple[int, ...], lookup: tuple[tuple[int, ...], ...] = ()) -> Settings:
        """The complete settings of the decoder; only after ``resolved``."""
        from engine.decoding.choosing import Settings  # imports torch, which a program that only asks does not need

        assert self.length_penalty is not None and self.no_repeat_ngram is not None and self.top_p is not None
        return Settings(
            max_new_tokens=self.max_new_tokens,
            stop_ids=stop_ids,
            num_beams=self.num_beams,
            length_penalty=self.length_penalty,
            no_repeat_ngram=self.no_repeat_ngram,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            num_return_sequences=self.num_return_sequences,
            lookup=lookup,
        )


def _within(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise UsageError(f"The {what} must be between {low} and {high}, not {value}.")

"""Two reports held against each other word by word: what the model left out, and what it wrote instead.

It is a difference of words, not of meaning: a synonym counts as different, an equal word in another sentence may count
as the same. Case and the marks around a word are no difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_MARKS = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Piece:
    """A run of words, and whether the other text has it as well."""

    text: str
    same: bool


def compared(reference: str, written: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The reference and what was written as pieces; together the pieces of each are its words in their order."""
    first, second = reference.split(), written.split()
    matcher = SequenceMatcher(None, _plain(first), _plain(second), autojunk=False)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        _add(left, first[begin:end], kind == "equal")
        _add(right, second[other_begin:other_end], kind == "equal")
    return tuple(left), tuple(right)


def _plain(words: Sequence[str]) -> list[str]:
    return [_MARKS.sub("", word).casefold() or word for word in words]


def _add(pieces: list[Piece], words: Sequence[str], same: bool) -> None:
    if words:
        pieces.append(Piece(" ".join(words), same))

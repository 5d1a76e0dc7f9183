"""Two reports held against each other, sentence by sentence and word by word.

A report may say the same in another order, so each sentence is held against the one of the other report that it shares
the most words with; one that has no such counterpart differs as a whole. It is a difference of words, not of meaning: a
synonym counts as different. Case and the marks around a word are no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIKE = 0.4
"""Share of equal words (Dice's) from which two sentences are held against each other."""

_MARKS = re.compile(r"^\W+|\W+$")
_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class Piece:
    """A run of words, and whether the other text has it as well."""

    text: str
    same: bool


def compared(reference: str, written: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The reference and what was written as pieces; together the pieces of each are its words in their order."""
    first, second = _sentences(reference), _sentences(written)
    left = [[Piece(" ".join(words), False)] for words in first]
    right = [[Piece(" ".join(words), False)] for words in second]
    for one, other in _pairs(first, second):
        left[one], right[other] = _words(first[one], second[other])
    return _joined(left), _joined(right)


def _sentences(text: str) -> list[list[str]]:
    return [words for sentence in _END.split(text) if (words := sentence.split())]


def _pairs(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Sentences that belong together, the likest first; each at most once, of equal ones the nearer."""
    bags = [[Counter(_plain(words)) for words in side] for side in (first, second)]
    found = []
    for one, left in enumerate(bags[0]):
        for other, right in enumerate(bags[1]):
            likeness = 2 * (left & right).total() / (left.total() + right.total())
            if likeness >= ALIKE:
                found.append((-likeness, abs(one - other), one, other))
    pairs: list[tuple[int, int]] = []
    for _, _, one, other in sorted(found):
        if all(one != a and other != b for a, b in pairs):
            pairs.append((one, other))
    return pairs


def _words(first: Sequence[str], second: Sequence[str]) -> tuple[list[Piece], list[Piece]]:
    matcher = SequenceMatcher(None, _plain(first), _plain(second), autojunk=False)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        left.append(Piece(" ".join(first[begin:end]), kind == "equal"))
        right.append(Piece(" ".join(second[other_begin:other_end]), kind == "equal"))
    return left, right


def _plain(words: Sequence[str]) -> list[str]:
    return [_MARKS.sub("", word).casefold() or word for word in words]


def _joined(sentences: Sequence[Sequence[Piece]]) -> tuple[Piece, ...]:
    """All pieces in their order; neighbours of one kind are one piece."""
    joined: list[Piece] = []
    for piece in (piece for sentence in sentences for piece in sentence if piece.text):
        if joined and joined[-1].same == piece.same:
            joined[-1] = Piece(f"{joined[-1].text} {piece.text}", piece.same)
        else:
            joined.append(piece)
    return tuple(joined)

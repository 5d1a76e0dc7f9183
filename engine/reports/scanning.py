"""A sentence of a report to a row of items: findings, cues, sides, joints, in order.

The vocabulary of ``lexicon`` and ``cues`` is compiled once. Where matches overlap the one that begins first wins, of
those the longest; what is left over is plain words. Knows nothing of how the items belong together.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from engine.reports import cues, lexicon
from engine.reports.vocabulary import Change, Finding, Side


class Kind(StrEnum):
    """What an item is for."""

    FINDING = "finding"
    STRUCTURE = "structure"
    STATE = "state"
    CHANGE = "change"
    NEGATION_BEFORE = "negation before"
    NEGATION_AFTER = "negation after"
    DOUBT_BEFORE = "doubt before"
    DOUBT_AFTER = "doubt after"
    SIDE = "side"
    SIZE = "size"
    SIDE_COMPARISON = "side comparison"
    REFERENCE = "reference"
    NO_REFERENCE = "no reference"
    BREAK = "break"
    JOINT = "joint"
    PREPOSITION = "preposition"
    SEEN = "seen"
    VERB = "verb"
    DETERMINER = "determiner"


@dataclass(frozen=True)
class ChangeCue:
    """A change, where its finding stands ("of": after it, "verb": before it, "any"), and whether it is weak."""

    change: Change
    place: str
    weak: bool


_PUNCTUATION = frozenset(",:;[")  # a pattern that opens with one of these has no word edge

Value = Finding | Side | ChangeCue | str


@dataclass(frozen=True)
class Item:
    """Characters ``start`` to ``end`` of the sentence, their kind, and what they mean."""

    kind: Kind
    start: int
    end: int
    text: str
    value: Value


@cache
def _patterns() -> tuple[tuple[Kind, Value, re.Pattern[str]], ...]:
    return tuple((kind, value, _compile(patterns)) for kind, value, patterns in _vocabulary())


def _vocabulary() -> Iterator[tuple[Kind, Value, tuple[str, ...]]]:
    # order decides between matches of one place and length: the earlier kind wins
    for finding, patterns in lexicon.FINDINGS:
        yield Kind.FINDING, finding, patterns
    for structure, patterns in lexicon.STRUCTURES:
        yield Kind.STRUCTURE, structure, patterns
    yield Kind.NO_REFERENCE, "", cues.NO_REFERENCES
    for change, place, weak, patterns in cues.CHANGES:
        yield Kind.CHANGE, ChangeCue(change, place, weak), patterns
    for state, patterns in lexicon.STATES:
        yield Kind.STATE, state, patterns
    yield Kind.SIDE_COMPARISON, "", cues.SIDE_COMPARISON
    yield Kind.DOUBT_AFTER, "", cues.DOUBT_AFTER
    yield Kind.DOUBT_BEFORE, "", cues.DOUBT_BEFORE
    yield Kind.SEEN, "", cues.SEEN
    yield Kind.NEGATION_AFTER, "", cues.NEGATION_AFTER
    yield Kind.NEGATION_BEFORE, "", cues.NEGATION_BEFORE
    for side, patterns in cues.SIDES:
        yield Kind.SIDE, side, patterns
    yield Kind.SIZE, "", cues.SIZES
    yield Kind.REFERENCE, "", cues.REFERENCES
    yield Kind.BREAK, "", (*cues.BREAKS, ";")
    for joint, patterns in cues.JOINTS:
        yield Kind.JOINT, joint, patterns
    yield Kind.JOINT, "comma", (",", ":", r"[()]", r"[-\u2013\u2014]+(?=\s)")
    yield Kind.PREPOSITION, "", cues.PREPOSITIONS
    yield Kind.VERB, "", cues.VERBS
    yield Kind.DETERMINER, "", cues.DETERMINERS


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression of alternatives: spaces match any white space, a pattern of words has word edges."""
    marks = [pattern for pattern in patterns if pattern[:1] in _PUNCTUATION]
    words = [pattern for pattern in patterns if pattern[:1] not in _PUNCTUATION]
    edged = [rf"(?<![\w-])(?=\w)(?:{'|'.join(words)})(?!\w)"] if words else []
    return re.compile(spaced("|".join(edged + marks)))


def spaced(pattern: str) -> str:
    """A pattern in which a space stands for any white space ("pace ?maker" for an optional one)."""
    return pattern.replace(" ?", r"\s*").replace(" ", r"\s+")


def lower(text: str) -> str:
    """Lower case without ever changing the length, so that positions stay those of ``text``."""
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


@lru_cache(maxsize=2048)  # reports repeat their sentences, and each is read for findings and for comparisons
def scan(sentence: str) -> tuple[Item, ...]:
    """The items of one sentence, in order, not overlapping. ``sentence`` may be of any case."""
    low = lower(sentence)
    waiting: list[tuple[int, int, int]] = []  # (start, -end, rank) of the next match of each pattern: a heap
    for rank in range(len(_patterns())):
        _await(waiting, low, rank, 0)
    items: list[Item] = []
    taken = 0
    while waiting:
        start, negative_end, rank = heapq.heappop(waiting)
        kind, value, _ = _patterns()[rank]
        if start >= taken:
            taken = -negative_end
            items.append(Item(kind, start, taken, low[start:taken], value))
        _await(waiting, low, rank, taken)
    return tuple(_without_false_changes(low, items))


def _await(waiting: list[tuple[int, int, int]], low: str, rank: int, position: int) -> None:
    """Put the next match of a pattern from ``position`` on into the heap."""
    match = _patterns()[rank][2].search(low, position)
    if match is not None and match.end() > match.start():
        heapq.heappush(waiting, (match.start(), -match.end(), rank))


@cache
def _around_cue() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    patient = re.compile(spaced(rf"(?:{'|'.join(cues.PATIENT_BEFORE)}) $"))
    return patient, _following(cues.NOT_ABOUT_IMAGES), _following(cues.DENSITY_NOUNS)


def _following(patterns: Iterable[str]) -> re.Pattern[str]:
    joined = "|".join(patterns)
    return re.compile(spaced(rf" (?:{joined})(?!\w)"))


def _without_false_changes(low: str, items: list[Item]) -> Iterator[Item]:
    """Drop change words about the patient ("worsening dyspnea") or about density ("increased lucency")."""
    patient, clinical, density = _around_cue()
    compared = any(item.kind is Kind.REFERENCE for item in items)
    for item in items:
        if item.kind is Kind.CHANGE:
            if clinical.match(low, item.end) or patient.search(low[: item.start]):
                continue
            plain = re.fullmatch(r"(?:increas|decreas|diminish|reduc|great|low|larg)\w+", item.text)
            if plain and not compared and density.match(low, item.end):
                continue
        yield item

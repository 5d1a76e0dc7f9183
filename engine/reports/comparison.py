"""Comparison wording: where a text speaks of an earlier image.

For the check "comparison without a prior" and the prior-hallucination rate. "No comparison available", "prior
cholecystectomy", "stable vital signs" and "increased lucency" are not comparisons. Knows wording, not findings.
"""

from __future__ import annotations

import re

from engine.reports import reading
from engine.reports.clauses import Segment, segments
from engine.reports.scanning import ChangeCue, Item, Kind, scan
from engine.reports.sentences import spans
from engine.reports.vocabulary import Change, Span

_SYMPTOM_HEADERS = re.compile(
    r"^\s*(?:indication|history|clinical (?:history|information|indication)|reason for exam(?:ination)?)\b", re.I
)
_NO_NEW = re.compile(r"\b(?:no|without|or|any)\s+new\b|\bworsening\b|\bincreasing\b", re.I)
_PLAIN_DEVICE_WORDS = re.compile(
    r"^(?:known|recurrent|ongoing|there (?:is|are) now|extubation|continued|remaining|better|lower|clear\w*|"
    r".*\bclear(?:ing|ance))$"
)


def compares(text: str) -> tuple[Span, ...]:
    """Spans of wording that compares with an earlier study, in order, not overlapping."""
    found: list[Span] = []
    for start, end in spans(text):
        sentence = text[start:end]
        if _SYMPTOM_HEADERS.match(sentence):
            continue
        found.extend(
            Span(start + item.start, start + item.end, sentence[item.start : item.end]) for item in _wording(sentence)
        )
    return tuple(found)


def _wording(sentence: str) -> list[Item]:
    """The comparing items of one sentence."""
    items = scan(sentence)
    if any(item.kind is Kind.NO_REFERENCE for item in items) and not any(_strong(item) for item in items):
        return []
    row = segments(items)
    found: list[Item] = []
    for index, segment in enumerate(row):
        for item in segment.items:
            cue = item.value
            if isinstance(cue, ChangeCue):
                if not _PLAIN_DEVICE_WORDS.match(item.text) and not _about_size(row, index, item, cue):
                    found.append(item)
            elif item.kind is Kind.REFERENCE or (item.kind is Kind.NEGATION_BEFORE and _NO_NEW.search(item.text)):
                found.append(item)
    return found


def _strong(item: Item) -> bool:
    return isinstance(item.value, ChangeCue) and not item.value.weak


def _about_size(row: list[Segment], index: int, item: Item, cue: ChangeCue) -> bool:
    """ "Enlarged" as a shape ("the heart is enlarged") compares nothing."""
    return cue.change is Change.WORSE and reading.large_by_nature(item)

"""What a reader should know about a drafted text before reading it. Looks at the text alone, not at the images."""

from __future__ import annotations

import re
from collections import Counter

from engine.drafting.draft import Check, Finish
from engine.reports.findings import compares
from engine.reports.sentences import split

LOOP = 4
"""So many times the same run of LOOP_WORDS words in one sentence, or the same sentence however short, is a loop."""
LOOP_WORDS = 4
MIN_WORDS = 3
"""Sentences shorter than this may come again ("No change.")."""


def check(text: str, *, has_prior: bool, finished: Finish) -> tuple[Check, ...]:
    """Everything noteworthy: empty, truncated, repeated, comparison without a prior."""
    found = []
    if not text.strip():
        found.append(Check("empty", "The model wrote nothing."))
    if finished == "length":
        found.append(Check("truncated", "The text was cut off at the token limit; its end is missing."))
    if finished == "cancelled":
        found.append(Check("cancelled", "The draft was stopped before it was complete."))
    if _repeats(text):
        found.append(Check("repeated", "The text repeats itself."))
    if not has_prior and compares(text):
        found.append(Check("comparison_without_prior", "The text compares with an earlier image, but none was given."))
    return tuple(found)


def _repeats(text: str) -> bool:
    """Whether a sentence comes again, or one sentence runs in a circle.

    That several sentences begin alike ("There is no evidence of ...") is how reports are written.
    """
    sentences = [tuple(re.findall(r"\w+", sentence.casefold())) for sentence in split(text)]
    if any(count > 1 and (len(words) >= MIN_WORDS or count >= LOOP) for words, count in Counter(sentences).items()):
        return True
    return any(count >= LOOP for words in sentences for count in _runs(words).values())


def _runs(words: tuple[str, ...]) -> Counter[tuple[str, ...]]:
    return Counter(words[i : i + LOOP_WORDS] for i in range(len(words) - LOOP_WORDS + 1))

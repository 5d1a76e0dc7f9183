"""Two figures as LLaVA-Med's ``run_eval.py`` computed them when it was published: to compare with, not to judge by.

They flatter. Of closed questions, an answer that holds "yes" or "no" and not the reference left the count altogether
(mended in December 2023, commit 8faf5ec); both are looked for as parts of words, so that "normal" holds "no" and a "no"
is right wherever "not" or "nodule" stands. Of open questions, the recall counts a matching word as often as the answer
repeats it. What else that code prints under other names ("exact match" is a precision, its numbers of open and closed
questions are exchanged) is not repeated here.

One thing is left out: its table of contractions ("dont" is "don't"), which matters where only one of the texts has the
apostrophe.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from engine.evaluation.statistics import Measure, mean, share

CLOSED, RECALL = "vqa_llava_med_closed", "vqa_llava_med_open_recall"

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBERS = {word: str(number) for number, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
)} | {"none": "0"}  # fmt: skip
_ARTICLES = ("a", "an", "the")


def measures(forms: Sequence[str | None], references: Sequence[str], answers: Sequence[str]) -> dict[str, Measure]:
    """Both figures in percent, each where there are questions of its form ("closed", "open")."""
    triples = list(zip(forms, references, answers, strict=True))
    scored = {
        CLOSED: share([closed(gold, said) if form == "closed" else None for form, gold, said in triples]),
        RECALL: mean([recall(gold, said) if form == "open" else None for form, gold, said in triples]),
    }
    return {key: measure for key, measure in scored.items() if measure.support.any()}


def closed(reference: str, answer: str) -> float | None:
    """1, 0, or None for an answer that left the count."""
    gold, said = normalised(reference), normalised(answer)
    if "yes" not in said and "no" not in said:
        return 0.0
    return 1.0 if gold in said else None


def recall(reference: str, answer: str) -> float:
    """Matching words of the answer over them and the words of the reference that it lacks, from 0 to 1."""
    gold, said = (Counter(normalised(text).split()) for text in (reference, answer))
    matching = sum(count for word, count in said.items() if word in gold)
    lacking = sum(count for word, count in gold.items() if word not in said)
    return matching / (matching + lacking) if matching else 0.0


def normalised(text: str) -> str:
    """Lower case without articles, number words as digits; a mark beside a blank goes, any other becomes a blank."""
    text = text.lower()
    between_digits = re.search(r"\d,\d", text) is not None
    made = text
    for mark in _MARKS:
        beside_blank = f"{mark} " in text or f" {mark}" in text
        made = made.replace(mark, "" if beside_blank or between_digits else " ")
    made = re.sub(r"\.(?!\d)", "", made)
    kept = (_NUMBERS.get(word, word) for word in made.split())
    return " ".join(word for word in kept if word not in _ARTICLES)

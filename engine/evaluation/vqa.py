"""Scores of short answers to questions about images (visual question answering).

    closed      answered by yes, by no or by one of the options a question names: right or wrong
    open        answered in free words: recall, precision and F1 over the words, and whether they are the same words

Texts are compared in lower case, without marks and articles, word by word: "no" is never found in "normal". The answer
to a yes-or-no question is the first "yes" or "no" in it; **one that says neither is wrong and stays in the count**. The
answer to a choice must contain the right option and not leave the choice open ("left or right"). Words of an open
answer are counted as often as they stand in both texts. Knows texts, not models.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.datasets.libra import Reference
from engine.evaluation import llava_med
from engine.evaluation.statistics import Measure, mean, share

Form = Literal["closed", "open"]

STEMS = ("vqa_",)
"""The beginnings of all keys here."""

ACCURACIES = ("vqa_closed_accuracy", "vqa_open_exact_match", "vqa_accuracy")
"""Scores of which every question says right or wrong: two systems are also compared by McNemar's test."""

SHORT = 5
"""Words of a reference at most that count as a short one."""

RULE = (
    "Questions count as VQA where most rows say 'answer_type' or 'question_type', or where most references have at "
    f"most {SHORT} words and either answer a text that ends in a question mark or are a mere yes or no."
)

_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")
_ARTICLES = frozenset({"a", "an", "the"})
_YES_NO = frozenset({"yes", "no"})
_CLOSED = frozenset({"closed", "close", "yes/no", "yesno", "binary", "choice", "multiple choice"})


@dataclass(frozen=True)
class Overlap:
    """How far the words of an open answer are those of the reference, each from 0 to 1; ``exact`` is 0 or 1."""

    recall: float
    precision: float
    f1: float
    exact: float


def words(text: str) -> tuple[str, ...]:
    """The words that texts are compared by: lower case, no marks, no articles; numbers keep their decimal point.

    Articles stay where there is nothing else: "A" may be the name of an option.
    """
    found = _all_words(text)
    return tuple(word for word in found if word not in _ARTICLES) or found


def form_of(reference: Reference) -> Form | None:
    """Whether the answer to a question is closed or open; None where the reference holds no word to compare with.

    What "answer_type" says counts. Else it is closed where the reference is a mere yes or no, or where the question
    offers a choice ("or") and the reference is in it.
    """
    gold = words(reference.text)
    if not gold:
        return None
    said = reference.form.strip().lower()
    if said:
        return "closed" if said in _CLOSED else "open"
    asked = words(reference.question)
    choice = "or" in asked and _within(gold, asked)
    return "closed" if (by_yes_or_no(reference.text) and len(gold) == 1) or choice else "open"


def is_vqa(references: Collection[Reference]) -> bool:
    """Whether these are short answers to questions, and no reports: `RULE`."""
    said = sum(bool(one.form or one.kind) for one in references)
    short = sum(map(_short, references))
    return max(said, short) * 2 > len(references)


def by_yes_or_no(reference: str) -> bool:
    """Whether a closed question is answered by yes or no, and not by a choice."""
    return words(reference)[:1] in (("yes",), ("no",))


def chosen(reference: str, answer: str) -> str:
    """What an answer to a closed question chooses: "yes", "no", the words of the right option, or "" for none of it."""
    gold, said = words(reference), words(answer)
    if by_yes_or_no(reference):
        return next((word for word in said if word in _YES_NO), "")
    if len(gold) == 1 and len(gold[0]) == 1 and gold[0].isalpha():  # an option's letter, as any text may hold: it leads
        return gold[0] if _all_words(answer)[:1] == gold else ""
    return " ".join(gold) if _within(gold, said) and not _left_open(gold, said) else ""


def closed_right(reference: str, answer: str) -> bool:
    """Whether the answer to a closed question is right."""
    gold = words(reference)
    wanted = gold[0] if by_yes_or_no(reference) else " ".join(gold)
    return bool(wanted) and chosen(reference, answer) == wanted


def overlap(reference: str, answer: str) -> Overlap:
    """The words of an open answer against those of the reference."""
    gold, said = Counter(words(reference)), Counter(words(answer))
    both = (gold & said).total()
    if not both:
        return Overlap(0.0, 0.0, 0.0, 0.0)
    exact = words(reference) == words(answer)
    f1 = 2 * both / (gold.total() + said.total())
    return Overlap(both / gold.total(), both / said.total(), f1, float(exact))


def measures(references: Sequence[Reference], answers: Sequence[str]) -> dict[str, Measure]:
    """All scores in percent: of all questions, and of each type of question where the rows say one."""
    items = [_item(reference, answer) for reference, answer in zip(references, answers, strict=True)]
    found = {key: measure for key, measure in _scores(items).items() if measure.support.any() or key in _WHOLE}
    for kind in sorted({reference.kind for reference in references} - {""}):
        some = [item if reference.kind == kind else {} for item, reference in zip(items, references, strict=True)]
        each = {f"{key}[{kind}]": measure for key, measure in _scores(some).items() if key in _BY_TYPE}
        found |= {key: measure for key, measure in each.items() if measure.support.any()}
    forms = [form_of(reference) for reference in references]
    return found | llava_med.measures(forms, [one.text for one in references], answers)


def questions(references: Iterable[Reference]) -> tuple[int, int]:
    """How many of the questions are closed and how many open."""
    forms = Counter(form_of(reference) for reference in references)
    return forms["closed"], forms["open"]


_BY_TYPE = ("vqa_accuracy", "vqa_score", "vqa_closed_accuracy", "vqa_open_recall", "vqa_open_precision", "vqa_open_f1",
            "vqa_open_exact_match")  # fmt: skip
_WHOLE = ("vqa_accuracy", "vqa_score")
_KEYS = (*_BY_TYPE, "vqa_neither_rate")
_SHARES = (*ACCURACIES, "vqa_neither_rate")


def _item(reference: Reference, answer: str) -> dict[str, float]:
    """The scores of one answer, by key; {} where the reference holds no word."""
    form = form_of(reference)
    if form is None:
        return {}
    if form == "closed":
        right = float(closed_right(reference.text, answer))
        silent = float(not chosen(reference.text, answer))
        by_yes_no = {"vqa_neither_rate": silent} if by_yes_or_no(reference.text) else {}
        return {"vqa_closed_accuracy": right, "vqa_accuracy": right, "vqa_score": right} | by_yes_no
    found = overlap(reference.text, answer)
    return {
        "vqa_open_recall": found.recall,
        "vqa_open_precision": found.precision,
        "vqa_open_f1": found.f1,
        "vqa_open_exact_match": found.exact,
        "vqa_accuracy": found.exact,
        "vqa_score": found.f1,
    }


def _scores(items: Sequence[dict[str, float]]) -> dict[str, Measure]:
    kinds = {key: share if key in _SHARES else mean for key in _KEYS}
    return {key: kind([item.get(key) for item in items]) for key, kind in kinds.items()}


def _all_words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(unicodedata.normalize("NFC", text.lower())))


def _within(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether ``some`` words stand one after the other among ``others``."""
    return bool(_places(some, others))


def _places(some: Sequence[str], others: Sequence[str]) -> list[int]:
    size = len(some)
    return [at for at in range(len(others) - size + 1) if tuple(others[at : at + size]) == tuple(some)]


def _left_open(gold: Sequence[str], said: Sequence[str]) -> bool:
    """Whether the option is only ever named as one of several, beside an "or"."""

    def beside(place: int) -> bool:
        end = place + len(gold)
        return "or" in (*said[max(0, place - 1) : place], *said[end : end + 1])

    return all(beside(place) for place in _places(gold, said))


def _short(reference: Reference) -> bool:
    gold = words(reference.text)
    asks = reference.question.rstrip().endswith("?")
    return 0 < len(gold) <= SHORT and (asks or (by_yes_or_no(reference.text) and len(gold) == 1))

"""What a reader should know about a drafted text before reading it. Looks at the text alone, not at the images.

Whether a text compares is told by rules of English. Of a text in another language nothing is said but that it was not
looked at; of a text in two languages the English counts.
"""

from __future__ import annotations

from collections import Counter

from engine.drafting.draft import Check, Finish
from engine.reports.findings import compares
from engine.reports.language import BILINGUAL, ENGLISH, LANGUAGES, in_english, tokens, written_in
from engine.reports.sentences import split

LOOP = 4
"""So many times the same run of LOOP_WORDS words in one sentence, or the same sentence however short, is a loop."""
LOOP_WORDS = 4
MIN_WORDS = 3
"""Sentences shorter than this may come again ("No change.")."""
CHARACTERS = 2
"""So many Chinese characters count as a word."""


def check(text: str, *, has_prior: bool, finished: Finish, language: str = ENGLISH) -> tuple[Check, ...]:
    """Everything noteworthy: empty, truncated, repeated, in another language, comparison without a prior.

    Args:
        language: in which the text was asked for. English is what is not asked for in so many words, and an answer in
            the language of a question of one's own is none in another language.
    """
    found = []
    if not text.strip():
        found.append(Check("empty", "The model wrote nothing."))
    if finished == "length":
        found.append(Check("truncated", "The text was cut off at the token limit; its end is missing."))
    if finished == "cancelled":
        found.append(Check("cancelled", "The draft was stopped before it was complete."))
    if _repeats(text):
        found.append(Check("repeated", "The text repeats itself."))
    written = written_in(text)
    if language != ENGLISH and written and written != language:
        wanted, got = LANGUAGES[language], LANGUAGES[written]
        found.append(Check("other_language", f"The text was asked for in {wanted} and is in {got}."))
    if not has_prior and compares(text):
        found.append(Check("comparison_without_prior", "The text compares with an earlier image, but none was given."))
    elif not has_prior and not in_english(text):
        found.append(Check("comparison_not_checked", NOT_CHECKED.format(LANGUAGES.get(written, "another script"))))
    return tuple(found)


NOT_CHECKED = (
    "Whether the text compares with an earlier image was not checked, because the check is for English and the text is "
    "in {}. No earlier image was given."
)


def _repeats(text: str) -> bool:
    """Whether a sentence comes again, or one sentence runs in a circle.

    That several sentences begin alike ("There is no evidence of ...") is how reports are written.
    """
    sentences = [tuple(tokens(sentence)) for sentence in split(text)]
    each = 1 if in_english(text) and written_in(text) != BILINGUAL else CHARACTERS
    again = Counter(sentences).items()
    if any(count > 1 and (len(words) >= MIN_WORDS * each or count >= LOOP) for words, count in again):
        return True
    return any(count >= LOOP for words in sentences for count in _runs(words, LOOP_WORDS * each).values())


def _runs(words: tuple[str, ...], length: int) -> Counter[tuple[str, ...]]:
    return Counter(words[i : i + length] for i in range(len(words) - length + 1))

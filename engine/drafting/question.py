"""The question put to the model: a section's published wording or the user's own, with the clinical context.

English is what the published models write unasked, and nothing is said of it. Another language is asked for in a
sentence of its own behind all else, in Chinese where the family has been taught to follow that.

What a person typed is put in as plain words: control strings in it are broken up (``plain``), and its length is
limited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import TooLong, UsageError
from engine.reports.language import BILINGUAL, CHINESE, ENGLISH, LANGUAGES

SECTIONS = {
    "findings": "Provide a detailed description of the findings in the radiology image.",
    "impression": "Provide a detailed description of the impression in the radiology image.",
}
"""The wording the published models were trained with."""

INSTRUCTIONS = {
    CHINESE: "Write in Simplified Chinese.",
    BILINGUAL: "Write all of it in English first, then all of it again in Simplified Chinese.",
}
"""What is added to the question for a language other than English."""

IN_CHINESE = {
    CHINESE: "请用简体中文书写。",
    BILINGUAL: "Write all of it in English first. 然后用简体中文将全部内容再写一遍。",
}
OWN_WORDING = {"qwen2-vl": IN_CHINESE}
"""Family -> the same in the words its models follow best; INSTRUCTIONS for all others."""

CONTEXT = " Following clinical context: "
MAX_PROMPT = 2000
MAX_CONTEXT = 4000
MAX_TURN = 20_000
MAX_STOP = 100
"""Characters."""

MAX_STOPS = 16


@dataclass(frozen=True)
class Turn:
    """A question that was put, and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Asking:
    """What is asked about a comparison, but for how the words are chosen.

    Attributes:
        section: "findings" or "impression"; not looked at when ``prompt`` is given.
        prompt: a question of one's own, instead of the section's; None or blank for none.
        context: indication, history; plain text, put with the first question.
        earlier: the turns before this question about the same images, oldest first; empty questions are the section's.
        stops: texts that end the answer as well; they are no part of it.
        language: of the report: "en", "zh", or "en+zh" for both, one after the other.
        hints: texts that the answer may repeat in part: the prior report, the section drafted before, phrases of signed
            reports. With them greedy decoding takes fewer passes; the answer is the same.
    """

    section: str = "findings"
    prompt: str | None = None
    context: str = ""
    earlier: tuple[Turn, ...] = ()
    stops: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    language: str = ENGLISH


def ask(asking: Asking, plain: Callable[[str], str], family: str = "") -> tuple[str, list[tuple[str, str]]]:
    """The question as the template takes it, and the turns before it.

    Args:
        asking: what is asked.
        plain: breaks up control strings (tokens.as_plain_text with its tokenizer).
        family: of the model, as ``ModelInfo`` has it: how it is asked for a language.

    Raises:
        UsageError: an unknown section or language; TooLong: a text that is too long.
    """
    _check(asking)
    questions = [_words(asking.section, turn.question, plain) for turn in asking.earlier]
    questions.append(_words(asking.section, asking.prompt, plain))
    if asking.context.strip():
        questions[0] += CONTEXT + plain(asking.context.strip())
    if asking.language != ENGLISH:
        questions[-1] += f"\n{OWN_WORDING.get(family, INSTRUCTIONS)[asking.language]}"
    answers = [plain(turn.answer.strip()) for turn in asking.earlier]
    return questions[-1], list(zip(questions[:-1], answers, strict=True))


def _words(section: str, prompt: str | None, plain: Callable[[str], str]) -> str:
    if prompt is not None and prompt.strip():
        return plain(prompt.strip())
    if section not in SECTIONS:
        raise UsageError(f"There is no section {section!r}; there are {', '.join(SECTIONS)}.")
    return SECTIONS[section]


def _check(asking: Asking) -> None:
    texts = (
        ("prompt", asking.prompt or "", MAX_PROMPT),
        ("clinical context", asking.context, MAX_CONTEXT),
        *(("conversation", turn.question + turn.answer, MAX_TURN) for turn in asking.earlier),
        *(("stop text", stop, MAX_STOP) for stop in asking.stops),
    )
    for what, text, most in texts:
        if len(text) > most:
            raise TooLong(f"The {what} is too long: {len(text):,} characters, at most {most:,}.")
    if asking.language not in LANGUAGES:
        raise UsageError(f"There is no language {asking.language!r} to report in; there are {', '.join(LANGUAGES)}.")
    if len(asking.stops) > MAX_STOPS or not all(stop.strip() for stop in asking.stops):
        raise UsageError(f"There may be at most {MAX_STOPS} stop texts, and none of them empty.")

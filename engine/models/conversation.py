"""Conversation templates: how a question becomes the prompt a model was trained on. Data, and one function.

A template is plain text with two places, the question's and what ends an answer. The texts (conversations.json) are
those of the published models, character for character (also where they look odd): a model answers well only to the
prompt it has seen. Where a model was evaluated with another prompt than it was trained with (the llama-3 and qwen
templates), it is the one of the evaluation. Token ids are tokens.py's business.

Libra's models are given both images at one place and were taught which is which. To others the prompt says it in
words (``render_labelled``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.models.tokens import IMAGE_TEXT

QUESTION = "{question}"

Turns = Sequence[tuple[str, str]]
"""Questions and their answers, oldest first."""


@dataclass(frozen=True)
class Template:
    """One way of asking.

    Attributes:
        name: the name in ``--conversation`` and interval.json.
        layout: the whole prompt for one question, with QUESTION in its place.
        again: how the prompt goes on after an answer with a further question; "" where the model knows only one.
        stop: text that ends an answer where the end-of-sequence token does not.
        answer: what training puts between prompt and answer, and after the answer.
    """

    name: str
    layout: str
    again: str
    stop: str
    answer: tuple[str, str]


def _read(file: Path) -> dict[str, Template]:
    entries = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: Template(name, entry["layout"], entry["again"], entry["stop"], (entry["answer"][0], entry["answer"][1]))
        for name, entry in entries.items()
    }


TEMPLATES = _read(Path(__file__).with_name("conversations.json"))


def template(name: str) -> Template:
    """The template of that name. Raises UsageError naming those there are."""
    try:
        return TEMPLATES[name]
    except KeyError:
        known = ", ".join(sorted(TEMPLATES))
        raise UsageError(f"There is no conversation template named {name!r}; there are {known}.") from None


def render(template: Template, question: str, marks: tuple[str, str] = ("", ""), earlier: Turns = ()) -> str:
    """The prompt for a question about the images: the image's place between its marks, a new line, the question.

    With ``earlier`` turns the images stand in the first of them. Raises UsageError as ``dialogue``.
    """
    return dialogue(template, f"{marks[0]}{IMAGE_TEXT}{marks[1]}\n", question, earlier)


def dialogue(template: Template, images: str, question: str, earlier: Turns = ()) -> str:
    """The prompt for ``question`` after ``earlier`` turns; ``images`` stands before the first question of all.

    Raises UsageError where the template has no place for a further question.
    """
    if not earlier:
        return template.layout.replace(QUESTION, images + question)
    if not template.again:
        raise UsageError("This model answers one question only; it cannot be asked further ones.")
    questions = [asked for asked, _ in earlier[1:]] + [question]
    before, after = template.answer
    prompt = template.layout.replace(QUESTION, images + earlier[0][0])
    for (_, answer), following in zip(earlier, questions, strict=True):
        prompt += before + answer + after + template.again.replace(QUESTION, following)
    return prompt


LABELS = (
    "Prior image:\n",
    "\nCurrent image:\n",
    "\nThe question is about the current image, compared with the prior image.\n",
)
"""Before the prior image, between the two, and after the current one."""


def render_labelled(
    template: Template, question: str, place: str, *, has_prior: bool, gap: str, earlier: Turns = ()
) -> str:
    """The prompt for one question about the current image, or about it and its prior with words for which is which.

    Args:
        place: the text that stands for an image.
        gap: what stands between a single image and the question, as in the model's training.
        earlier: turns before it; the images stand in the first.

    Raises UsageError as ``dialogue``.
    """
    return dialogue(template, labelled(place, has_prior=has_prior, gap=gap), question, earlier)


def labelled(place: str, *, has_prior: bool, gap: str) -> str:
    """What stands before the first question: one image, or the prior and the current with words for which is which."""
    before, between, after = LABELS
    return f"{before}{place}{between}{place}{after}" if has_prior else f"{place}{gap}"

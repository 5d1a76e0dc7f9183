"""Conversation templates: how a question becomes the prompt a model was trained on. Data, and one function.

A template is plain text with two places, the question's and what ends an answer. The texts are those of the published
models, character for character (also where they look odd): a model answers well only to the prompt it has seen.
Families that come later add entries here. Token ids are tokens.py's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import UsageError
from engine.models.tokens import IMAGE_TEXT

QUESTION = "{question}"


@dataclass(frozen=True)
class Template:
    """One way of asking.

    Attributes:
        name: the name in ``--conversation`` and interval.json.
        layout: the whole prompt for one question, with QUESTION in its place.
        stop: text that ends an answer where the end-of-sequence token does not.
        answer: what training puts between prompt and answer, and after the answer.
    """

    name: str
    layout: str
    stop: str
    answer: tuple[str, str] = (" ", "</s>")


def _turns(system: str) -> str:
    return f"{system} USER: {QUESTION} ASSISTANT:"


_ALL = (
    Template(
        name="libra_v1",
        layout=_turns(
            "The assistant specialized in comparing Chest X-ray images, identifying differences, "
            "and noting temporal changes."
        ),
        stop="</s>",
    ),
    Template(
        name="libra_v0",
        layout=_turns(
            "A chat between a curious human and an artificial intelligence assistant. "
            "The assistant gives helpful, detailed, and polite answers to the human's questions."
        ),
        stop="</s>",
    ),
    Template(  # upper-case role and no closing new lines: so Libra's 3B model was evaluated
        name="libra_llama_3",
        layout=(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
            "You are a helpful language and vision assistant. You are able to understand the visual content that the "
            "user provides, and assist the user with a variety of tasks using natural language."
            "The assistant specialized in comparing Chest X-ray images, identifying differences, "
            "and noting temporal changes.<|eot_id|>"
            f"<|start_header_id|>user<|end_header_id|>\n\n{QUESTION}<|eot_id|>\n"
            "<|start_header_id|>ASSISTANT<|end_header_id|>"
        ),
        stop="<|eot_id|>",
        answer=("\n\n", "<|eot_id|>"),
    ),
    Template(
        name="vicuna_v1",
        layout=_turns(
            "A chat between a curious user and an artificial intelligence assistant. "
            "The assistant gives helpful, detailed, and polite answers to the user's questions."
        ),
        stop="</s>",
    ),
)

TEMPLATES: dict[str, Template] = {template.name: template for template in _ALL}


def template(name: str) -> Template:
    """The template of that name. Raises UsageError naming those there are."""
    try:
        return TEMPLATES[name]
    except KeyError:
        known = ", ".join(sorted(TEMPLATES))
        raise UsageError(f"There is no conversation template named {name!r}; there are {known}.") from None


def render(template: Template, question: str, marks: tuple[str, str] = ("", "")) -> str:
    """The prompt for one question about the images: the image's place between its marks, a new line, the question."""
    return template.layout.replace(QUESTION, f"{marks[0]}{IMAGE_TEXT}{marks[1]}\n{question}")

"""The question put to the model: a section's published wording or the user's own, with the clinical context.

What a person typed is put in as plain words: control strings in it are broken up (``plain``), and its length is
limited.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import UsageError

SECTIONS = {
    "findings": "Provide a detailed description of the findings in the radiology image.",
    "impression": "Provide a detailed description of the impression in the radiology image.",
}
"""The wording the published models were trained with."""

CONTEXT = " Following clinical context: "
MAX_PROMPT = 2000
MAX_CONTEXT = 4000
"""Characters."""


def ask(section: str, prompt: str | None, context: str, plain: Callable[[str], str]) -> str:
    """The question as the template takes it.

    Args:
        section: a key of SECTIONS; not looked at when ``prompt`` is given.
        prompt: the user's own question, instead of a section's.
        context: indication, history; may be empty.
        plain: breaks up control strings (tokens.as_plain_text with its tokenizer).

    Raises:
        UsageError: an unknown section, or too long a text.
    """
    if prompt is None or not prompt.strip():
        if section not in SECTIONS:
            raise UsageError(f"There is no section {section!r}; there are {', '.join(SECTIONS)}.")
        question = SECTIONS[section]
    else:
        if len(prompt) > MAX_PROMPT:
            raise UsageError(f"The prompt is too long: {len(prompt):,} characters, at most {MAX_PROMPT:,}.")
        question = plain(prompt.strip())
    if len(context) > MAX_CONTEXT:
        raise UsageError(f"The clinical context is too long: {len(context):,} characters, at most {MAX_CONTEXT:,}.")
    if not context.strip():
        return question
    return question + CONTEXT + plain(context.strip())

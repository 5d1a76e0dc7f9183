"""The question as it was put when a report was drafted: what the model is to answer, without its template.

A draft keeps the whole prompt. Taken out of the template it was made with, and from behind the images' places, it is
the question with its clinical context, as training has it. Where that cannot be told, and for a report nobody drafted,
the question is made as drafting makes it, from section and context.
"""

from __future__ import annotations

import re

from engine.drafting.question import CONTEXT, SECTIONS
from engine.models.conversation import LABELS, QUESTION, TEMPLATES
from engine.records import DraftRow, ReportDetail

_PLACES = ("<image>", "<|vision_end|>")
"""What stands last before a question: the image's place, or the end of the place of Qwen2-VL's."""

_MARK = re.compile(r"\A(?:<[^<>\s]{1,20}>)?\n?")
_HISTORY = "\nHistory: "
"""How indication and history are kept in one text."""


def drafted(detail: ReportDetail) -> DraftRow | None:
    """The draft the signed sentences come from: the newest of the report itself; None where a person wrote it all."""
    own = [draft for draft in detail.drafts if not draft.answer]
    return own[-1] if own else None


def question(detail: ReportDetail) -> str:
    """The question of a report's training row, without the image's place and not yet de-identified."""
    draft = drafted(detail)
    put = put_question(draft.prompt) if draft is not None else None
    if put:
        return put
    shown = next((r for r in detail.revisions if draft is not None and r.number == draft.revision), detail.newest)
    stored = shown.indication if shown is not None else detail.report.indication
    context = _context(stored)
    return SECTIONS[detail.report.section] + (f"{CONTEXT}{context}" if context else "")


def put_question(prompt: str) -> str | None:
    """The question in a prompt with one question about images; None where no template of ours made it."""
    found: list[tuple[int, str]] = []
    for template in TEMPLATES.values():
        before, _, after = template.layout.partition(QUESTION)
        if len(prompt) >= len(before) + len(after) and prompt.startswith(before) and prompt.endswith(after):
            found.append((len(before) + len(after), prompt[len(before) : len(prompt) - len(after)]))
    if not found:
        return None
    inner = max(found)[1]
    ends = [inner.rfind(place) + len(place) for place in _PLACES if place in inner]
    if not ends:
        return None
    rest = inner[max(ends) :].removeprefix(LABELS[2])
    return _MARK.sub("", rest, count=1).strip() or None


def _context(stored: str) -> str:
    """Indication and history in the words the published models were trained with."""
    indication, _, history = stored.partition(_HISTORY)
    parts = (("Indication", indication), ("History", history))
    return "\n".join(f"{label}: {text.strip()}" for label, text in parts if text.strip())

"""Under which names a row of a training file says what: Libra's form, and LLaMA-Factory's sharegpt and alpaca forms.

    {"image": path | [current, prior], "conversations": [{"from": "human" | "gpt", "value"}, ...]}          Libra
    {"images": [paths], "messages": [{"role": "user" | "assistant", "content"}, ...], "system"?}            sharegpt
    {"images": [paths], "conversations": [{"from": "human" | "gpt", "value"}, ...], "system"?}              sharegpt
    {"images": [paths], "instruction", "input"?, "output", "history"?: [[asked, said], ...], "system"?}     alpaca

Which of these it is, the row's own keys say; a dataset_info.json may state any other names (`datasets.sharegpt`). Libra
writes one <image> for a current image and its prior, LLaMA-Factory one for each image. Nothing is checked here:
what a row lacks is given as it stands, for `libra` and `rules` to refuse. Knows names, not files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

IMAGE_TEXT = "<image>"

Settled = Literal["refuse", "question", "drop"]
"""What becomes of a system message: the row is refused, it is put before the first question, or taken away."""

MEDIA = ("<video>", "<audio>")
"""Marks that LLaMA-Factory counts as it counts <image>; no model here takes what they stand for."""

_UNTAKEN = {"videos": "videos", "audios": "audio", "tools": "tools to be called"}


@dataclass(frozen=True)
class Layout:
    """Names of columns and speakers. A column named "" is not looked for.

    Attributes:
        messages, images: the columns of a conversation and its images.
        role, content: the keys of a turn.
        user, assistant: who asks and who answers.
        system: the column of a system message.
        director: the speaker of a system message that stands before the first turn.
        each: whether every image has an <image> of its own.
        prompt, query, response, history: the columns of the alpaca form, in place of ``messages``.
    """

    messages: str = "messages"
    images: str = "images"
    role: str = "role"
    content: str = "content"
    user: str = "user"
    assistant: str = "assistant"
    system: str = "system"
    director: str = "system"
    each: bool = True
    prompt: str = ""
    query: str = ""
    response: str = ""
    history: str = ""

    def marks(self, images: int) -> int:
        """How many <image> the first turn must hold."""
        return images if self.each else 1


LIBRA = Layout("conversations", "image", "from", "value", "human", "gpt", each=False)
MESSAGES = Layout()
TAGGED = Layout("messages", "images", "from", "value", "human", "gpt")
CONVERSATIONS = Layout("conversations", "images", "from", "value", "human", "gpt")
SPOKEN = Layout("conversations")
ALPACA = Layout("conversation", prompt="instruction", query="input", response="output", history="history")


@dataclass(frozen=True)
class Said:
    """What a row says, under the names of its layout; any of it may be missing or of the wrong kind.

    Attributes:
        images: one path or a list of them.
        turns: without a system message.
        system: "" where there is none.
        untaken: what the row has beside texts and images ("videos").
    """

    layout: Layout
    images: object
    turns: object
    system: str
    untaken: tuple[str, ...] = field(default=())

    def refused(self) -> Iterator[tuple[str, str]]:
        """(kind, reason) of everything that no model here could be given."""
        if self.system:
            yield (
                "system",
                "it has a system message, which models here are not given when they are asked; 'data convert --system "
                "question' puts it before the first question, '--system drop' takes it away",
            )
        for what in self.untaken:
            yield "media", f"it has {what}; only texts and images are learnt from"


def layout_of(row: Mapping[str, Any]) -> Layout:
    """The layout that the row's keys tell; Libra's where nothing else fits."""
    if "messages" in row and "conversations" not in row:
        return TAGGED if _tagged(row["messages"]) else MESSAGES
    if "conversations" in row:
        if "image" in row or "images" not in row:
            return LIBRA
        return CONVERSATIONS if _tagged(row["conversations"], unsure=True) else SPOKEN
    return ALPACA if "instruction" in row and "image" not in row else LIBRA


def read(row: Mapping[str, Any], layout: Layout | None = None) -> Said:
    """What a row says; ``layout`` where it is known, else as its keys tell."""
    layout = layout or layout_of(row)
    if not layout.each:
        system = row.get("system")
        return Said(layout, row.get(layout.images), row.get(layout.messages), _words(system))
    turns: object = _instructed(row, layout) if layout.prompt else row.get(layout.messages)
    system = row.get(layout.system) if layout.system else None
    if isinstance(turns, list) and turns and _speaks(turns[0], layout) == layout.director and layout.director:
        system, turns = turns[0].get(layout.content) or system, turns[1:]
    images = row.get(layout.images)
    untaken = tuple(words for key, words in _UNTAKEN.items() if row.get(key))
    return Said(layout, images, turns, _words(system), untaken)


def settled(row: object, layout: Layout | None, how: Settled) -> object:
    """The row without its system message, which is put before the first question on request ("question")."""
    if how == "refuse" or not isinstance(row, dict):
        return row
    layout = layout or layout_of(row)
    said = read(row, layout)
    if not said.system:
        return row
    new = {key: value for key, value in row.items() if key != layout.system}
    if not layout.each:
        new.pop("system", None)
    before = f"{said.system.strip()}\n" if how == "question" else ""
    if layout.prompt:
        asked = row.get(layout.prompt)
        return new | {layout.prompt: before + asked} if isinstance(asked, str) else new
    if isinstance(said.turns, list):
        first, *further = said.turns or [None]
        content = first.get(layout.content) if isinstance(first, dict) else None
        if isinstance(first, dict) and isinstance(content, str):
            first = first | {layout.content: before + content}
        new[layout.messages] = [first, *further] if said.turns else []
    return new


def identified(row: object, number: int, layout: Layout | None = None) -> object:
    """The row with an id: LLaMA-Factory asks for none, so that a row of its forms without one goes by its number."""
    if isinstance(row, dict) and row.get("id") is None and (layout or layout_of(row)).each:
        return {**row, "id": f"row-{number}"}
    return row


def question(first: str) -> str:
    """The first question without its <image>. Raises ValueError where text stands between two of them."""
    before, *between, after = first.split(IMAGE_TEXT)
    if any(text.strip() for text in between):
        raise ValueError(f"text stands between the {IMAGE_TEXT} of the first turn; put them side by side before it")
    return (before + after).strip()


def _instructed(row: Mapping[str, Any], layout: Layout) -> list[object]:
    """The turns of the alpaca form: those of the history, then instruction and input as one question."""
    history = row.get(layout.history) if layout.history else None
    pairs: list[object] = [*history] if isinstance(history, list) else []
    parts = [row.get(name) for name in (layout.prompt, layout.query) if name]
    texts = [text for text in parts if isinstance(text, str) and text]
    pairs.append(["\n".join(texts), row.get(layout.response) if layout.response else None])
    turns: list[object] = []
    for pair in pairs:
        asked, said = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        turns.append({layout.role: layout.user, layout.content: asked})
        turns.append({layout.role: layout.assistant, layout.content: said})
    return turns


def _tagged(turns: object, *, unsure: bool = False) -> bool:
    """Whether turns say "from" and "value" and not "role" and "content"; ``unsure`` where they say neither."""
    first = turns[0] if isinstance(turns, list) and turns else None
    keys = first.keys() if isinstance(first, dict) else set()
    return "from" in keys if {"from", "role"} & keys else unsure


def _speaks(turn: object, layout: Layout) -> object:
    return turn.get(layout.role) if isinstance(turn, dict) else None


def _words(value: object) -> str:
    """A system message as text; anything that is none, and not nothing, is told as it stands."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    return value if isinstance(value, str) else str(value)

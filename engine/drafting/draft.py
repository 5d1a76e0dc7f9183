"""What the engine gives back: the draft with all that is needed to judge and repeat it, and the events of a stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.drafting.settings import Decoding
from engine.models.loaded import ModelInfo

__all__ = ["Check", "Draft", "Event", "ImageUse", "ModelInfo", "Progress", "Scored", "Timings", "Token"]

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Progress:
    """A stage has begun: "images", "prompt" or "writing"; ``fraction`` of the whole draft where it is known."""

    stage: str
    fraction: float | None
    message: str


@dataclass(frozen=True)
class Token:
    """One more token. ``text_so_far`` is what to show; ``delta`` is what was added to it.

    A served model writes pieces of text: their ``id`` is -1.

    With beams it is the leading beam: where another one takes the lead the text changes, and ``delta`` is "".
    """

    id: int
    text_so_far: str
    delta: str


@dataclass(frozen=True)
class ImageUse:
    """An image that went into a draft: ``role`` is "current" or "prior"."""

    sha256: str
    role: str
    view: str


@dataclass(frozen=True)
class Check:
    """Something a reader should know about the text; ``code`` for programs, ``message`` for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Scored:
    """One of several sequences.

    ``score`` is a beam's ranking score, None for samples; ``log_probabilities`` are the model's own, one for each
    token, before bans and temperature; a cancelled sequence has none.
    """

    text: str
    token_ids: tuple[int, ...]
    score: float | None
    log_probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Timings:
    """Seconds, measured from the start of this draft (``load_s``: the loading of the model before it).

    ``passes``: forward passes of the language model after the prompt's; fewer than ``tokens`` where hints helped.
    ``reused_positions``: of the prompt, taken from the draft before. ``together``: drafts written side by side; encode
    and prefill are this one's own, decode is its equal share, and first token and whole are the sums of these, so that
    the wholes of all drafts add up to the time that passed. ``peak_memory_bytes`` is that of all of them.
    """

    load_s: float
    encode_s: float
    prefill_s: float
    first_token_s: float
    decode_s: float
    total_s: float
    tokens: int
    peak_memory_bytes: int
    passes: int = 0
    reused_positions: int = 0
    together: int = 1


@dataclass(frozen=True)
class Draft:
    """A drafted text. It is a proposal: nobody has read it yet.

    Attributes:
        text: the best sequence as text; token_ids: its ids, the stop id included.
        prompt_token_ids: the prompt's ids, -200 for the image; prompt: the same as text. A served model says no ids.
        sequences: all returned sequences, best first.
        decoding: every setting as it was used.
        checks: what a reader should know, may be empty.
        has_prior: False where the current image stood in for a missing prior.
        finished: "stop" (the model ended it), "length" (cut off), "cancelled" (by the user; never to be signed).
        language: in which the report was asked for: "en", "zh", or "en+zh" for both.
    """

    text: str
    token_ids: tuple[int, ...]
    prompt_token_ids: tuple[int, ...]
    sequences: tuple[Scored, ...]
    model: ModelInfo
    decoding: Decoding
    prompt: str
    images: tuple[ImageUse, ...]
    checks: tuple[Check, ...]
    timings: Timings
    has_prior: bool
    finished: Finish
    language: str = "en"

    def to_json(self) -> dict[str, Any]:
        """The draft as plain values for JSON; ``sequences`` only when there is more than one."""
        values = asdict(self)
        values["log_probabilities"] = self.sequences[0].log_probabilities
        if len(self.sequences) == 1:
            del values["sequences"]
        return values


Event = Progress | Token | Draft

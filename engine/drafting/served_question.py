"""What a served model is asked with: messages and pictures that become, behind a server, the prompt of our own engine.

A server puts messages into the prompt by the model's chat template, and pictures into the model by its processor. Both
are the server's. What is sent is such that with the templates of the published models the model sees what it sees when
it runs here: the same system text, the same words for prior and current and in the same order, pictures of the same
pixels. Of an image nothing leaves but those pixels.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow

from engine.drafting.comparison import Comparison
from engine.errors import UsageError
from engine.imaging.display import to_pil
from engine.imaging.types import Image
from engine.models import languages
from engine.models.conversation import LABELS, Turns, render_labelled, template
from engine.models.preprocessing import Bounds
from engine.models.qwen_pictures import resized
from engine.models.record import PIXELS, Record

CONTROLS = re.compile(
    r"<(?=\|[^\s<>]*\|>|/?(?:s|image|video|unk|pad|bos|eos|mask|tool_call|start_of_turn|end_of_turn)>)"
)
"""Where a control string of a served model may begin; which ones its tokenizer has, nobody here can see."""


@dataclass(frozen=True)
class Manner:
    """How the models of a family are asked.

    Attributes:
        name: of the conversation template, as the engine names it.
        family: for people.
        system: the system text.
        place, gap: what stands for an image in the prompt, and between a single one and the question.
        shrinks: whether pictures are brought within bounds where none are stated, as for training.
    """

    name: str
    family: str
    system: str
    place: str
    gap: str
    shrinks: bool

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages its reports are written in, as BCP 47 tags."""
        return languages.of(Record(), languages.FAMILIES.get(self.name, ""))


MANNERS = {
    manner.name: manner
    for manner in (
        Manner(
            "qwen2_vl",
            "Qwen2-VL",
            "You are a helpful assistant.",
            "<|vision_start|><|image_pad|><|vision_end|>",
            "",
            True,
        ),
        Manner(
            "vicuna_v1",
            "LLaVA-1.5",
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions.",
            "<image>",
            "\n",
            False,
        ),
    )
}


def manner(conversation: str | None, model: str) -> Manner:
    """How a served model is asked: as told, else as its name suggests, else as Qwen2-VL is.

    Raises UsageError for a template that is none of these.
    """
    if conversation:
        if conversation not in MANNERS:
            raise UsageError(f"A served model is asked in one of {', '.join(MANNERS)}; there is no {conversation!r}.")
        return MANNERS[conversation]
    return MANNERS["vicuna_v1" if "llava" in model.lower() else "qwen2_vl"]


def plain(text: str) -> str:
    """``text`` with every control string in it broken by a space ("<image>" -> "< image>")."""
    return CONTROLS.sub("< ", text)


def prompt(how: Manner, question: str, earlier: Turns, *, has_prior: bool) -> str:
    """The prompt that the messages become, as our own engine writes it."""
    return render_labelled(template(how.name), question, how.place, has_prior=has_prior, gap=how.gap, earlier=earlier)


def messages(how: Manner, question: str, earlier: Turns, pictures: Sequence[str]) -> list[dict[str, Any]]:
    """The same as messages of chat completions.

    Args:
        earlier: turns before the question; the pictures stand in the first.
        pictures: data URLs of the prior, where there is one, and the current image.
    """
    first, *others = [asked for asked, _ in earlier] + [question]
    before, between, after = LABELS
    images = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    content = (
        [_text(before), images[0], _text(between), images[1], _text(after + first)]
        if len(images) == 2
        else [images[0], _text(first)]
    )
    said: list[dict[str, Any]] = [{"role": "system", "content": how.system}, {"role": "user", "content": content}]
    for (_, answer), following in zip(earlier, others, strict=True):
        said += [{"role": "assistant", "content": answer}, {"role": "user", "content": following}]
    return said


def bounds(how: Manner, least: int | None, most: int | None) -> Bounds | None:
    """What pictures are brought within before they are sent; None where they go as they are.

    Raises UsageError for numbers that cannot be.
    """
    for pixels in (least, most):
        if pixels is not None and pixels not in PIXELS:
            raise UsageError(f"The bounds of a picture must be from {PIXELS[0]:,} to {PIXELS[-1]:,} pixels.")
    if least is not None and most is not None and least > most:
        raise UsageError("The fewest pixels of a picture are more than the most.")
    stated = least is not None or most is not None
    return Bounds.stated(least, most) if stated or how.shrinks else None


def pictures(how: Manner, within: Bounds | None, comparison: Comparison) -> list[str]:
    """The prior, where there is one, and the current image, as data URLs."""
    shown = [comparison.current] if comparison.prior is None else [comparison.prior, comparison.current]
    return [_data_url(_picture(how, within, image)) for image in shown]


def trial(how: Manner, within: Bounds | None) -> list[str]:
    """Two pictures of nobody, as large as those of a comparison: whether a server takes such can be tried with them."""
    shade = Pillow.linear_gradient("L").resize((900, 1100))
    return [_data_url(_shown(how, within, picture)) for picture in (shade, shade.rotate(180))]


def _picture(how: Manner, within: Bounds | None, image: Image) -> Pillow.Image:
    """An image as it is displayed, resized as before our own processor, RGB."""
    return _shown(how, within, to_pil(image))


def _shown(how: Manner, within: Bounds | None, picture: Pillow.Image) -> Pillow.Image:
    if within is None:
        return picture.convert("RGB")
    if how.name == "qwen2_vl":
        return resized(picture, within)
    return within.apply(picture)


def _data_url(picture: Pillow.Image) -> str:
    """A PNG of the pixels and nothing else: made from the bare array, so that it can carry no word of a file."""
    out = io.BytesIO()
    Pillow.fromarray(np.asarray(picture)).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}

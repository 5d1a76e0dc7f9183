"""How conversations about pictures become a model's ids, without its weights: what training on them has to know.

For the families whose prompts are tokenised as a whole, each picture's place being a token that is repeated once for
every image token (Qwen2-VL, LLaVA). The texts are those that drafting makes, so that a model learns what it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.models.conversation import dialogue, labelled
from engine.models.splicing import expand
from engine.models.tokens import as_plain_text, encode_whole

if TYPE_CHECKING:
    from engine.models.conversation import Template


@dataclass(frozen=True)
class Wording:
    """One model's way with conversations.

    Attributes:
        tokenizer: transformers'.
        template: how its prompts are made.
        place, gap: the text that stands for a picture, and what is between a single one and the question.
        image: the token in ``place`` that is repeated.
        positions: image tokens of a picture of this width and height, pixels.
    """

    tokenizer: Any
    template: Template
    place: str
    gap: str
    image: str
    positions: Callable[[int, int], int]

    @cached_property
    def image_id(self) -> int:
        """The id of ``image``."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image))

    def images(self, has_prior: bool) -> str:
        """The text before the first question: one picture, or the prior and then the current one."""
        return labelled(self.place, has_prior=has_prior, gap=self.gap)

    def prompt(self, question: str, sizes: Sequence[tuple[int, int]]) -> list[int]:
        """The ids of a question that is to be answered, as drafting makes them.

        Args:
            sizes: width and height of the picture, or of the prior and the current one.
        """
        text = dialogue(self.template, self.images(len(sizes) > 1), as_plain_text(self.tokenizer, question))
        ids = encode_whole(self.tokenizer, text, self.image_id)
        return expand(ids, [self.positions(*size) for size in sizes], self.image_id)

"""A request as it is put to the model, and the draft that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.decoding.choosing import Answer
from engine.drafting.checks import check
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, Finish, ImageUse, ModelInfo, Scored, Timings
from engine.drafting.settings import Decoding
from engine.drafting.writing import Writer
from engine.imaging.types import Image


@dataclass(frozen=True)
class Request:
    """A question about a comparison.

    Attributes:
        comparison: what it is about.
        prompt, prompt_ids: as text and as ids, -200 for an image.
        positions: of the prompt, the images' included.
        decoding: every setting as it is used.
        writer: turns the answer's ids into text, and knows the texts that end it.
        hints: as ids.
        notes: what a reader should know of how it was drafted.
    """

    comparison: Comparison
    prompt: str
    prompt_ids: list[int]
    positions: int
    decoding: Decoding
    writer: Writer
    hints: tuple[tuple[int, ...], ...]
    notes: tuple[Check, ...] = ()

    def draft(self, model: ModelInfo, answers: Sequence[Answer], finished: Finish, timings: Timings) -> Draft:
        """The draft that these answers make, best first."""
        text = self.writer.text(answers[0].token_ids)
        has_prior = self.comparison.prior is not None
        return Draft(
            text=text,
            token_ids=answers[0].token_ids,
            prompt_token_ids=tuple(self.prompt_ids),
            sequences=tuple(
                Scored(self.writer.text(a.token_ids), a.token_ids, a.score, a.log_probabilities) for a in answers
            ),
            model=model,
            decoding=self.decoding,
            prompt=self.prompt,
            images=tuple(ImageUse(image.sha256, role, image.view.value) for role, image in images(self.comparison)),
            checks=(*check(text, has_prior=has_prior, finished=finished), *self.notes),
            timings=timings,
            has_prior=has_prior,
            finished=finished,
        )


def images(comparison: Comparison) -> Iterator[tuple[str, Image]]:
    """The images and what each is: "current", "prior"."""
    yield "current", comparison.current
    if comparison.prior is not None:
        yield "prior", comparison.prior

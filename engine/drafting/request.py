"""A request as it is put to the model, and the draft that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.drafting.checks import check
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, Finish, ImageUse, ModelInfo, Scored, Timings
from engine.drafting.question import Asking
from engine.drafting.settings import Decoding
from engine.drafting.writing import Writer
from engine.errors import InputError, UsageError
from engine.imaging.types import Image
from engine.reports.language import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    # Not at run time: it brings torch, and who asks a server needs it not.
    from engine.decoding.choosing import Answer


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
        language: in which the report is asked for.
    """

    comparison: Comparison
    prompt: str
    prompt_ids: list[int]
    positions: int
    decoding: Decoding
    writer: Writer
    hints: tuple[tuple[int, ...], ...]
    notes: tuple[Check, ...] = ()
    language: str = ENGLISH

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
            checks=(*check(text, has_prior=has_prior, finished=finished, language=self.language), *self.notes),
            timings=timings,
            has_prior=has_prior,
            finished=finished,
            language=self.language,
        )


def images(comparison: Comparison) -> Iterator[tuple[str, Image]]:
    """The images and what each is: "current", "prior"."""
    yield "current", comparison.current
    if comparison.prior is not None:
        yield "prior", comparison.prior


def check_modalities(model: ModelInfo, comparison: Comparison) -> None:
    """Raise InputError for an image of a modality that the model does not read."""
    for role, image in images(comparison):
        if not model.reads(image.modality):
            raise InputError(
                f"The {role} image is of the modality {image.modality}, and the model {model.name} "
                f"reads {' and '.join(model.modalities)} only."
            )


def check_language(model: ModelInfo, asking: Asking) -> None:
    """Raise UsageError where the report is asked for in a language that the model does not write.

    English is what nothing is said of in the question: a model that writes another language writes that, unasked.
    """
    if asking.language != ENGLISH and not model.writes(asking.language):
        known = " and ".join(LANGUAGES.get(tag.split("-")[0], tag) for tag in model.languages)
        wanted = LANGUAGES.get(asking.language, asking.language)
        raise UsageError(
            f"The model {model.name} writes {known} only, not {wanted}. Ask it for a report in {known}, or choose a "
            f"model that writes {wanted}."
        )

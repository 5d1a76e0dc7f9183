"""The draft that is kept when the engine stopped in the middle of it: what had arrived by then, marked "cancelled".

It is a draft like one the user stopped, and like that one never to be signed. Watches the events of one request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from engine.drafting.checks import check
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, ImageUse, ModelInfo, Progress, Scored, Timings, Token
from engine.drafting.messages import Asked
from engine.imaging.types import Image


class Unfinished:
    """What has arrived of one request. ``text`` is what the reader has seen of it."""

    def __init__(self, comparison: Comparison, language: str) -> None:
        self.text = ""
        self._language = language
        self._comparison = comparison
        self._asked: Asked | None = None
        self._ids: list[int] = []
        self._began = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._first_token = 0.0

    def asked(self, asked: Asked) -> None:
        """The question has been put."""
        self._asked = asked

    def progress(self, progress: Progress) -> None:
        """A stage has begun."""
        self._stages[progress.stage] = self._now()

    def token(self, token: Token) -> None:
        """One more token."""
        self._first_token = self._first_token or self._now()
        self._ids.append(token.id)
        self.text = token.text_so_far

    def draft(self, model: ModelInfo, reason: str) -> Draft | None:
        """What there is, with ``reason`` as one of its checks; None where nothing was written yet.

        Of beams the ids are not known: each token was the last one of the beam that led at the time. Nor are those of a
        served model.
        """
        asked = self._asked
        if asked is None or not self.text.strip():
            return None
        ids = tuple(self._ids) if asked.decoding.num_beams == 1 and min(self._ids) >= 0 else ()
        has_prior = self._comparison.prior is not None
        return Draft(
            text=self.text,
            token_ids=ids,
            prompt_token_ids=asked.token_ids,
            sequences=(Scored(self.text, ids, None),),
            model=model,
            decoding=asked.decoding,
            prompt=asked.prompt,
            images=tuple(_uses(self._comparison)),
            checks=(
                *check(self.text, has_prior=has_prior, finished="cancelled", language=self._language),
                Check("engine_stopped", reason),
            ),
            timings=self._timings(),
            has_prior=has_prior,
            finished="cancelled",
            language=self._language,
        )

    def _timings(self) -> Timings:
        now = self._now()
        images, prompt, writing = (self._stages.get(stage, now) for stage in ("images", "prompt", "writing"))
        return Timings(
            load_s=0.0,
            encode_s=prompt - images,
            prefill_s=writing - prompt,
            first_token_s=self._first_token,
            decode_s=now - writing,
            total_s=now,
            tokens=len(self._ids),
            peak_memory_bytes=0,  # nobody is left to say
        )

    def _now(self) -> float:
        return time.perf_counter() - self._began


def _uses(comparison: Comparison) -> Iterator[ImageUse]:
    images: tuple[tuple[str, Image | None], ...] = (("current", comparison.current), ("prior", comparison.prior))
    for role, image in images:
        if image is not None:
            yield ImageUse(image.sha256, role, image.view.value)

"""The engine: one loaded model that drafts.

A draft is: look at the images (once each; what was seen of an image is kept), put the question, write. ``stream`` does
it as a generator of events, so that whoever iterates sees every token and cancels by ceasing to; ``draft`` is its last
event, and ``draft_many`` writes many side by side. The engine keeps nothing of a patient but the features of the last
images, by the hash of their files, and the last prompt as the language model saw it: a second question about the same
study is answered much sooner.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from engine.decoding.choosing import Answer, Outcome
from engine.decoding.generate import generate
from engine.decoding.session import Session
from engine.drafting.batches import Alone, Batches, BatchSize, Item, Result
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, Event, Finish, ModelInfo, Progress, Timings, Token
from engine.drafting.fitting import Choice, Rung, below, choose, ran_out
from engine.drafting.question import Asking, ask
from engine.drafting.request import Request, check_language, check_modalities, images
from engine.drafting.settings import Decoding
from engine.drafting.source import Source
from engine.drafting.writing import Writer
from engine.errors import ResourceError, TooLong, UsageError
from engine.imaging.display import to_pil
from engine.imaging.types import Image
from engine.models.checkpoint import choose_device, choose_dtype
from engine.models.loaded import LoadedModel
from engine.models.memory import give_back, held, memory_errors
from engine.models.quantisation import check as check_method
from engine.models.tokens import as_plain_text

log = logging.getLogger(__name__)

KEPT_IMAGES = 16
"""Images whose features are kept: 4 MB each for a published model."""

FINDINGS = Asking()

NO_MEMORY = "There is not enough memory for this draft. Fewer beams or a smaller dtype (bfloat16) need less."


class Engine:
    """One loaded model.

    Attributes:
        info: which model, from where, in which dtype.
        warnings: sentences for the user about how it was loaded.
        plan: the memory it takes; None where nothing can be said.
    """

    def __init__(
        self, loaded: LoadedModel, load_s: float = 0.0, *, source: Source | None = None, choice: Choice | None = None
    ) -> None:
        self._load_s = load_s
        self._source = source
        self._note = choice.note if choice is not None else ""
        self._features: OrderedDict[str, Tensor] = OrderedDict()
        self._last: Session | None = None
        self._missing: Rung | None = None
        self.plan = choice.plan if choice is not None else None
        self._hold(loaded)

    def _hold(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.info: ModelInfo = loaded.info
        self.warnings = (*loaded.warnings, self._note) if self._note else loaded.warnings

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        base: str | Path | None = None,
        adapter: str | Path | None = None,
        dtype: str = "auto",
        quantization: str = "auto",
        device: str = "auto",
        beams: int = 1,
        conversation: str | None = None,
        tower: str | Path | None = None,
        threads: int | None = None,
    ) -> Engine:
        """Load the model in the folder ``path``.

        Args:
            path: a full checkpoint, or an adapter or a projector over a base.
            base: the base of an adapter or projector, instead of the one it names.
            adapter: an adapter folder to put on ``path``.
            dtype: "float32", "bfloat16", "float16"; "auto": bfloat16 on a GPU, else float32; "fastest": bfloat16 also
                on a CPU that computes in it.
            quantization: "int8" or "nf4" for the language model's layers, "none", or "auto": what fits into the memory
                there is (fitting.py); then a smaller dtype and the CPU are tried as well.
            device: "cpu", "cuda", or "auto": a GPU if there is one.
            beams: of the drafts that memory is planned for.
            conversation: name of a conversation template, instead of the one the folder or the catalogue says.
            tower: folder of the vision tower, instead of the one the checkpoint names.
            threads: processor threads of the whole program; PyTorch's choice unless given.

        Raises:
            ModelError: the folder cannot be used; ``problems`` lists everything wrong.
            ResourceError: not enough memory.
            UsageError: an unknown option.
        """
        began = time.perf_counter()
        if threads is not None:
            if not 1 <= threads <= 1024:
                raise UsageError("The number of threads must be between 1 and 1024.")
            torch.set_num_threads(threads)
        source = Source(path, base, adapter, tower, conversation)
        place = choose_device(device)
        computed = str(choose_dtype(dtype, place)).removeprefix("torch.")
        method = "none" if quantization == "auto" else check_method(quantization)
        wished = Rung(place.type, computed, method, beams)
        if quantization == "auto":
            choice = choose(wished, source.plan, source.name)
        else:
            choice = Choice(wished, source.plan(wished))
        return cls(source.load(choice.rung), time.perf_counter() - began, source=source, choice=choice)

    def draft(self, comparison: Comparison, asking: Asking = FINDINGS, *, decoding: Decoding | None = None) -> Draft:
        """The finished draft; ``stream`` without the events. Arguments and errors as there."""
        events = self.stream(comparison, asking, decoding=decoding)
        return next(event for event in events if isinstance(event, Draft))

    def draft_many(
        self, items: Sequence[Item], *, decoding: Decoding | None = None, batch_size: BatchSize = "auto"
    ) -> Iterator[Result]:
        """Draft many requests, side by side where that can be done: greedily, one answer each.

        Gives the place of each item among ``items`` with its draft as soon as there is one, in no order, or with the
        error that this item has: one that cannot be drafted holds up no other. Beams and samples, and all where the
        size is 1, are drafted one after the other in order. A draft is the one ``draft`` gives; the smaller dtypes
        round differently in a batch. Its ``timings`` hold an equal share of the time the batch was written in, so that
        those of all drafts add up. Where memory runs out, half as many go on.

        Args:
            items: comparisons with what is asked about each.
            decoding: the same for all; greedy unless given.
            batch_size: drafts written at once, at most; "auto" for as many as the free memory allows, 16 at most.

        Raises:
            UsageError: an impossible ``batch_size``.
        """
        decoding = decoding or Decoding()
        alone = Alone(
            self._present, partial(self._request, decoding=decoding), self._see, partial(self.draft, decoding=decoding)
        )
        return Batches(alone, self._load_s, decoding, batch_size).run(items)

    def asked(
        self, comparison: Comparison, asking: Asking = FINDINGS, *, decoding: Decoding | None = None
    ) -> tuple[str, list[int], Decoding]:
        """What ``stream`` puts to the model for these arguments: the prompt, its ids, and every setting as it is used.

        No image is looked at. Raises the UsageError and InputError of ``stream``.
        """
        request = self._request(comparison, asking, decoding=decoding)
        return request.prompt, request.prompt_ids, request.decoding

    def stream(
        self,
        comparison: Comparison,
        asking: Asking = FINDINGS,
        *,
        decoding: Decoding | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """Draft as a stream: Progress, then a Token per token, the Draft last.

        Stop iterating (``break``, ``close()``) to cancel and get nothing; or let ``cancelled``, asked after every
        token, return True to get what was written so far as a Draft that is marked "cancelled".

        Args:
            comparison: without a prior Libra's models get the current image in its place, as published.
            asking: the findings unless given.
            decoding: greedy unless given.

        Raises (while iterating):
            UsageError: an unknown section, a language the model does not write, or a further question to a model that
                answers one only.
            TooLong: a text is too long, or all of them together for the model.
            ModelError: the model computed NaN.
            InputError: an image of a modality the model does not read.
            ResourceError: not enough memory.
        """
        wanted = self._request(comparison, asking, decoding=decoding).decoding
        notes: list[Check] = []
        rungs = below(Rung(self._loaded.device.type, self.info.dtype, self.info.quantization, wanted.num_beams))
        first = rung = next(rungs)
        while True:
            try:
                yield from self._written(comparison, asking, wanted.with_beams(rung.beams), notes, cancelled)
                return
            except ResourceError:
                lower = next(rungs, None)
                reloads = lower is not None and replace(lower, beams=rung.beams) != rung
                if lower is None or (reloads and self._source is None) or (cancelled is not None and cancelled()):
                    raise
            yield Progress("memory", None, f"There is not enough memory: it is begun again in {lower.words()}")
            if reloads:
                self._reload(lower)
            notes = [Check("memory", ran_out(first, lower))]
            rung = lower

    def _written(
        self,
        comparison: Comparison,
        asking: Asking,
        decoding: Decoding,
        notes: Sequence[Check],
        cancelled: Callable[[], bool] | None,
    ) -> Iterator[Event]:
        """One attempt of ``stream``; ResourceError where memory runs out in it."""
        clock = _Clock(self._load_s, self._loaded.device)
        loaded = self._loaded
        request = self._request(comparison, asking, decoding=decoding, notes=notes)
        writer = request.writer

        yield Progress("images", 0.0, "Looking at the images")
        with memory_errors(NO_MEMORY):
            current = self._see(comparison.current)
            prior = None if comparison.prior is None else self._see(comparison.prior)
        clock.mark("encode")

        yield Progress("prompt", None, "Reading the question")
        with memory_errors(NO_MEMORY):
            put = loaded.embed(request.prompt_ids, current, prior)
            session = Session(
                loaded.language_model,
                put.embeddings,
                put.positions,
                put.next_position,
                boundary=put.boundary,
                after=self._take_last(),
            )
        clock.mark("prefill")

        yield Progress("writing", None, "Writing")
        answers: tuple[Answer, ...] = ()
        finished: Finish = "length"
        shown = ""
        settings = request.decoding.settings(loaded.stop_ids, request.hints)
        steps = generate(session, request.prompt_ids, settings, writer.ends)
        try:
            while True:
                with memory_errors(NO_MEMORY):
                    step = next(steps)
                if isinstance(step, Outcome):
                    answers = step.sequences
                    finished = "stop" if answers[0].stopped else "length"
                    break
                clock.token()
                text = writer.text_so_far(step.token_ids)
                yield Token(step.token_ids[-1], text, text[len(shown) :] if text.startswith(shown) else "")
                shown = text
                if cancelled is not None and cancelled():
                    answers, finished = (Answer(step.token_ids, None, False),), "cancelled"
                    break
        finally:
            self._last = session.rest()
        clock.mark("decode")

        draft = request.draft(self.info, answers, finished, clock.timings(session))
        log.info("drafted %d tokens with %s, %s", len(draft.token_ids), self.info.sha256[:12], finished)
        yield draft

    def _present(self) -> LoadedModel:
        """The model; loaded now where the last attempt to do so failed."""
        if self._missing is not None:
            self._reload(self._missing)
        return self._loaded

    def _reload(self, rung: Rung) -> None:
        """Take the same model with less memory, the one in memory given up first."""
        assert self._source is not None
        began = time.perf_counter()
        log.info("memory ran out; loading %s in %s", self.info.sha256[:12], rung.precision)
        self._features.clear()
        self._last = None
        self.__dict__.pop("_loaded", None)
        self._missing = rung  # until it is there: should this fail, the next request tries again
        gc.collect()  # quantised layers and their weights hold each other
        give_back()
        self._hold(self._source.load(rung))
        self._missing = None
        self._load_s = time.perf_counter() - began

    def _take_last(self) -> Session | None:
        """The last session, which goes with whoever takes it: its cache must not be there beside the next one's."""
        last, self._last = self._last, None
        return last

    def _request(
        self, comparison: Comparison, asking: Asking, *, decoding: Decoding | None, notes: Sequence[Check] = ()
    ) -> Request:
        """What these arguments put to the model. Raises the UsageError and InputError of ``stream``."""
        loaded = self._present()
        check_modalities(self.info, comparison)
        check_language(self.info, asking)
        question, earlier = ask(asking, lambda text: as_plain_text(loaded.tokenizer, text), self.info.family)
        prompt, prompt_ids = loaded.ask(question, has_prior=comparison.prior is not None, earlier=earlier)
        positions = loaded.positions(prompt_ids, [(image.columns, image.rows) for _, image in images(comparison)])
        if loaded.room <= positions:
            raise TooLong("The prompt and its clinical context are too long for this model; shorten the context.")
        writer = Writer(loaded.tokenizer, loaded.stop_text, asking.stops)
        return Request(
            comparison,
            prompt,
            prompt_ids,
            positions,
            (decoding or Decoding()).resolved(loaded.room - positions),
            writer,
            tuple(map(writer.ids, asking.hints)),
            (*([Check("memory", self._note)] if self._note else ()), *notes),
            asking.language,
        )

    def _see(self, image: Image) -> Tensor:
        """What the model keeps of one image; kept here by the hash of the image's file."""
        known = self._features.get(image.sha256)
        if known is None:
            known = self._features[image.sha256] = self._loaded.see(to_pil(image))
        self._features.move_to_end(image.sha256)
        while len(self._features) > KEPT_IMAGES:
            self._features.popitem(last=False)
        return known


class _Clock:
    """Takes the times of one draft and watches the memory."""

    def __init__(self, load_s: float, device: torch.device) -> None:
        self._load_s = load_s
        self._device = device
        self._peak = 0
        self._tokens = 0
        self._first_token = 0.0
        self._stages: dict[str, float] = {}
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._began = self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        """The stage ends now."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self._stages[stage] = now - self._last
        self._last = now
        self._watch()

    def token(self) -> None:
        """A token has arrived."""
        self._tokens += 1
        if self._tokens == 1:
            self._first_token = time.perf_counter() - self._began
        if self._tokens % 16 == 0:
            self._watch()

    def timings(self, session: Session) -> Timings:
        """All of it, with what ``session`` has counted."""
        return Timings(
            load_s=self._load_s,
            encode_s=self._stages["encode"],
            prefill_s=self._stages["prefill"],
            first_token_s=self._first_token,
            decode_s=self._stages["decode"],
            total_s=time.perf_counter() - self._began,
            tokens=self._tokens,
            peak_memory_bytes=self._peak,
            passes=session.passes,
            reused_positions=session.reused,
        )

    def _watch(self) -> None:
        self._peak = max(self._peak, held(self._device))

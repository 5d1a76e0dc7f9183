"""Many requests at once: those that can be are decoded side by side, the others one by one.

Requests are sorted by the length of their prompts and taken in batches whose prompts are about as long, so that little
is padded. Each image is looked at once, each prompt is read by itself, and the answers are written together
(engine.decoding.batch). In float32 a draft is the one its request gets alone; in the smaller dtypes a product of
several rows rounds differently than that of one, and two tokens the model finds equally likely may change places.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from engine.decoding.batch import Batch, Row, greedy
from engine.decoding.session import Session
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Draft, Finish, Timings
from engine.drafting.question import Asking
from engine.drafting.request import Request, images
from engine.drafting.settings import Decoding
from engine.errors import IntervalError, ModelError, ResourceError, UsageError
from engine.imaging.types import Image
from engine.models.loaded import LoadedModel
from engine.models.memory import free, give_back, held, memory_errors

log = logging.getLogger(__name__)

BatchSize = int | Literal["auto"]
Item = tuple[Comparison, Asking]
Result = tuple[int, Draft | IntervalError]
"""The place of an item among those given, and what became of it."""

AUTO = 16
"""Rows at most where the size is chosen here."""

MOST = 64
"""Rows at most."""

SHARE = 0.5
"""Of the free memory, that a batch may fill with keys and values: the rest is for the images and working memory."""

LONGER = 1.25
"""The longest prompt of a batch over its shortest: what a row is padded with costs memory and reading."""

NO_MEMORY = "There is not enough memory for so many drafts at once."


@dataclass(frozen=True)
class Alone:
    """What the engine does for one request.

    Attributes:
        model: the model as it is now; the engine may take it anew in another precision when memory runs out.
        request: checks it; raises UsageError and InputError.
        see: what the model keeps of an image.
        draft: drafts it by itself.
    """

    model: Callable[[], LoadedModel]
    request: Callable[[Comparison, Asking], Request]
    see: Callable[[Image], Tensor]
    draft: Callable[[Comparison, Asking], Draft]


@dataclass(frozen=True)
class _Waiting:
    place: int
    item: Item
    request: Request


@dataclass(frozen=True)
class _Read:
    """A request whose prompt has been read, and the seconds that took."""

    waiting: _Waiting
    session: Session
    encode_s: float
    prefill_s: float


class Batches:
    """Drafts many requests with one model.

    Args:
        alone: what the engine does for one request.
        load_s: seconds the model's loading took.
        decoding: the same for all.
        size: rows of a batch at most, or "auto": as the free memory allows, AUTO at most.

    Raises:
        UsageError: ``size`` is not between 1 and MOST.
    """

    def __init__(self, alone: Alone, load_s: float, decoding: Decoding, size: BatchSize = "auto") -> None:
        if size != "auto" and not 1 <= size <= MOST:
            raise UsageError(f"The batch size must be between 1 and {MOST}, or auto.")
        self._load_s = load_s
        self._alone = alone
        self._greedy = decoding.num_beams == decoding.num_return_sequences == 1 and decoding.temperature == 0
        self._auto = size == "auto"
        self._most = AUTO if size == "auto" else size
        self._uses: Counter[str] = Counter()
        self._seen: dict[str, Tensor] = {}

    @property
    def _loaded(self) -> LoadedModel:
        return self._alone.model()

    def run(self, items: Sequence[Item]) -> Iterator[Result]:
        """What becomes of each item, batch after batch; an IntervalError is that item's and no other's."""
        if not self._greedy or self._most == 1:
            for place, item in enumerate(items):
                yield place, self._by_itself(item)
            return
        waiting: list[_Waiting] = []
        for place, item in enumerate(items):
            try:
                request = self._alone.request(*item)
            except IntervalError as error:
                yield place, error
                continue
            if self._sees_all(request):
                waiting.append(_Waiting(place, item, request))
            else:
                yield place, self._by_itself(item)
        self._uses = Counter(image.sha256 for one in waiting for _, image in images(one.request.comparison))
        # The longest first: what does not fit shows at once.
        waiting.sort(key=lambda one: one.request.positions, reverse=True)
        while waiting:
            rows = self._next(waiting)
            del waiting[: len(rows)]
            yield from self._draft(rows)
            self._forget(rows)

    def _sees_all(self, request: Request) -> bool:
        """Whether the model looks at all positions; in a batch, one that looks at the last so many only would too."""
        window = getattr(_text_config(self._loaded), "sliding_window", None)
        return window is None or request.positions + request.decoding.max_new_tokens <= window

    def _next(self, waiting: Sequence[_Waiting]) -> list[_Waiting]:
        """The next rows of those that wait, longest first."""
        longest = waiting[0].request
        most = self._most
        if self._auto:
            needed = row_bytes(self._loaded, longest.positions + longest.decoding.max_new_tokens)
            most = max(1, min(most, int(SHARE * free(self._loaded.device) / needed)))
        return [one for one in waiting[:most] if one.request.positions * LONGER >= longest.positions]

    def _draft(self, rows: list[_Waiting]) -> Iterator[Result]:
        """All of these rows, in fewer at a time where they fail together."""
        results: list[Result] = []
        half = max(1, len(rows) // 2)
        try:
            results = self._together(rows)
        except (ResourceError, ModelError) as error:
            if len(rows) == 1:
                results = [(rows[0].place, error.with_traceback(None))]
            elif isinstance(error, ModelError):
                log.warning("%d drafts failed together; going on with fewer to find the one that does", len(rows))
            else:
                self._most = half
                log.warning("not enough memory for %d drafts at once; going on with %d", len(rows), half)
        if results:
            yield from results
            return
        give_back()  # only here: the error held what filled the memory
        for begin in range(0, len(rows), half):
            yield from self._draft(rows[begin : begin + half])

    def _by_itself(self, item: Item) -> Draft | IntervalError:
        try:
            return self._alone.draft(*item)
        except IntervalError as error:
            return error

    def _together(self, rows: Sequence[_Waiting]) -> list[Result]:
        """Raises ResourceError and ModelError where no single row is known to be the cause."""
        loaded = self._loaded
        results: list[Result] = []
        read: list[_Read] = []
        if loaded.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(loaded.device)
        for row in rows:
            try:
                read.append(self._read(row))
            except ResourceError:
                raise
            except IntervalError as error:
                results.append((row.place, error))
        if not read:
            return results
        began = _now(loaded.device)
        with memory_errors(NO_MEMORY):
            answers = greedy(
                Batch([one.session for one in read]), [_row(one.waiting.request, loaded.stop_ids) for one in read]
            )
        share = (_now(loaded.device) - began) / len(read)
        memory = held(loaded.device)
        for one, answer in zip(read, answers, strict=True):
            ahead = one.encode_s + one.prefill_s
            timings = Timings(
                load_s=self._load_s,
                encode_s=one.encode_s,
                prefill_s=one.prefill_s,
                first_token_s=ahead,  # it follows from the prompt's pass
                decode_s=share,
                total_s=ahead + share,
                tokens=len(answer.token_ids),
                peak_memory_bytes=memory,
                passes=len(answer.token_ids) - 1,
                together=len(read),
            )
            finished: Finish = "stop" if answer.stopped else "length"
            results.append((one.waiting.place, one.waiting.request.draft(loaded.info, [answer], finished, timings)))
        log.info("drafted %d answers side by side with %s", len(read), loaded.info.sha256[:12])
        return results

    def _read(self, row: _Waiting) -> _Read:
        """Look at the images and read the prompt."""
        loaded, comparison = self._loaded, row.request.comparison
        began = _now(loaded.device)
        with memory_errors(NO_MEMORY):
            current = self._see(comparison.current)
            prior = None if comparison.prior is None else self._see(comparison.prior)
            encoded = _now(loaded.device)
            put = loaded.embed(row.request.prompt_ids, current, prior)
            session = Session(
                loaded.language_model,
                put.embeddings,
                put.positions,
                put.next_position,
                boundary=put.boundary,
            )
        return _Read(row, session, encoded - began, _now(loaded.device) - encoded)

    def _see(self, image: Image) -> Tensor:
        """As the engine does; kept here as long as an item that waits shows the same image."""
        if image.sha256 not in self._seen:
            self._seen[image.sha256] = self._alone.see(image)
        return self._seen[image.sha256]

    def _forget(self, rows: Sequence[_Waiting]) -> None:
        """These rows are done."""
        for row in rows:
            for _, image in images(row.request.comparison):
                self._uses[image.sha256] -= 1
                if not self._uses[image.sha256]:
                    self._seen.pop(image.sha256, None)


def row_bytes(loaded: LoadedModel, positions: int) -> int:
    """Bytes that the keys and values of so many positions take."""
    config = _text_config(loaded)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dtype: torch.dtype = getattr(torch, loaded.info.dtype)
    return int(config.num_hidden_layers * 2 * heads * width * dtype.itemsize * positions)


def _text_config(loaded: LoadedModel) -> Any:
    config = loaded.language_model.config
    return getattr(config, "text_config", config)


def _row(request: Request, stop_ids: tuple[int, ...]) -> Row:
    return Row(request.prompt_ids, request.decoding.settings(stop_ids), request.writer.ends)


def _now(device: torch.device) -> float:
    """Seconds, with all that was asked of a GPU done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

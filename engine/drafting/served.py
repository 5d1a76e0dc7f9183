"""A model that a server runs, behind the door of ``Engine``: Qwen2-VL or LLaVA in vLLM or another program.

**Images and questions leave this process.** To a server on this machine they go without asking; to any other only with
the user's consent (``allow_remote``). A draft is the one our own engine makes as far as the protocol reaches: beams and
bans of repetition are refused, ids of tokens and their probabilities are not known. What weights the server has, this
program cannot see: ``ModelInfo.sha256`` is "", and ``ModelInfo.served`` says where the draft came from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from engine.drafting import served_question as wire
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Draft, Event, Finish, ModelInfo, Progress, Timings, Token
from engine.drafting.question import Asking, ask
from engine.drafting.request import check_language, check_modalities
from engine.drafting.served_answer import Answer, Clock, Request, Shares
from engine.drafting.settings import MAX_TOKENS, Decoding
from engine.errors import IntervalError, ModelError, UsageError
from engine.models import languages
from engine.models.preprocessing import Bounds
from engine.remote.address import Address, named, parsed
from engine.remote.background import Background
from engine.remote.chat import Listed, Piece, Whole, complete, models
from engine.remote.transport import Transport

if TYPE_CHECKING:
    # Not at run time: it brings torch, which a process that only asks does not need.
    from engine.drafting.batches import BatchSize, Item, Result

log = logging.getLogger(__name__)

KEY = "INTERVAL_SERVER_KEY"
"""The environment variable with the key that the server wants, if it wants one."""

FAMILY = "served"
UNKNOWN_ID = -1
"""The id of a token that a server has written: it says words, and no ids."""

AT_ONCE = 8
"""Requests at once where the number is chosen here; the server puts them together as it likes."""

MOST = 64
"""Requests at once, at most."""

POLL_S = 0.05
"""Seconds between two questions whether the draft is still wanted."""

FINDINGS = Asking()
TRIAL, TRIAL_TOKENS = "What is in the picture?", 8
VLLM = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0}
"""What vLLM would otherwise take from the model's generation_config.json, where our own engine does not."""


class ServedEngine:
    """One model of one server.

    Attributes:
        info: which model, and where.
        warnings: sentences for the user: where images go, and how the model is asked.
        plan: None; the memory is the server's.
    """

    plan = None

    def __init__(
        self, address: Address, model: Listed, manner: wire.Manner, bounds: Bounds | None, load_s: float = 0.0
    ) -> None:
        self._address, self._model, self._manner, self._bounds, self._load_s = address, model, manner, bounds, load_s
        self._transport = Transport(address, KEY)
        url = address.url
        self.info = ModelInfo(
            path=f"{url}#{model.name}",
            name=model.name,
            family=FAMILY,
            sha256="",
            dtype="",
            quantization="",
            parameters=0,
            demonstration=False,
            license="",
            conversation=manner.name,
            languages=manner.languages,
            served=url,
        )
        self.warnings = (
            leaving(address),
            f"{model.name} is asked as {manner.family} is ({manner.name}). Which weights it has is not known here.",
        )

    @classmethod
    def load(
        cls,
        word: str,
        *,
        served_as: str = "",
        allow_remote: bool = False,
        conversation: str | None = None,
        image_max_pixels: int | None = None,
        image_min_pixels: int | None = None,
    ) -> ServedEngine:
        """Ask the server for its models; nothing else is sent.

        Args:
            word: its address, with or without "#" and the name of a model.
            served_as: the name of the model, instead; without either the server must have one alone.
            allow_remote: whether images may leave this machine.
            conversation: "qwen2_vl" or "vicuna_v1"; as the model's name suggests unless given.
            image_max_pixels, image_min_pixels: what pictures are brought within; for Qwen2-VL LLaMA-Factory's own
                bounds unless given.

        Raises:
            UsageError: an address that is none or is not allowed, several models and none named, a name that cannot be.
            ModelError: the server is not there, wants a key, or does not have that model.
            ResourceError: it does not answer in time.
        """
        began = time.perf_counter()
        address, name = where(word, served_as)
        permit(address, allow_remote)
        model = _chosen(address, models(Transport(address, KEY)), name)
        manner = wire.manner(conversation, model.name)
        bounds = wire.bounds(manner, image_min_pixels, image_max_pixels)
        return cls(address, model, manner, bounds, time.perf_counter() - began)

    def draft(self, comparison: Comparison, asking: Asking = FINDINGS, *, decoding: Decoding | None = None) -> Draft:
        """The finished draft; ``stream`` without the events."""
        events = self.stream(comparison, asking, decoding=decoding)
        return next(event for event in events if isinstance(event, Draft))

    def asked(
        self, comparison: Comparison, asking: Asking = FINDINGS, *, decoding: Decoding | None = None
    ) -> tuple[str, list[int], Decoding]:
        """What ``stream`` puts to the model: the prompt, no ids, and every setting as it is used."""
        request = self._request(comparison, asking, decoding)
        return request.prompt, [], request.decoding

    def stream(
        self,
        comparison: Comparison,
        asking: Asking = FINDINGS,
        *,
        decoding: Decoding | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """``Engine.stream``; ``cancelled`` is asked all the time, and closes the connection.

        Raises (while iterating):
            UsageError, TooLong: also what the protocol cannot say, and what the server has no room for.
            InputError: an image of a modality the model does not read.
            ModelError, ResourceError: the server is not there, refuses, fails, or takes too long.
        """
        request = self._request(comparison, asking, decoding)
        clock = Clock(self._load_s)
        yield Progress("images", 0.0, "Preparing the images")
        body = self._body(request)
        clock.mark("encode")
        yield Progress("prompt", None, f"The server at {self._address.place} reads the question")
        answer = Answer(request)
        finished: Finish | None = None
        with Background[Piece | Whole](lambda say: self._heard(body, say)) as running:
            while finished is None:
                word = running.heard(POLL_S)
                if isinstance(word, Whole):
                    finished = answer.end(word, self._address)
                elif word is not None:
                    before = answer.text_so_far
                    answer.add(word)
                    if clock.token():
                        yield Progress("writing", None, "Writing")
                    if word.choice == 0:
                        shown = answer.text_so_far
                        yield Token(UNKNOWN_ID, shown, shown.removeprefix(before) if shown.startswith(before) else "")
                if finished is None and cancelled is not None and cancelled():
                    finished = "cancelled"
        draft = answer.draft(self.info, finished, clock.timings(answer.count))
        log.info("a server drafted %d tokens, %s", draft.timings.tokens, finished)
        yield draft

    def draft_many(
        self, items: Sequence[Item], *, decoding: Decoding | None = None, batch_size: BatchSize = "auto"
    ) -> Iterator[Result]:
        """``Engine.draft_many``: so many requests at once, each the one that ``draft`` makes.

        Their ``timings`` share the time that passes, so that those of all add up to it.

        Raises:
            UsageError: an impossible ``batch_size``.
        """
        if batch_size != "auto" and not 1 <= batch_size <= MOST:
            raise UsageError(f"The batch size must be between 1 and {MOST}, or auto.")
        size = AT_ONCE if batch_size == "auto" else batch_size
        left = len(items)
        with Background["Result"](lambda say: self._all(items, decoding, size, say)) as running:
            while left:
                result = running.heard(1.0)
                if result is not None:
                    left -= 1
                    yield result

    def tried(self) -> float:
        """Put a short question about two pictures of nobody; the seconds it took. Raises as ``stream``."""
        began = time.perf_counter()
        pictures = wire.trial(self._manner, self._bounds)
        body = {
            "model": self._model.name,
            "messages": wire.messages(self._manner, TRIAL, (), pictures),
            "max_tokens": TRIAL_TOKENS,
            "temperature": 0.0,
        }
        with Background[Piece | Whole](lambda say: self._heard(body, say)) as running:
            while not isinstance(running.heard(1.0), Whole):
                pass
        return time.perf_counter() - began

    # -- one request --------------------------------------------------------------------------------------------------

    def _request(self, comparison: Comparison, asking: Asking, decoding: Decoding | None) -> Request:
        """Raises UsageError, TooLong and InputError."""
        check_modalities(self.info, comparison)
        check_language(self.info, asking)
        question, earlier = ask(asking, wire.plain, languages.FAMILIES.get(self._manner.name, ""))
        wanted = (decoding or Decoding()).resolved(self._model.positions or MAX_TOKENS)
        if wanted.num_beams > 1:
            raise UsageError("A served model cannot be asked for beams; use one beam, or a model of this machine.")
        if wanted.no_repeat_ngram:
            raise UsageError(
                "A served model cannot be kept from repeating itself; leave the no-repeat n-gram size out, or use a "
                "model of this machine."
            )
        has_prior = comparison.prior is not None
        text = wire.prompt(self._manner, question, earlier, has_prior=has_prior)
        return Request(comparison, asking.stops, question, tuple(earlier), text, wanted, asking.language)

    def _body(self, request: Request) -> dict[str, Any]:
        """The request as it is sent: pixels, words and settings."""
        decoding = request.decoding
        pictures = wire.pictures(self._manner, self._bounds, request.comparison)
        body: dict[str, Any] = {
            "model": self._model.name,
            "messages": wire.messages(self._manner, request.question, request.earlier, pictures),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p if decoding.temperature else 1.0,
        }
        if decoding.temperature:
            body["seed"] = decoding.seed
        if decoding.num_return_sequences > 1:
            body["n"] = decoding.num_return_sequences
        if request.stops:
            body["stop"] = list(request.stops)
        return body | (VLLM if self._model.vendor == "vllm" else {})

    async def _heard(self, body: dict[str, Any], say: Callable[[Piece | Whole], None]) -> None:
        async with aclosing(complete(self._transport, body)) as parts:
            async for part in parts:
                say(part)

    # -- many ---------------------------------------------------------------------------------------------------------

    async def _all(
        self, items: Sequence[Item], decoding: Decoding | None, size: int, say: Callable[[Result], None]
    ) -> None:
        shares, gate = Shares(), asyncio.Semaphore(size)

        async def one(place: int, item: Item) -> None:
            async with gate:
                shares.begin(place)
                try:
                    result: Draft | IntervalError = await self._by_itself(item, decoding, lambda: shares.end(place))
                except IntervalError as error:
                    result = error
                finally:
                    shares.end(place)
            say((place, result))

        async with asyncio.TaskGroup() as group:
            for place, item in enumerate(items):
                group.create_task(one(place, item))

    async def _by_itself(self, item: Item, decoding: Decoding | None, ended: Callable[[], tuple[float, int]]) -> Draft:
        """A draft among others. ``ended`` is told when it is there, and gives its seconds and how many were beside."""
        request = self._request(*item, decoding)
        body = await asyncio.to_thread(self._body, request)
        answer = Answer(request)
        finished: Finish | None = None
        async with aclosing(complete(self._transport, body)) as parts:
            async for part in parts:
                if isinstance(part, Whole):
                    finished = answer.end(part, self._address)
                else:
                    answer.add(part)
        assert finished is not None, "Whole comes last"
        seconds, together = ended()
        timings = Timings(self._load_s, 0.0, 0.0, seconds, 0.0, seconds, answer.count, 0, together=together)
        return answer.draft(self.info, finished, timings)


def where(word: str, served_as: str = "") -> tuple[Address, str]:
    """The server that a word names, and the name of its model; "" where none is named. Nothing is looked up or sent.

    Raises UsageError: the word is no address, or the model is named twice and differently.
    """
    url, name = named(word)
    if name and served_as and name != served_as:
        raise UsageError("The served model is named twice, and differently: behind # and by --served-as.")
    return parsed(url, "a server", KEY), name or served_as


def permit(address: Address, allow_remote: bool) -> None:
    """Raise UsageError unless images may be sent there."""
    if not address.local and not allow_remote:
        raise UsageError(
            f"The server at {address.place} is not on this machine: images and questions would be sent there. "
            "Give --allow-remote if that is allowed."
        )


def leaving(address: Address) -> str:
    """What must be said before images are sent to this address."""
    return address.leaving("Images and questions")


def _chosen(address: Address, listed: Sequence[Listed] | None, name: str) -> Listed:
    """The model of that name, or the only one. Raises UsageError and ModelError."""
    known = {one.name: one for one in listed or ()}
    if name:
        if listed is not None and name not in known:
            raise ModelError(f"The server at {address.place} has no model '{name}'{_those(known)}.")
        return known.get(name) or Listed(name, "", 0)
    if len(known) == 1:
        return next(iter(known.values()))
    if known:
        raise UsageError(f"The server at {address.place} has several models: say which (--served-as){_those(known)}.")
    raise ModelError(f"The server at {address.place} does not say which models it has: name one (--served-as).")


def _those(known: dict[str, Listed]) -> str:
    return f"; it has {', '.join(list(known)[:10])}" if known else ""

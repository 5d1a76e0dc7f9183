"""A question to a server and its answer, in the words of OpenAI's chat completions.

The answer comes as it is written (server-sent events). A server that is busy is asked again, a few times.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from engine.errors import IntervalError
from engine.remote.address import is_name
from engine.remote.events import Events
from engine.remote.refusals import BUSY, refused, unanswered, unreadable
from engine.remote.transport import LARGEST, Reply, Transport, Unanswered

WAITS_S = (1.0, 4.0)
"""Between tries where the server is busy."""

WHOLE_S = 3600.0
"""For a whole answer, however steadily it comes."""

OF_A_TOKEN = 2000
"""Bytes of an event at most, one for a token: a few hundred are usual."""

DONE = "[DONE]"


@dataclass(frozen=True)
class Listed:
    """A model of a server: its name, who says that it serves it, and the positions it has; 0 where nothing is said."""

    name: str
    vendor: str
    positions: int


@dataclass(frozen=True)
class Piece:
    """Some more of the text of the answer number ``choice``."""

    choice: int
    text: str


@dataclass(frozen=True)
class Whole:
    """The end: why each answer ended, in the protocol's word, and the tokens of all; None where nothing is said."""

    reasons: tuple[str, ...]
    tokens: int | None


def models(transport: Transport) -> tuple[Listed, ...] | None:
    """The models a server lists; None where it has no list. Raises ModelError and ResourceError."""
    try:
        reply = transport.send("GET", "/models")
    except Unanswered as cause:
        raise unanswered(transport, cause.fault) from cause
    if reply.status in (404, 405, 501):
        return None
    if reply.status != 200:
        raise refused(transport, reply.status, reply.content, "")
    data = reply.content.get("data") if isinstance(reply.content, dict) else None
    if not isinstance(data, list):
        raise unreadable(transport)
    return tuple(_listed(one) for one in data if isinstance(one, dict) and is_name(str(one.get("id") or "")))


async def complete(transport: Transport, body: Mapping[str, Any]) -> AsyncGenerator[Piece | Whole]:
    """The answer to ``body``, piece by piece; Whole comes last.

    Raises:
        TooLong: question and answer do not fit into the model's context.
        ModelError: there is no server, it refuses, or it does not speak this language.
        ResourceError: it takes too long, or is busy.
    """
    asked = dict(body) | {"stream": True, "stream_options": {"include_usage": True}}
    model, count = str(asked["model"]), int(asked.get("n", 1))
    largest = LARGEST + OF_A_TOKEN * int(asked["max_tokens"]) * count
    try:
        async with asyncio.timeout(WHOLE_S):
            for wait in (*WAITS_S, None):
                answer = _Answer(transport, model, count)
                async with aclosing(transport.stream("/chat/completions", asked, largest)) as stream:
                    async for part in stream:
                        if isinstance(part, Reply):
                            if part.status in BUSY and wait is not None:
                                break
                            raise refused(transport, part.status, part.content, model)
                        for piece in answer.read(part):
                            yield piece
                    else:
                        for piece in answer.end():
                            yield piece
                        yield answer.whole()
                        return
                assert wait is not None
                await asyncio.sleep(wait)
    except Unanswered as cause:
        raise unanswered(transport, cause.fault) from cause
    except TimeoutError as cause:
        raise unanswered(transport, "slow") from cause


class _Answer:
    """What has come of an answer."""

    def __init__(self, transport: Transport, model: str, count: int) -> None:
        self._transport, self._model = transport, model
        self._events = Events()
        self._reasons: list[str | None] = [None] * count
        self._tokens: int | None = None
        self._spoke = False

    def read(self, piece: bytes) -> list[Piece]:
        """The text in these bytes. Raises ModelError and TooLong."""
        return [found for data in self._events.feed(piece) for found in self._event(data)]

    def end(self) -> list[Piece]:
        """The text that was still to come when the stream ended."""
        return [found for data in self._events.end() for found in self._event(data)]

    def whole(self) -> Whole:
        """How it ended. Raises Unanswered where it did not, ModelError where it never began."""
        if not self._spoke:
            raise unreadable(self._transport)
        reasons = [reason for reason in self._reasons if reason is not None]
        if len(reasons) < len(self._reasons):
            raise Unanswered("broken")
        return Whole(tuple(reasons), self._tokens)

    def _event(self, data: str) -> list[Piece]:
        self._spoke = True
        if data.strip() == DONE:
            return []
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise unreadable(self._transport)
        if said.get("error"):
            raise self._refusal(said["error"])
        usage = said.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self._tokens = usage["completion_tokens"]
        choices = said.get("choices")
        if not isinstance(choices, list):
            raise unreadable(self._transport)
        return [piece for choice in choices if (piece := self._choice(choice)) is not None]

    def _choice(self, choice: object) -> Piece | None:
        """The text of one choice, and whether it is at its end."""
        number = choice.get("index", 0) if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(number, int) or not 0 <= number < len(self._reasons):
            raise unreadable(self._transport)
        if choice.get("finish_reason"):
            self._reasons[number] = str(choice["finish_reason"])
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        return Piece(number, text) if isinstance(text, str) and text else None

    def _refusal(self, error: object) -> IntervalError:
        """What an error in the middle of a stream says; its code is that of a status where it is one."""
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        return refused(self._transport, status, error, self._model)


def _listed(one: Mapping[str, Any]) -> Listed:
    length = one.get("max_model_len")
    return Listed(str(one["id"]), str(one.get("owned_by") or ""), length if isinstance(length, int) else 0)

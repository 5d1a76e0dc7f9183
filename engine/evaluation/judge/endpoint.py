"""A judge behind an address that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama and others.

**Texts leave this process.** To an address of this machine they go without asking, to any other only with the user's
consent (``anywhere``). How they go, and what a connection may not do: engine.remote.transport. A key comes from the
environment variable `KEY` alone.

The judge is asked at temperature 0 and, where the server knows how, held to the JSON schema of a verdict.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import ModelError, UsageError
from engine.evaluation.judge.asking import Declined
from engine.evaluation.judge.verdict import SCHEMA, Message
from engine.remote.address import Address, is_address, parsed
from engine.remote.transport import Transport, Unanswered

__all__ = ["KEY", "Endpoint", "address", "allowed", "is_address"]

log = logging.getLogger(__name__)

KEY = "INTERVAL_JUDGE_KEY"
"""The environment variable with the key that the server wants, if it wants one."""

TIMEOUT_S = 300.0
"""For one reply; a large model on a processor takes its time."""

WAITS_S = (1.0, 4.0, 15.0)
"""Between tries where the server is busy or does not answer."""

TOKENS = 2048
"""Of a reply at most: thoughts count."""

_FORMAT = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}}
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_UNKNOWN_OPTION = frozenset({400, 404, 415, 422, 501})
"""What servers say to a response_format they do not know."""


def address(url: str) -> Address:
    """The parts of an address such as http://127.0.0.1:8000/v1.

    Raises:
        UsageError: it is none, or holds a user's name, a password or a query, which would be written into files.
    """
    return parsed(url, "a judge", KEY)


def allowed(url: str, *, anywhere: bool) -> Address:
    """The address, if texts may be sent there. Nothing is sent or looked up. Raises UsageError."""
    found = address(url)
    if not found.local and not anywhere:
        raise UsageError(
            f"The judge at {found.place} is not on this machine: questions, reference answers and answers would be "
            "sent there. Give --judge-anywhere if that is allowed."
        )
    return found


class Endpoint:
    """A judge behind an address.

    Args:
        url: of its API, with or without /chat/completions.
        model: which of the server's models; unless given, its only one.
        anywhere: whether texts may leave this machine.

    Raises:
        UsageError: an address that is none or is not this machine's without consent; several models and none is named.
        ModelError: the server cannot be reached, wants a key, or has no model.
    """

    def __init__(self, url: str, model: str = "", *, anywhere: bool = False) -> None:
        self._address = allowed(url, anywhere=anywhere)
        self._transport = Transport(self._address, KEY, TIMEOUT_S)
        self._bound = True
        self._model = model or self._only_model()
        self.id = f"{self._model} at {self._address.place}"

    @property
    def warning(self) -> str:
        """What must be said before it is asked."""
        return self._address.leaving("Questions, reference answers and answers")

    def reply(self, messages: Sequence[Message]) -> str:
        """What the judge says. Raises Declined where the server refuses this text, ModelError where it refuses all."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": TOKENS,
            "stream": False,
        }
        if self._bound:
            status, found = self._post(body | {"response_format": _FORMAT})
            if status not in _UNKNOWN_OPTION:
                return self._text(status, found)
        status, found = self._post(body)
        if status == 200 and self._bound:
            log.info("the judge's server does not know response_format")
            self._bound = False
        return self._text(status, found)

    def _only_model(self) -> str:
        status, found = self._send("GET", "/models", None)
        listed = found.get("data") if isinstance(found, dict) else None
        names = [str(one["id"]) for one in listed or () if isinstance(one, dict) and one.get("id")]
        if status != 200 or not names:
            self._refuse(status)
            raise ModelError(
                f"The judge at {self._address.place} does not say which models it has: --judge-model NAME."
            )
        if len(names) > 1:
            raise UsageError(f"The judge at {self._address.place} has several models; name one with --judge-model: "
                             f"{', '.join(names[:10])}.")  # fmt: skip
        return names[0]

    def _text(self, status: int, found: object) -> str:
        if status != 200:
            self._refuse(status)
            raise Declined(f"the server refused the text with status {status}")
        try:
            content = found["choices"][0]["message"]["content"]  # type: ignore[index]
        except (KeyError, IndexError, TypeError) as cause:
            raise ModelError(
                f"What answers at {self._address.place} does not speak OpenAI's chat completions."
            ) from cause
        if isinstance(content, list):  # of parts, as newer servers may say it
            content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
        return content if isinstance(content, str) else ""

    def _refuse(self, status: int) -> None:
        """Raise ModelError for a status that will be the same for every text."""
        place = self._address.place
        if status in (401, 403):
            raise ModelError(f"The judge at {place} wants a key: put it into the environment variable {KEY}.")
        if status in (404, 405):
            raise ModelError(f"The judge at {place} has no {self._address.path}/chat/completions or no such model.")
        if 300 <= status < 400:
            raise ModelError(f"The judge at {place} sends us elsewhere, which is not followed; give that address.")
        if status in _BUSY - {500}:
            raise ModelError(f"The judge at {place} is busy or failing (status {status}). What was judged is kept.")

    def _post(self, body: Mapping[str, Any]) -> tuple[int, object]:
        """Status and content; tried again while the server is busy."""
        for wait in WAITS_S:
            status, found = self._send("POST", "/chat/completions", body, last=False)
            if status and status not in _BUSY:
                return status, found
            time.sleep(wait)
        return self._send("POST", "/chat/completions", body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, *, last: bool = True) -> tuple[int, object]:
        """One request; status 0 where there was no answer and it is not the ``last`` try."""
        place = self._address.place
        try:
            reply = self._transport.send(method, path, body)
        except Unanswered as cause:
            if cause.fault == "certificate":
                raise ModelError(f"The certificate of the judge at {place} cannot be verified.") from cause
            if not last and cause.fault != "large":
                return 0, None
            raise ModelError(
                f"The judge at {place} does not answer. Is its server running? What was judged is kept."
            ) from cause
        return reply.status, reply.content

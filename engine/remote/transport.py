"""One request to a server, and everything that it may not do.

A connection is made to the address given and to no other: no proxy of the environment is used and no redirection
followed. What comes back is bounded in size and in time, and is never unpacked. A certificate is checked against the
system's. A key comes from an environment variable alone, is read for each request, and is kept and told nowhere.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from engine.errors import ModelError
from engine.remote.address import Address

CONNECT_S = 10.0
TIMEOUT_S = 300.0
"""Without a byte of the answer; a large model on a processor takes its time."""

LARGEST = 4_000_000
"""Bytes of an answer at most."""

Fault = Literal["absent", "slow", "certificate", "broken", "large"]


class Unanswered(Exception):
    """There is no answer.

    ``fault``: nobody listens there; it took too long; its certificate cannot be verified; it ended before its end, or
    is no HTTP; it is larger than any answer.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


@dataclass(frozen=True)
class Reply:
    """The status of an answer and its JSON; None where it is none."""

    status: int
    content: object


@dataclass(frozen=True)
class Transport:
    """The way to one server.

    Attributes:
        address: where it is.
        key: the environment variable that may hold what it wants to see.
        timeout_s: seconds without a byte after which it counts as gone.
    """

    address: Address
    key: str
    timeout_s: float = TIMEOUT_S

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Ask and wait for the whole answer. Raises Unanswered, and ModelError for a key that can be none."""
        with _faults(), httpx.Client(**self._how()) as client:
            request = self._request(client, method, path, body)
            with _open(client.send(request, stream=True)) as answer:
                pieces = _Bounded(LARGEST)
                for piece in answer.iter_raw():
                    pieces.add(piece)
                return Reply(answer.status_code, _json(pieces.whole))

    async def stream(self, path: str, body: Mapping[str, Any], largest: int = LARGEST) -> AsyncGenerator[Reply | bytes]:
        """Ask for an answer in pieces: the bytes as they come, or one Reply where it is not status 200.

        More than ``largest`` bytes are not read. Whoever closes it, or cancels the task, closes the connection. Raises
        as ``send``.
        """
        with _faults():
            async with httpx.AsyncClient(**self._how()) as client:
                answer = await client.send(self._request(client, "POST", path, body), stream=True)
                try:
                    pieces = _Bounded(largest)
                    async for piece in answer.aiter_raw():
                        pieces.add(piece)
                        if answer.status_code == 200:
                            yield piece
                    if answer.status_code != 200:
                        yield Reply(answer.status_code, _json(pieces.whole))
                finally:
                    await answer.aclose()

    def _how(self) -> dict[str, Any]:
        return {
            "trust_env": False,  # proxies, .netrc
            "follow_redirects": False,
            "verify": ssl.create_default_context() if self.address.encrypted else False,
            "timeout": httpx.Timeout(self.timeout_s, connect=CONNECT_S),
        }

    def _request(
        self, client: httpx.Client | httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
    ) -> httpx.Request:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "User-Agent": "Interval",
        }
        if secret := os.environ.get(self.key, "").strip():
            if not (secret.isascii() and secret.isprintable()):
                raise ModelError(f"What the environment variable {self.key} holds is no key: it has odd characters.")
            headers["Authorization"] = f"Bearer {secret}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        return client.build_request(method, self.address.url + path, headers=headers, content=data)


class _Bounded:
    """Pieces of an answer, up to so many bytes. Raises Unanswered."""

    def __init__(self, largest: int) -> None:
        self._pieces: list[bytes] = []
        self._left = largest

    def add(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise Unanswered("large")
        self._pieces.append(piece)

    @property
    def whole(self) -> bytes:
        return b"".join(self._pieces)


@contextmanager
def _open(answer: httpx.Response) -> Iterator[httpx.Response]:
    try:
        yield answer
    finally:
        answer.close()


@contextmanager
def _faults() -> Iterator[None]:
    """Everything that httpx and ssl raise, as Unanswered."""
    try:
        yield
    except httpx.ConnectError as cause:
        raise Unanswered("certificate" if _of_certificate(cause) else "absent") from cause
    except httpx.ConnectTimeout as cause:
        raise Unanswered("absent") from cause
    except httpx.TimeoutException as cause:
        raise Unanswered("slow") from cause
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as cause:
        raise Unanswered("broken") from cause


def _of_certificate(error: BaseException) -> bool:
    """Whether a certificate was what kept the connection from being made."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(link):
            return True
        link = link.__cause__ or link.__context__
    return False


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None

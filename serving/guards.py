"""What stands between a page of ours and any other web page: host, origin, doors and headers.

Four ASGI middlewares, each with one rule, around an application that answers anybody by itself:

- ``HostGuard``     only the names this server was started under are answered; anything else is 400 (DNS rebinding).
- ``OriginGuard``   a request that can change something, and every websocket, must come from our own page (CSRF);
                    the browser says so itself in ``Origin`` and ``Sec-Fetch-Site``. A program without a browser
                    sends neither and carries nobody's session, so it passes.
- ``DoorGuard``     of a framework's many routes only those that our page uses exist; the rest is 404, so that a flaw
                    in one of them is not ours.
- ``Headers``       the content security policy and its companions on every answer, errors included.

This module knows no route of ours and nothing of patients; a refused request is logged by its reason alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DoorGuard", "Headers", "HostGuard", "OriginGuard", "refuse", "refuse_any"]

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}


def refuse(status: int, words: str) -> PlainTextResponse:
    """One plain sentence; never a page that could be framed or scripted."""
    return PlainTextResponse(words, status_code=status)


class HostGuard:
    """Answers 400 unless ``Host`` is one of ``hosts`` (``name:port``, lower case)."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            hosts = RequestHeaders(scope=scope).getlist("host")
            if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
                log.warning("refused a request for another host")
                await refuse_any(scope, receive, send, 400, "This address is not served here.")
                return
        await self.app(scope, receive, send)


class OriginGuard:
    """Answers 403 to a mutating request or a websocket that another page has sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS)
        if guarded and not self.same_origin(RequestHeaders(scope=scope), scope):
            log.warning("refused a request from another origin")
            await refuse_any(scope, receive, send, 403, "Refused: the request does not come from this page.")
            return
        await self.app(scope, receive, send)

    @staticmethod
    def same_origin(headers: RequestHeaders, scope: Scope) -> bool:
        """The browser's own word on where the request comes from; both headers must agree where they are present."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None:
            return True
        scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
        sent = urlsplit(origin)
        return sent.scheme == scheme and sent.netloc.lower() == headers.get("host", "").lower()


class DoorGuard:
    """Answers 404 to every route below ``mount`` that the page does not use.

    ``doors`` holds what it does use: method (or WEBSOCKET) and path; a slash at its end opens everything below it.
    """

    def __init__(self, app: ASGIApp, mount: str, doors: Iterable[tuple[str, str]]) -> None:
        self.app = app
        self.mount = mount.rstrip("/")
        self.doors = frozenset(doors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path: str = scope["path"]
            below = path.removeprefix(self.mount)
            inside = path.startswith(self.mount + "/")
            if inside and not self.open(scope.get("method", "WEBSOCKET"), below):
                await refuse_any(scope, receive, send, 404, "There is nothing here.")
                return
        await self.app(scope, receive, send)

    def open(self, method: str, path: str) -> bool:
        """Whether the page uses this route. A path that climbs is never one of ours."""
        if ".." in path or "\\" in path:
            return False
        return any(
            method == verb
            and (path == door or path == door + "/" or (door != "/" and door.endswith("/") and path.startswith(door)))
            for verb, door in self.doors
        )


class Headers:
    """Puts the security headers on every answer, with the content security ``policy`` among them.

    ``caching`` gives the Cache-Control of an answer, from its path and what the route has said itself.
    """

    def __init__(self, app: ASGIApp, policy: str, caching: Callable[[str, str], str]) -> None:
        self.app = app
        self.fixed = {"Content-Security-Policy": policy, **FIXED_HEADERS}
        self.caching = caching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.fixed.items():
                    headers[name] = value
                headers["Cache-Control"] = self.caching(scope["path"], headers.get("cache-control", ""))
                for name in ("server", "access-control-allow-origin", "access-control-allow-credentials"):
                    if name in headers:
                        del headers[name]
            await send(message)

        await self.app(scope, receive, dressed)


async def refuse_any(scope: Scope, receive: Receive, send: Send, status: int, words: str) -> None:
    """Refuse an HTTP request with a sentence, a websocket by closing it before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": words})
    else:
        await refuse(status, words)(scope, receive, send)

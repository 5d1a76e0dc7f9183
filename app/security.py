"""What stands between the page and any other web page: host, origin, headers and the list of doors that are open.

Five ASGI middlewares, each with one rule (Gradio by itself answers any ``Host`` and accepts cross-origin uploads):

- ``HostGuard``     only the names this server was started under are answered; anything else is 400 (DNS rebinding).
- ``OriginGuard``   a request that can change something, and every websocket, must come from our own page (CSRF);
                    the browser says so itself in ``Origin`` and ``Sec-Fetch-Site``. A program without a browser
                    sends neither and carries nobody's session, so it passes.
- ``DoorGuard``     of Gradio's many routes only those that our page uses exist; the rest (uploads, file serving, proxy,
                    monitoring, run history, login) is 404, so that a flaw in one of them is not ours.
- ``EventGuard``    an event of the page is JSON of the right shape and of bounded size; anything else is 400 or 413
                    before Gradio sees it.
- ``Headers``       the content security policy and its companions on every answer, errors included.

This module knows no route of ours and nothing of patients; a refused request is logged by method and reason alone.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_SECURITY_POLICY", "DoorGuard", "EventGuard", "Headers", "HostGuard", "OriginGuard", "protect"]

log = logging.getLogger(__name__)

LARGEST_EVENT = 4 << 20
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# Gradio's page starts with an inline script and compiles its HTML templates: without 'unsafe-inline' and 'unsafe-eval'
# nothing is drawn. Everything else is closed, and no address outside this server can be reached from the page.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-src 'none'",
        "frame-ancestors 'none'",
    )
)

FIXED_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}

# What the page asks Gradio for, below its mount point (seen in the browser). A trailing slash stands for
# everything below it.
PAGE_DOORS = frozenset(
    {
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/config"),
        ("GET", "/theme.css"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/gradio_api/app_id"),
        ("GET", "/gradio_api/heartbeat/"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/reset"),
        ("GET", "/assets/"),
        ("GET", "/static/"),
        ("GET", "/svelte/"),
    }
)
CACHEABLE = ("/assets/", "/static/", "/svelte/")


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
    """Answers 404 to every route below ``mount`` that the page does not use."""

    def __init__(self, app: ASGIApp, mount: str) -> None:
        self.app = app
        self.mount = mount.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path: str = scope["path"]
            below = path.removeprefix(self.mount)
            inside = path.startswith(self.mount + "/")
            if inside and not self.open(scope.get("method", "WEBSOCKET"), below):
                await refuse_any(scope, receive, send, 404, "There is nothing here.")
                return
        await self.app(scope, receive, send)

    @staticmethod
    def open(method: str, path: str) -> bool:
        """Whether the page uses this route. A path that climbs is never one of ours."""
        if ".." in path or "\\" in path:
            return False
        return any(
            method == verb
            and (path == door or path == door + "/" or (door != "/" and door.endswith("/") and path.startswith(door)))
            for verb, door in PAGE_DOORS
        )


class EventGuard:
    """Answers 4xx to an event that no page of ours sends. ``inputs`` holds the number of values of each event."""

    def __init__(self, app: ASGIApp, mount: str, inputs: Mapping[int, int]) -> None:
        self.app = app
        self.path = f"{mount.rstrip('/')}/gradio_api/queue/join"
        self.inputs = inputs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != self.path:
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST_EVENT:
                await refuse(413, "The page has sent more than it can.")(scope, receive, send)
                return
        if not self.well_formed(bytes(body)):
            await refuse(400, "The page has sent something that cannot be read. Reload it.")(scope, receive, send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, again, send)

    def well_formed(self, body: bytes) -> bool:
        """Whether the body names an event of the page, a session, and as many values as the event takes."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(event, dict):
            return False
        number, values, session = event.get("fn_index"), event.get("data"), event.get("session_hash")
        return (
            type(number) is int
            and isinstance(values, list)
            and self.inputs.get(number) == len(values)
            and isinstance(session, str)
            and SESSION.fullmatch(session) is not None
        )


class Headers:
    """Puts the security headers on every answer, and ``no-store`` where the route has not said otherwise."""

    def __init__(self, app: ASGIApp, mount: str) -> None:
        self.app = app
        self.mount = mount.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bundled = scope["path"].removeprefix(self.mount).startswith(CACHEABLE)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in FIXED_HEADERS.items():
                    headers[name] = value
                if bundled:
                    headers["Cache-Control"] = "private, no-cache"
                elif "cache-control" not in headers or not scope["path"].startswith("/image/"):
                    headers["Cache-Control"] = "no-store"
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


def protect(app: ASGIApp, *, hosts: Iterable[str], mount: str, inputs: Mapping[int, int]) -> ASGIApp:
    """The whole guard around ``app``. Headers are outermost, so that a refusal carries them too."""
    return Headers(HostGuard(OriginGuard(DoorGuard(EventGuard(app, mount, inputs), mount)), hosts), mount)

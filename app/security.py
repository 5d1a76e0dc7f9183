"""What stands between the page and any other web page: serving's guards, with what is Gradio's own.

Gradio by itself answers any ``Host`` and accepts cross-origin uploads. Before it stand the host, origin and door guards
and the headers of ``serving.guards``; of Gradio's many routes (uploads, file serving, proxy, monitoring, run history,
login) only ``PAGE_DOORS`` are open. Here is added:

- ``EventGuard``    an event of the page is JSON of the right shape and of bounded size; anything else is 400 or 413
                    before Gradio sees it.

This module knows no route of ours and nothing of patients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guards import DoorGuard, Headers, HostGuard, OriginGuard, refuse

__all__ = ["CONTENT_SECURITY_POLICY", "EventGuard", "protect"]

LARGEST_EVENT = 4 << 20
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")

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


def protect(app: ASGIApp, *, hosts: Iterable[str], mount: str, inputs: Mapping[int, int]) -> ASGIApp:
    """The whole guard around ``app``. Headers are outermost, so that a refusal carries them too."""

    def caching(path: str, said: str) -> str:
        if path.removeprefix(mount.rstrip("/")).startswith(CACHEABLE):
            return "private, no-cache"
        return said if said and path.startswith("/image/") else "no-store"

    guarded = OriginGuard(DoorGuard(EventGuard(app, mount, inputs), mount, PAGE_DOORS))
    return Headers(HostGuard(guarded, hosts), CONTENT_SECURITY_POLICY, caching)

"""The HTTP side of the studio: Streamlit's application behind the guards, with settings that nobody's file changes.

Streamlit by itself listens on all interfaces, answers any ``Host``, reports statistics and reads settings from the
user's home and from the environment. Here it gets a socket that is ours (this machine alone), the guards of
``serving.guards`` before it, and SETTINGS, which come before any file. Its own checks of host, origin and XSRF are left
on behind ours.

There is no password and no token, as in the viewer: whoever may run programs as this user, and any other user of this
machine who can reach its loopback address, can use the studio while it runs. A machine shared by strangers needs a
session of the system for each of them, or Streamlit's log-in behind a proxy.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit
from starlette.types import ASGIApp
from streamlit import App
from streamlit.web import bootstrap

from serving import guards
from trainer_ui import errors, theme
from trainer_ui.addresses import PAGES

SCRIPT = Path(__file__).resolve().parent / "entry" / "screen.py"

SETTINGS: Mapping[str, Any] = {
    "server.address": "127.0.0.1",
    "server.allowedHosts": ["localhost", "127.0.0.1"],
    "server.baseUrlPath": "",
    "server.disconnectedSessionTTL": 120,
    "server.enableAgentApi": False,
    "server.enableCORS": True,  # on means that other origins are refused
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 1,
    "server.runOnSave": False,
    "server.scriptHealthCheckEnabled": False,
    "server.xsrfCookieSameSite": "strict",
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    # Nothing is sent as a reference to what the browser holds. Streamlit forgets to which fragment a reference belongs:
    # on a busy machine it kept one, left out the containers around it, and the page went blank.
    "global.minCachedMessageSize": 1e12,
    "global.developmentMode": False,
    "logger.level": "critical",  # a trace on the terminal could quote what a file holds; ours goes to the log
    "logger.hideWelcomeMessage": True,
    **theme.SETTINGS,
}

# What the page asks for (seen in the browser). A trailing slash stands for everything below it. No uploads: what the
# studio reads lies on this machine already and is named by its path.
DOORS = {
    ("GET", "/"),
    ("HEAD", "/"),
    *(("GET", f"/{page}") for page in PAGES),
    ("GET", "/favicon.png"),
    ("GET", "/static/"),
    ("GET", "/media/"),
    ("GET", "/_stcore/health"),
    ("GET", "/_stcore/host-config"),
    ("WEBSOCKET", "/_stcore/stream"),
}


def policy(hosts: set[str]) -> str:
    """The content security policy: nothing outside this server can be reached from the page.

    Streamlit's page sets styles while it runs, its charts compile their expressions, and what it starts with stands in
    the page itself: exactly that is allowed.
    """
    sockets = " ".join(sorted(f"ws://{host}" for host in hosts))
    own = " ".join(f"'sha256-{digest}'" for digest in _inline_scripts())
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval' {own}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' {sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'none'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )


def _inline_scripts() -> list[str]:
    """The hashes of the scripts that Streamlit's page holds, as a policy names them."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    return [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]


def create_app(port: int) -> ASGIApp:
    """The guarded application, answering to 127.0.0.1 and localhost at ``port``."""
    bootstrap.load_config_options(dict(SETTINGS))
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    app = App(SCRIPT, on_script_error=errors.on_script_error)
    guarded = guards.HostGuard(guards.OriginGuard(guards.DoorGuard(app, "", DOORS)), hosts)
    return guards.Headers(guarded, policy(hosts), _caching)


def _caching(path: str, said: str) -> str:
    """Streamlit's own files may be kept, and are asked for again; nothing else is stored anywhere."""
    return "private, no-cache" if path.startswith("/static/") else "no-store"

"""Showing the page: an app window of its own where a browser of the Chromium family is found, else the browser.

The app window gets a profile of its own below the data folder, so that the user's extensions, history and cached pages
stay out of it. Knows nothing of what the page shows.
"""

from __future__ import annotations

import logging
import os
import subprocess
import webbrowser
from pathlib import Path

from engine import browsers, paths

log = logging.getLogger(__name__)


def command(browser: Path, url: str, profile: Path) -> list[str]:
    """The command line of an app window: no tabs, no first-run pages, no calls home of the browser itself."""
    line = [
        str(browser),
        f"--app={url}",
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-sync",
        "--disable-component-update",
        "--window-size=1680,1000",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line.append("--no-sandbox")  # Chromium refuses to start for root otherwise
    return line


def show(url: str, *, app_window: bool) -> str:
    """Open the page and say where: "app window", "browser" or "nowhere"."""
    browser = browsers.find() if app_window else None
    if browser is not None:
        try:
            subprocess.Popen(
                command(browser, url, paths.ensure(paths.home() / "window")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return "app window"
        except OSError as cause:
            log.warning("the app window did not start: %s", type(cause).__name__)
    return "browser" if webbrowser.open(url) else "nowhere"

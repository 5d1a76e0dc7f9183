"""The server and the page in Chromium that the modules are mounted in; the helpers are in ``viewport_pilot``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from viewport_pilot import Server, View, picture, radiograph, serving

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def _running(project: Path) -> Iterator[Server]:
    with serving(project / "app" / "static") as running:
        yield running


@pytest.fixture
def server(_running: Server) -> Server:
    """The server with nothing on it from other tests."""
    for kept in (_running.images, _running.delays, _running.posted):
        kept.clear()
    _running.intake_answer = (200, {"studies": 1})
    return _running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for a test file: only one synchronous Playwright can run at a time, and other areas have theirs."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def _context(browser: Browser) -> Iterator[BrowserContext]:
    """One context for a test file, so that the modules are fetched once."""
    made = browser.new_context(viewport={"width": 1000, "height": 700}, has_touch=True)
    made.set_default_timeout(10_000)
    yield made
    made.close()


def _is_problem(line: ConsoleMessage) -> bool:
    """An error of a script or of the policy; refusals of the server are part of the tests."""
    return line.type == "error" and "Failed to load resource: the server responded" not in line.text


@pytest.fixture
def page(_context: BrowserContext, server: Server) -> Iterator[Page]:
    """An empty page of the server at 1000 x 700. Errors of scripts and requests to any other host fail the test."""
    made = _context.new_page()
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda line: problems.append(line.text) if _is_problem(line) else None)
    made.on("request", lambda r: None if r.url.startswith((server.url, "data:")) else problems.append(f"asked {r.url}"))
    made.goto(server.url)
    yield made
    made.close()
    assert problems == []


@pytest.fixture
def view(page: Page, server: Server) -> View:
    """A mounted viewport with nothing loaded."""
    return View(page, server)


@pytest.fixture
def pair(view: View, server: Server) -> View:
    """A prior and a current image of different size, depth and spacing, loaded."""
    server.add("current", picture(radiograph(300, 360, 1)))
    windows = [
        {"center": 8000, "width": 16000, "name": "NORMAL", "function": "LINEAR"},
        {"center": 9000, "width": 5000, "name": "1-99 %", "function": "LINEAR"},
    ]
    server.add("prior", picture(
        radiograph(420, 400, 2) * np.uint16(4), windows=windows, acquired="2023-01-03T08:01:00",
        spacing={"row_mm": 0.25, "column_mm": 0.25, "basis": "at detector"},
    ))  # fmt: skip
    view.load("current", "prior")
    return view

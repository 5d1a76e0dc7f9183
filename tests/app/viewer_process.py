"""The viewer as a process of its own, and a browser on it; for the browser tests and the screenshots."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 120_000
"""Milliseconds to wait for anything: test machines may be very busy."""

START = (
    "-c",
    "import sys; from engine.cli import main; sys.exit(main(['viewer', *sys.argv[1:]], module='app.main'))",
)
STAND_IN = (str(PROJECT / "tests" / "app" / "stand_in_viewer.py"),)
"""What Python is started with: the viewer as it is, or with an engine that does what it is told."""

QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")

DROP = """(files) => {
  const carried = new DataTransfer();
  for (const { name, data } of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    carried.items.add(new File([bytes], name));
  }
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


@contextmanager
def viewer(home: Path, *options: str, start: tuple[str, ...] = START, project: Path = PROJECT) -> Iterator[str]:
    """The running viewer; gives its address, ends it as Ctrl-C would, and insists on a clean end.

    ``project`` is where the program lies.
    """
    environment = os.environ | {"INTERVAL_HOME": str(home), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *start, "--no-browser", *options],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), f"the viewer did not start: {url!r}"
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE / 1000) == 0
        finally:
            process.kill()


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """Headless Chromium."""
    arguments = [*QUIET, "--no-sandbox"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield opened
        finally:
            opened.close()


@dataclass
class Screen:
    """A page on the viewer that remembers what went wrong and whom it asked."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, opened: Browser, url: str, width: int, height: int) -> Screen:
        page = opened.new_page(viewport={"width": width, "height": height}, accept_downloads=True)
        page.set_default_timeout(PATIENCE)
        screen = cls(page, url)
        page.on("console", lambda m: screen.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: screen.errors.append(str(error)))
        page.on("request", lambda request: screen.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
        page.on("response", lambda r: screen.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(url)
        page.wait_for_selector(".ivp-bar")
        page.wait_for_selector(".iv-viewport")
        page.wait_for_function("() => Boolean(sessionStorage.getItem('interval.page'))")
        return screen

    def drop(self, *paths: Path) -> None:
        """Drop files onto the page."""
        files = [{"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()} for path in paths]
        self.page.evaluate(DROP, files)

    def loaded(self) -> None:
        """Wait until both panes show their image."""
        self.page.wait_for_function("() => { const s = window.intervalPanes.state(); return s.current && s.prior; }")

    def panes(self) -> dict[str, Any]:
        state: dict[str, Any] = self.page.evaluate("() => window.intervalPanes.state()")
        return state

    def draft(self) -> None:
        """Draft and wait for the sentences."""
        self.page.click("#ivp-draft:not([disabled])")
        self.page.wait_for_selector(".iv-stream-text:not(:empty)", state="attached")  # a small model is quick
        self.page.wait_for_selector(".iv-sentence")

    def sentences(self) -> list[dict[str, str]]:
        rows = self.page.locator(".iv-sentence")
        return [
            {"origin": row.get_attribute("data-origin") or "", "status": row.get_attribute("data-status") or ""}
            for row in rows.all()
        ]

    def act(self, number: int, action: str) -> None:
        """Press a button of a sentence."""
        self.page.locator(".iv-sentence").nth(number).locator(f"[data-action={action}]").click()

    def type_sentence(self, text: str) -> None:
        """Type into the open sentence and keep it."""
        box = self.page.locator(".iv-sentence textarea")
        box.fill(text)
        box.press("Enter")

    def sign(self, name: str) -> None:
        self.page.fill("#ivp-name input, #ivp-name textarea", name)
        self.page.click("#ivp-sign-button")

    def at_rest(self) -> None:
        """Wait until nothing is under way: Gradio may lose what is sent in the moment in which an answer ends."""
        self.page.evaluate("() => new Promise((done) => setTimeout(() => requestIdleCallback(done), 500))")

    def history(self) -> None:
        """Turn to the history and wait for its rows."""
        self.page.get_by_role("tab", name="History").click()
        self.page.wait_for_selector(".ivp-history tbody tr")

    def wait_until(self, condition: str, seconds: float = PATIENCE / 1000) -> None:
        """Wait for a condition in the page."""
        self.page.wait_for_function(condition, timeout=seconds * 1000)


def settle(seconds: float) -> None:
    """Let a picture come to rest before it is photographed."""
    time.sleep(seconds)

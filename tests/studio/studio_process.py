"""The studio as a process of its own, and a browser on it; for the browser test and the screenshots."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 120_000
"""Milliseconds to wait for anything: test machines may be very busy."""

START = "import sys; from engine.cli import main; sys.exit(main(['studio', *sys.argv[1:]], module='trainer_ui.main'))"
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def start(home: Path, *options: str, project: Path = PROJECT) -> tuple[subprocess.Popen[str], str]:
    """A running studio and its address; ``project`` is where the program lies."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, "--no-browser", *options],
        cwd=project,
        env=os.environ | {"INTERVAL_HOME": str(home), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), f"the studio did not start: {url!r}"
    return process, url


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """Headless Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=[*QUIET, "--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


@dataclass
class Screen:
    """A page on the studio that remembers what went wrong and whom it asked."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, opened: Browser, url: str, width: int = 1280, height: int = 800) -> Screen:
        page = opened.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        screen = cls(page, url)
        page.on("console", lambda message: screen.note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: screen.fault(str(error), error.stack))
        page.on("request", lambda request: screen.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
        return screen

    def note(self, text: str) -> None:
        """Streamlit looks for its server below the address of the page first, where it is not: that is no error."""
        if "404 (Not Found)" not in text:
            self.errors.append(text)

    def fault(self, text: str, where: str | None) -> None:
        """Said at once: it may be why the test fails elsewhere."""
        print(f"The page failed: {text}\n{where}", file=sys.stderr)
        self.errors.append(text)

    def go(self, address: str = "") -> None:
        """Open a page by its address and wait for it."""
        self.page.goto(self.url + address)
        self.page.locator("h1").wait_for()

    def turn(self, name: str) -> None:
        """Turn to a page by the bar."""
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def fill(self, label: str, value: str) -> None:
        """Type into a field and leave it."""
        self.page.get_by_label(label).fill(value)
        self.page.get_by_label(label).press("Tab")

    def enter(self, setting: str, value: str) -> None:
        """Type into the field of a recipe's setting and leave it."""
        field = self.page.locator(f".st-key-set-{setting} input")
        field.fill(value)
        field.press("Tab")

    def take_preset(self) -> None:
        """Fill in the form from the preset that is chosen."""
        self.press("Fill in the form")
        self.idle()

    def shows(self, setting: str, value: str) -> None:
        """Wait until the field of a recipe's setting shows this."""
        expect(self.page.locator(f".st-key-set-{setting} input")).to_have_value(value)

    def choose(self, setting: str, words: str) -> None:
        """Choose from the list of a recipe's setting by a part of the words."""
        field = self.page.locator(f".st-key-set-{setting} input")
        self.pick(field, words)
        expect(field).to_have_value(re.compile(re.escape(words)))
        self.idle()

    def pick(self, field: Locator, words: str | re.Pattern[str]) -> None:
        """Open a list and choose from it: once nothing is drawn anew, which would close it."""
        self.idle()
        field.click()
        if isinstance(words, str):
            field.fill(words)
        self.page.get_by_role("option", name=words).first.click()

    def until(self, sign: Locator, act: Callable[[], None], patience: int = 3000) -> None:
        """Do it again until the sign is there: a table that is just being drawn anew takes no click."""
        for _ in range(20):
            act()
            try:
                return sign.wait_for(timeout=patience)
            except TimeoutError:
                continue
        raise AssertionError(f"{sign} did not appear.")

    def idle(self) -> None:
        """Wait until the studio has done what it was asked and asks for nothing itself for half a second."""
        rests = self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
        still = 0
        while still < 5:
            self.page.wait_for_timeout(100)
            still = still + 1 if rests.count() else 0

    def badge(self, words: str) -> None:
        """Wait until a job says so."""
        self.page.locator(".stMarkdownBadge", has_text=words).first.wait_for()

"""The data page in Chromium: a set made by clicks, checked, looked at with both its images, split, held against."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def drawn(page: Page) -> list[int]:
    """The widths of the films that the browser has drawn."""
    found: list[int] = page.locator(".st-key-films img").evaluate_all("all => all.map(one => one.naturalWidth)")
    return found


def test_a_set_is_made_checked_looked_at_and_split_by_clicks(
    opened: Browser, home: Path, nothing_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))  # of the studio and its jobs: the browser runs already
    studio, url = start(home)
    try:
        screen = Screen.open(opened, url)
        page = screen.page
        screen.go("data")
        screen.fill("Longer side of an image, pixels", "96")
        screen.fill("Cases (patients)", "12")
        screen.press("Make the set")
        expect(page.get_by_text("train.json: 12 samples to train on")).to_be_visible()

        # Open it from the list: small, so that it is checked at once.
        screen.press("Open")
        expect(page.get_by_text(re.compile("Nothing is wrong with this file|No error"))).to_be_visible()
        assert "set=phantoms" in page.url

        page.get_by_role("tab", name="Statistics").click()
        expect(page.get_by_text("Change since the prior")).to_be_visible()
        expect(page.locator("canvas, svg.marks").first).to_be_visible()

        # A sample with a prior: both films, drawn, and the text with what is learnt.
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("radio", name="With", exact=True).click()
        expect(page.get_by_text(re.compile("^[0-9]+ of 12 rows$"))).to_be_visible()
        page.wait_for_function("document.querySelectorAll('.st-key-films img').length == 2")
        page.wait_for_function("[...document.querySelectorAll('.st-key-films img')].every(one => one.naturalWidth)")
        assert all(0 < width <= 96 for width in drawn(page))
        expect(page.get_by_alt_text("Current image")).to_be_visible()
        expect(page.get_by_alt_text("Prior image")).to_be_visible()
        expect(page.get_by_text("what the model learns to write")).to_be_visible()
        expect(page.get_by_text(re.compile("positions used: .* are learnt"))).to_be_visible()
        assert not any(path.is_file() for path in temporary.rglob("*")), "films are in memory alone"
        assert list((home / "tmp").iterdir()) == []
        logged = "".join(file.read_text() for file in (home / "logs").rglob("*") if file.is_file())
        assert "PHANTOM-A" not in logged and "phantom-a" not in logged
        first = page.url
        screen.press("Next →")
        page.wait_for_url(re.compile("row="))
        assert "prior=With" in page.url and page.url != first
        page.reload()
        expect(page.get_by_alt_text("Prior image")).to_be_visible()

        # Split: the job runs beside, and its table comes by itself.
        page.get_by_role("tab", name="Split").click()
        screen.fill("Patients for the test, per cent", "30")
        screen.press("Split")
        expect(page.get_by_text(re.compile("10 % validation, 30 % test; seed 0"))).to_be_visible()
        screen.press("Open this set")
        expect(page.locator("h1")).to_have_text("phantoms-split")
        expect(page.get_by_role("tab", name="Check")).to_have_attribute("aria-selected", "true")

        # Nobody is in two of its parts.
        page.get_by_role("tab", name="Against").click()
        screen.press("Compare")
        expect(page.get_by_text(re.compile("share nothing|Nobody is in both"))).to_be_visible()

        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
        studio.send_signal(signal.SIGINT)
        assert studio.wait(60) == 0
    finally:
        studio.kill()
        studio.wait()

"""The engine's process is killed in the middle of a draft: the page in a real browser is of use again at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from viewer_process import STAND_IN, Screen, viewer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "drafting"))
import stand_in

READER = "Dr. Ada Reader"
USABLE = 10.0
"""Seconds after which the page must be of use again."""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_engine_leaves_the_page_usable_and_the_words_kept(
    opened: Browser, files: list[Path], model: Path, home: Path
) -> None:
    stand_in.make(model)
    with viewer(home, "--model", str(model), start=STAND_IN) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(*files)
        screen.loaded()
        indication = page.locator("#ivp-context textarea").first
        indication.fill(json.dumps({"wait_after": 4}))
        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector(".iv-stream-text:has-text('The heart is enlarged.')")

        began = time.monotonic()
        os.kill(stand_in.starts(model)[-1], signal.SIGKILL)
        page.wait_for_selector(".ivp-notice:has-text('stopped unexpectedly')")
        page.wait_for_selector(".iv-sentence")
        page.wait_for_selector("#ivp-draft:not([disabled])")
        assert time.monotonic() - began < USABLE
        assert page.locator(".iv-sentence").count() == 1
        assert "The heart is enlarged." in page.inner_text(".iv-sentence")

        screen.act(0, "accept")
        screen.sign(READER)
        page.wait_for_selector(".ivp-notice:has-text('sentences of a draft that was stopped')")
        assert page.locator(".ivp-line--signed").count() == 0

        screen.at_rest()
        indication.fill("Cough.")
        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector(".ivp-question [data-option='draft']")
        screen.at_rest()
        page.click(".ivp-question [data-option='draft']")
        page.wait_for_selector(".iv-sentence:has-text('No pneumothorax is seen.')")
        page.click("[data-action=accept-all]")
        screen.sign(READER)
        page.wait_for_selector(".ivp-line--signed")
        assert len(stand_in.starts(model)) == 2, "the engine was started again once"
        assert screen.errors == []
        page.close()

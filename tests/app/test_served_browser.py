"""A server added in the viewer by clicks, tried, chosen and drafted with, its words shown as they come."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, expect
from viewer_process import PATIENCE, Screen, viewer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "served"))

import chat_server


def test_a_server_is_added_tried_and_drafts(
    opened: Browser, files: list[Path], home: Path, options: tuple[str, ...]
) -> None:
    expect.set_options(timeout=PATIENCE)
    with chat_server.running() as server, viewer(home, *options) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(*files)
        screen.loaded()
        page.click("#ivp-settings > button")
        page.click("#ivp-servers > button")
        said = page.locator("#ivp-servers-said")

        # One that is elsewhere is not asked before its switch is on; it is kept, and not offered.
        page.fill("#ivp-servers-address input, #ivp-servers-address textarea", "http://gpu.example:8000")
        page.fill("#ivp-servers-model input, #ivp-servers-model textarea", "big-vl")
        page.click("#ivp-servers-try")
        expect(said).to_contain_text("is not on this machine")
        page.click("#ivp-servers-save")
        expect(said).to_contain_text("It is not used until images may leave for it.")

        # What is ticked for one address is not said of the next.
        page.check("#ivp-servers-consent input")
        page.fill("#ivp-servers-address input, #ivp-servers-address textarea", server.url)
        expect(page.locator("#ivp-servers-consent input")).not_to_be_checked()
        page.fill("#ivp-servers-model input, #ivp-servers-model textarea", "")
        page.click("#ivp-servers-try")
        expect(said).to_contain_text("answered a question about two test pictures")
        page.click("#ivp-servers-save")
        expect(said).to_contain_text("It can be chosen under Model.")
        page.click("#ivp-model input")
        expect(page.get_by_role("option", name="big-vl")).to_have_count(0)
        page.get_by_role("option", name="tiny-vl").click()
        expect(page.locator("#ivp-about")).to_contain_text("weights not known to this program")
        expect(page.locator("#ivp-plan")).to_contain_text("runs in its server")
        page.click("#ivp-settings > button")

        screen.at_rest()
        server.wait_at = 3
        page.click("#ivp-draft:not([disabled])")
        expect(page.locator(".iv-stream-text")).to_contain_text("The heart is normal.")
        server.go.set()
        page.wait_for_selector(".iv-sentence")
        assert len(screen.sentences()) == 2
        assert screen.errors == []
        assert len(chat_server.pictures(server.bodies[-1])) == 2
        page.close()

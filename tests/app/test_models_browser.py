"""Model, precision and memory plan in a real browser: chosen without a restart, seen before, recorded after."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from viewer_process import Screen, viewer

from engine.records import Records

SIZES = [(1280, 800), (1920, 1080)]


def plan(screen: Screen, words: str) -> str:
    """The line under the choice, once it has these words."""
    screen.wait_until(f"() => document.querySelector('#ivp-plan')?.innerText.includes('{words}')")
    return screen.page.inner_text("#ivp-plan")


def choose(screen: Screen, precision: str) -> None:
    screen.page.click("#ivp-precision input")
    screen.page.get_by_role("option", name=precision).click()


@pytest.mark.parametrize("size", SIZES, ids=["1280", "1920"])
def test_another_precision_is_chosen_planned_and_recorded(
    opened: Browser, options: tuple[str, ...], files: list[Path], home: Path, size: tuple[int, int]
) -> None:
    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, *size)
        page = screen.page
        screen.drop(*files)
        screen.loaded()
        screen.draft()
        assert page.locator("#ivp-plan").count() == 0 or not page.locator("#ivp-plan").is_visible()

        page.click("#ivp-settings > button")
        assert "free" in plan(screen, "a draft takes")
        choose(screen, "bfloat16")
        plan(screen, "A draft takes")
        page.fill("#ivp-beams input", "2")
        page.keyboard.press("Tab")
        plan(screen, "(2 beams)")
        for selector in ("#ivp-model", "#ivp-precision", "#ivp-plan"):
            box = page.locator(selector).bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= size[0], selector
            assert page.evaluate(
                f"() => {{ const e = document.querySelector('{selector}');"
                " return e.scrollWidth <= e.clientWidth + 1; }"
            ), selector
        assert page.locator(".ivp-line--mark").is_visible(), "a demonstration in every precision"
        page.get_by_label("No repeated n-gram").focus()
        assert page.evaluate("() => document.querySelector('#ivp-report').scrollTop") == 0, "nothing is pushed out"
        page.click("#ivp-settings > button")

        screen.at_rest()
        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector("#ivp-stop", state="visible")
        page.wait_for_selector("#ivp-draft:not([disabled])", state="visible")
        page.wait_for_selector(".iv-sentence")
        assert page.locator(".ivp-notice").count() == 0
        assert screen.errors == []
        page.close()

    with Records.open(home, application="test") as records:
        (found,) = records.search().rows
        first, second = records.report(found.report_id).drafts
    assert (first.settings["dtype"], first.settings["num_beams"]) == ("float32", 1)
    assert (second.settings["dtype"], second.settings["num_beams"]) == ("bfloat16", 2)

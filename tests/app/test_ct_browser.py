"""A slice of CT in a real browser: its windows, a draft by a model that reads CT, and one that refuses it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from viewer_process import PATIENCE, Screen, viewer

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "models"), str(TESTS / "models" / "golden")]
import ct_slice  # noqa: E402 - found through the paths above

CHEST = TESTS.parent / "models" / "demo-tac"
REFUSED = "The current image is of the modality CT, and the model demo-tac reads CR and DX only."


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads CT."""
    return ct_slice.model(tmp_path_factory.mktemp("models") / "slice-reader")


@pytest.mark.skipif(not (CHEST / "config.json").is_file(), reason="the demonstration model is not there")
def test_a_slice_of_ct_is_shown_drafted_and_refused_by_a_model_of_radiographs(
    opened: Browser, reader: Path, tmp_path: Path, home: Path
) -> None:
    with viewer(home, "--model", str(reader)) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(ct_slice.write(tmp_path / "slice.dcm"))
        screen.wait_until("() => window.intervalPanes.state().current")
        assert "Slice" in page.inner_text(".ivp-patient")
        assert "Current: slice of 2024-06-05" in page.inner_text("#ivp-case")
        assert "CT slice\nCT chest" in page.inner_text("[data-role=current]")

        presets = page.locator("select[aria-label='Window preset']")
        names = [name.split()[-1] for name in presets.locator("option").all_inner_texts()[:3]]
        assert names == ["lung", "mediastinum", "bone"]
        for number in ("1", "2", "0"):  # each shows another picture
            before = picture(screen)
            presets.select_option(number)
            another(screen, before)

        screen.draft()
        drafted = sentences(screen)
        assert drafted and all(drafted)
        assert {row["origin"] for row in screen.sentences()} == {"ai"}

        choose_model(screen, "demo-tac")
        screen.at_rest()
        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector(f".ivp-notice:has-text('{REFUSED}')")
        assert page.locator(".ivp-notice").count() == 1
        assert sentences(screen) == drafted, "nothing is lost"
        assert screen.panes()["current"] and "Slice" in page.inner_text(".ivp-patient")
        assert page.locator("#ivp-draft").is_enabled()

        choose_model(screen, "slice-reader")
        screen.at_rest()
        screen.act(0, "accept")
        page.wait_for_selector(".iv-sentence[data-status=accepted]")
        assert screen.errors == []
        page.close()


def sentences(screen: Screen) -> list[str]:
    return screen.page.locator(".iv-sentence").all_inner_texts()


def picture(screen: Screen) -> str:
    """What the panes draw, without the words on them."""
    drawn: str = screen.page.locator(".iv-canvas").evaluate("(canvas) => canvas.toDataURL()")
    return drawn


def another(screen: Screen, before: str) -> None:
    """Wait until another picture than ``before`` is drawn."""
    end = time.monotonic() + PATIENCE / 1000
    while picture(screen) == before:
        assert time.monotonic() < end, "the picture stays the same"
        screen.page.wait_for_timeout(50)


def choose_model(screen: Screen, name: str) -> None:
    """Choose a model in the settings, and close them again."""
    page = screen.page
    page.click("#ivp-settings > button")
    page.click("#ivp-model input")
    page.click(f"[role=option]:has-text('{name}')")
    page.click("#ivp-settings > button")

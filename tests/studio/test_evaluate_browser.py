"""An evaluation in Chromium from the first click to the worst case: a real job, its scores, both images, a reload."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import evaluation_made
import pytest

from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui.services import case_browser, case_view, evaluations

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_an_evaluation_from_the_first_click_to_the_worst_case(
    opened: Browser, home: Path, nothing_left: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    made = evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation")
    shutil.copytree(made / "data" / "phantoms", home / "data" / "phantoms")
    studio, url = start(home)
    try:
        screen = Screen.open(opened, url)
        page = screen.page
        screen.go("evaluate?set=phantoms")
        expect(page.get_by_text("6 questions, 6 patients")).to_be_visible()
        screen.pick(page.get_by_test_id("stMultiSelect").get_by_role("combobox").first, re.compile("demo-tac"))
        expect(page.get_by_text("Will answer: demo-tac.")).to_be_visible()
        page.keyboard.press("Escape")
        screen.press("Start the evaluation")

        # It is followed without a click until its scores are there.
        expect(page.locator("h1")).to_have_text("demo-tac-on-phantoms")
        screen.badge("scored")
        expect(page.locator(".studio-table").first).to_contain_text("Finding F1, micro")
        expect(page.locator(".studio-table").first).to_contain_text("baseline, sees no image")
        assert queue.jobs()[0].state is State.DONE

        # The worst case with a prior: found by its filter, opened by a click, with both images.
        one = evaluations.find("demo-tac-on-phantoms")
        browser = case_browser.read(one.path, evaluations.document(one.path))
        usual = case_view.usual(browser, "demo-tac", "")
        worst = case_view.chosen(browser, replace(usual, parts=("prior: with a prior",)))
        page.get_by_text("Cases", exact=True).first.click()
        parts = page.get_by_test_id("stMultiSelect").filter(has_text="Studies").get_by_role("combobox")
        screen.pick(parts, re.compile("^prior: with a prior$"))
        expect(page.get_by_text(f"{len(worst)} of 6 studies")).to_be_visible()
        page.keyboard.press("Escape")
        heading = page.get_by_role("heading", name=worst[0].id)
        screen.until(heading, lambda: page.get_by_test_id("stDataFrame").click(position={"x": 60, "y": 50}))
        for again in (False, True):
            if again:
                page.reload()
            expect(page.get_by_role("heading", name=worst[0].id)).to_be_visible()
            expect(page.get_by_test_id("stImage").locator("img")).to_have_count(2)
            for image in page.get_by_test_id("stImage").locator("img").all():
                expect(image).to_have_js_property("complete", True)
                assert image.evaluate("image => image.naturalWidth") in range(40, 97)
            expect(page.get_by_text(worst[0].reference).first).to_be_visible()
            expect(page.locator(".studio-words ins").first).to_be_visible()
            assert f"case={worst[0].id}" in page.url and "in=prior" in page.url
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", name=worst[1].id)).to_be_visible()

        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
    finally:
        studio.kill()
        studio.wait()

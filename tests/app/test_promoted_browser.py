"""A promoted model in a real browser: offered without a restart, with its scores beside it, and taken back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from scored_evaluations import write_scores
from viewer_process import PATIENCE, PROJECT, Screen, viewer

from engine import paths
from engine.models.identity import fingerprint
from engine.models.recognition import examine
from engine.training.exporting import promote, take_back

WIDTH, HEIGHT = 1280, 800


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed models with the demonstration model, which this process promotes into."""
    demo = PROJECT / "models" / "demo-tac"
    if not (demo / "config.json").is_file():
        pytest.skip("there is no demonstration model")
    folder = tmp_path / "models"
    shutil.copytree(demo, folder / "demo-tac")
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


def tuned(folder: Path) -> Path:
    """A model that is not installed."""
    shutil.copytree(PROJECT / "models" / "demo-tac", folder)
    record = json.loads((folder / "interval.json").read_text())
    (folder / "interval.json").write_text(json.dumps(record | {"name": "site-b"}))
    return folder


def test_it_is_offered_shown_chosen_and_taken_back_while_the_viewer_runs(
    opened: Browser, shelf: Path, files: list[Path], home: Path, tmp_path: Path
) -> None:
    expect.set_options(timeout=PATIENCE)
    start = (str(PROJECT / "tests" / "app" / "viewer_with_models.py"), str(shelf))
    with viewer(home, start=start) as url:
        screen = Screen.open(opened, url, WIDTH, HEIGHT)
        page = screen.page
        screen.drop(*files)
        screen.loaded()

        # While the page is open a model is promoted: it is offered when Settings are opened.
        source = tuned(tmp_path / "source")
        scores = write_scores(tmp_path / "held-out", fingerprint(examine(source)))
        promote(source, name="site-b", evaluation=scores)
        page.click("#ivp-settings > button")
        expect(page.locator("#ivp-about")).to_contain_text("demonstration")
        expect(page.locator("#ivp-about")).not_to_contain_text("Promoted")
        page.click("#ivp-model input")
        page.get_by_role("option", name="site-b").click()
        about = page.locator("#ivp-about")
        expect(about).to_contain_text("Promoted")
        for words in ("Evaluation held-out: 24 studies of 20 patients.", "58.5 %", "[54.5 to 62.5]", "may be chance"):
            expect(about).to_contain_text(words)
        expect(about.locator("tbody tr:visible")).to_have_count(4)
        expect(page.locator("#ivp-plan")).to_contain_text("free")
        box = about.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= WIDTH
        assert page.evaluate(
            "() => { const e = document.querySelector('.ivp-model'); return e.scrollWidth <= e.clientWidth + 1; }"
        )
        about.locator("summary").click()
        expect(about.locator("details tbody tr")).to_have_count(2)
        page.click("#ivp-settings > button")
        screen.at_rest()
        screen.draft()
        written = len(screen.sentences())
        assert written > 0

        # Taken back while it is chosen: said where a draft is asked for, and the other one is chosen.
        take_back("site-b")
        screen.at_rest()
        page.click("#ivp-draft:not([disabled])")
        notice = page.locator(".ivp-notice")
        expect(notice).to_have_count(1)
        expect(notice).to_contain_text("The model site-b is no longer in the viewer. demo-tac is chosen instead.")
        assert len(screen.sentences()) == written, "nothing is lost"
        page.click("#ivp-settings > button")
        expect(page.locator("#ivp-model input")).to_have_value("demo-tac")
        expect(about).not_to_contain_text("Promoted")
        page.click("#ivp-settings > button")
        screen.at_rest()
        page.click("#ivp-draft:not([disabled])")
        expect(notice).to_have_count(0)
        page.wait_for_selector("#ivp-draft:not([disabled])", state="visible")
        assert screen.errors == []
        page.close()

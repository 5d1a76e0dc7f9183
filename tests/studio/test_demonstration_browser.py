"""The whole demonstration by clicks, as the README tells it: data, training, evaluation, export, the viewer, and back.

It takes ten to fifteen minutes on two cores; `launch.py test --all` runs it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import IntervalError
from engine.training.exporting import take_back
from trainer_ui.services import evaluations, exports, runs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "app"))

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

CASES = 2400
NAME = "demo-by-clicks"
LONGEST = 30 * 60 * 1000
"""Milliseconds that training may take on a busy machine."""


@pytest.fixture
def nothing_left(nothing_left: None) -> Iterator[None]:
    """The model is out of the viewer again as well."""
    yield
    with suppress(IntervalError):
        take_back(NAME)


def test_from_another_hospitals_films_to_a_better_model_in_the_viewer(
    opened: Browser, home: Path, nothing_left: None
) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start
    from viewer_process import viewer

    expect.set_options(timeout=PATIENCE)
    studio, url = start(home)
    try:
        screen = Screen.open(opened, url)
        page = screen.page

        # Films of a third site, and patients apart for validation and test.
        screen.go("data")
        screen.fill("Name", "films")
        screen.fill("Cases (patients)", str(CASES))
        screen.pick(page.get_by_role("combobox", name="Made at"), "Site C")
        screen.press("Make the set")
        expect(page.get_by_text(f"train.json: {CASES:,} samples to train on")).to_be_visible(timeout=LONGEST)
        screen.press("Open")
        page.get_by_role("tab", name="Split").click()
        screen.fill("Name of the new set", "site-c")
        screen.fill("Patients for validation, per cent", "5")
        screen.fill("Patients for the test, per cent", "12")
        screen.press("Split")
        expect(page.get_by_text(re.compile("5 % validation, 12 % test"))).to_be_visible()

        # The preset, as it is: it names this data.
        screen.go("train")
        screen.pick(page.get_by_role("combobox", name="Begin with"), "The demonstration: another hospital")
        screen.take_preset()
        screen.press("Check")
        expect(page.get_by_text(re.compile("Nobody who is learnt from is in the validation"))).to_be_visible(
            timeout=LONGEST
        )
        screen.press("Start training")
        expect(page).to_have_url(re.compile(r"run=demo-site-c-\d{8}-\d{6}$"))
        name = page.url.rsplit("=", 1)[1]
        began = time.monotonic()
        expect(page.get_by_role("link", name="Next: evaluate it")).to_be_visible(timeout=LONGEST)
        print(f"trained in {(time.monotonic() - began) / 60:.1f} minutes")
        assert runs.find(name).trained

        # Base against tuned, on patients that neither has seen.
        page.get_by_role("link", name="Next: evaluate it").click()
        expect(page.get_by_text(re.compile(r"Will answer: .*demo-tac"))).to_be_visible()
        screen.press("Start the evaluation")
        screen.badge("scored")
        table = page.locator(".studio-table").first
        expect(table).to_contain_text("BLEU-4", timeout=LONGEST)
        scored = evaluations.find(page.locator("h1").inner_text())
        compared = json.loads((scored.path / "scores.json").read_text())["models"]
        (tuned,) = [one["comparison"]["differences"] for key, one in compared.items() if "demo-site-c" in key]
        better = {key for key, found in tuned.items() if found["value"] > 0 and found["p_holm"] < 0.05}
        assert {"BLEU4", "ROUGE-L", "Temporal_entity_score"} <= better, tuned

        # Merged with its certificate, and to the viewer with the evaluation beside it.
        screen.go(f"export?run={name}")
        screen.fill("Name", NAME)
        screen.press("Merge and certify")
        expect(page.get_by_text(re.compile("The merged model is base and adapter"))).to_be_visible(timeout=LONGEST)
        assert exports.find(NAME).certificate is not None
        screen.fill("Its name in the viewer", NAME)
        screen.press("Promote")
        expect(page.get_by_text(f"Promote {NAME}").first).to_be_visible()  # the job: the click has been heard
        screen.go("export?view=viewer")
        expect(page.locator(f".st-key-promoted-{NAME}")).to_be_visible()

        # The viewer offers it with its scores; taken back, it no longer does.
        with viewer(home) as address:
            other = opened.new_page(viewport={"width": 1280, "height": 900})
            other.goto(address)
            other.click("#ivp-settings > button")
            other.click("#ivp-model input")
            other.get_by_role("option", name=NAME).click()
            expect(other.locator("#ivp-about")).to_contain_text("Promoted")
            expect(other.locator("#ivp-about")).to_contain_text(f"Evaluation {scored.name}")
            screen.press("Take back")
            screen.press("Take it back")
            expect(page.get_by_text("No model has been promoted yet")).to_be_visible()
            other.close()

        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
    finally:
        studio.kill()
        studio.wait()

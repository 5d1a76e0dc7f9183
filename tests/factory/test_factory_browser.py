"""The whole way by clicks, for a tiny Qwen2-VL: from a preset through LLaMA-Factory to a draft in the viewer.

The program runs from a copy of its own, so that what is promoted is not installed beside the real models.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import factory_runs
import pytest

from engine import paths
from engine.jobs import queue
from engine.models import promotion
from trainer_ui.services import recipes, run_figures, runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

sys.path[:0] = [str(factory_runs.TESTS / name) for name in ("app", "studio", "evaluation")]
pytestmark = pytest.mark.llamafactory

PRESET = "Qwen2-VL learns to describe CT slices (MedTrinity), through LLaMA-Factory"
SETTINGS = (
    ("name", "tiny-ct"),
    ("stages-0-epochs", "20"),
    ("stages-0-accumulate", "1"),
    ("stages-0-learning_rate", "0.004"),
    ("stages-0-checkpoint_every", "50"),
    ("validation-every", "40"),
    ("validation-limit", "3"),
    ("validation-max_new_tokens", "24"),
    ("threads", "1"),
)
"""So that it takes seconds; all else is the preset's."""

SETTINGS_OF_ANSWERS = (
    ("name", "tiny-answers"),
    ("stages-0-epochs", "1"),
    ("stages-0-accumulate", "1"),
    ("stages-0-learning_rate", "0.004"),
    ("validation-every", "20"),
    ("validation-limit", "3"),
    ("validation-max_new_tokens", "12"),
    ("max_length", "1024"),
    ("threads", "1"),
)


@pytest.fixture
def opened(chromium: str) -> Iterator[Browser]:
    from studio_process import browser

    with browser(chromium) as running:
        yield running


@pytest.fixture
def nothing_left(home: Path) -> Iterator[None]:
    """Whatever still runs when the test ends is ended."""
    yield
    for job in queue.jobs():
        queue.kill(job.id)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program in a folder of its own."""
    folder = factory_runs.project(tmp_path / "project")
    monkeypatch.setattr(paths, "models", lambda: folder / "models")
    return folder


def test_from_the_preset_to_a_draft_in_the_viewer(
    opened: Browser, home: Path, project: Path, nothing_left: None, tmp_path: Path
) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    data = factory_runs.slices(home / "data" / "ct-slices", 24)
    model = factory_runs.qwen2vl(tmp_path / "elsewhere" / "tiny-qwen2-vl")
    studio, url = start(home, project=project)
    try:
        screen = Screen.open(opened, url)
        page = screen.page

        # The preset, a model that is not installed, data sets of the studio, and a few settings.
        screen.go("train?view=new")
        screen.pick(page.locator(".st-key-train-preset input"), PRESET)
        expect(page.get_by_text("The published recipe for Qwen2-VL-2B")).to_be_visible()
        screen.take_preset()
        expect(page.get_by_text("There is no model models/Qwen2-VL-2B-Instruct.")).to_be_visible()
        screen.choose("start", "Another folder")
        screen.enter("start-path", str(model))
        screen.press("Allow it")
        expect(page.locator(".st-key-set-start input")).to_have_value(str(model))
        screen.choose("samples", "ct-slices/train.json")
        screen.choose("validation-questions", "ct-slices/validation.jsonl")
        page.get_by_text("More settings").click()
        for setting, value in SETTINGS:
            screen.enter(setting, value)
        expect(page.get_by_text("captions: 44 samples, 2 a step, 440 steps, 11 validations.")).to_be_visible()
        assert recipes.value(recipes.document(recipes.draft()), ("llamafactory", "image_max_pixels")) == 589824
        screen.press("Check")
        expect(page.get_by_text("Its environment is ready")).to_be_visible()
        screen.press("Start training")
        expect(page).to_have_url(re.compile(r"run=tiny-ct-\d{8}-\d{6}"))
        name = page.url.rsplit("=", 1)[1]

        # It is watched, stopped, and goes on where it was.
        expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
        screen.press("Stop with checkpoint")
        screen.badge("stopped: can be resumed")
        stopped = runs.find(name)
        assert 0 < stopped.step < 440 and queue.jobs()[0].exit_status == 130
        screen.press("Resume")
        expect(page.get_by_role("link", name="Next: export it")).to_be_visible()
        run = runs.find(name)
        assert (run.where, run.step, run.trained) == ("done", 440, True)
        found = run_figures.evaluations(run.path)
        assert [one.step for one in found] == [*range(40, 441, 40)], "a stop is no validation"
        assert all(set(one.scores) == {"loss", "BLEU4", "ROUGE-L"} for one in found), "of CT no findings are read"
        assert "tags:\n- ct\n" in (run.path / "model" / "README.md").read_text()
        drawn = page.locator("[data-testid=stVegaLiteChart]")
        expect(drawn).to_have_count(3)  # loss, scores, learning rate
        page.get_by_role("tab", name="What it writes").click()
        expect(page.get_by_text("What the model wrote").first).to_be_visible()
        page.get_by_role("tab", name="Recipe").click()
        expect(page.get_by_text("lora_rank: 8")).to_be_visible()
        page.get_by_role("tab", name="Console").click()
        expect(page.get_by_text("Training completed")).to_be_attached()

        # Merged, certified, promoted.
        page.get_by_role("link", name="Next: export it").click()
        screen.press("Merge and certify")
        screen.badge("certified: the same model")
        expect(page.get_by_text("15 of 15").first).to_be_visible()
        screen.press("Promote")
        page.get_by_text("In the viewer", exact=True).click()
        expect(page.get_by_text("Certified to be base and adapter in one")).to_be_visible()
        assert [one.name for one in promotion.promoted()] == ["tiny-ct"]
        assert screen.errors == [] and {host for host in screen.hosts if host} == {url.split("/")[2]}
        page.close()
    finally:
        studio.kill()
        studio.wait()
    drafts(opened, home, project, next((data / "images").iterdir()))


def test_short_answers_are_learnt_asked_before_and_after_and_judged(
    opened: Browser, home: Path, project: Path, nothing_left: None, tmp_path: Path
) -> None:
    """LLaVA by its preset, in 4 bits; then base and result on the same questions, with a judge behind an address."""
    import judge_server
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    data = factory_runs.slices(home / "data" / "ct-slices", 8)
    (data / "few.jsonl").write_text("".join((data / "questions-test.jsonl").read_text().splitlines(keepends=True)[:6]))
    model = factory_runs.llava(tmp_path / "elsewhere" / "tiny-llava")
    studio, url = start(home, project=project)
    try:
        screen = Screen.open(opened, url)
        page = screen.page
        screen.go("train?view=new")
        screen.pick(page.locator(".st-key-train-preset input"), "LLaVA-1.5 learns short answers")
        screen.take_preset()
        expect(page.get_by_text("There is no model models/llava-1.5-7b-hf.")).to_be_visible()
        screen.choose("start", "Another folder")
        screen.enter("start-path", str(model))
        screen.press("Allow it")
        expect(page.locator(".st-key-set-start input")).to_have_value(str(model))
        screen.choose("samples", "ct-slices/questions-train.json")
        screen.choose("validation-questions", "ct-slices/questions-validation.jsonl")
        page.get_by_text("More settings").click()
        for setting, value in SETTINGS_OF_ANSWERS:
            screen.enter(setting, value)
        expect(page.get_by_text("answers: 127 samples, 2 a step, 64 steps, 4 validations.")).to_be_visible()
        ready = page.get_by_text("Its environment is ready")
        screen.until(ready, lambda: screen.press("Check"), patience=60_000)
        screen.press("Start training")
        page.get_by_role("link", name="Next: evaluate it").click()
        (run,) = runs.overview()
        assert run.trained and run.best is not None and run.best.metric == "vqa_score"
        settings = (run.path / "llamafactory.yaml").read_text()
        assert "quantization_bit: 4" in settings and "template: llava" in settings

        with judge_server.running() as server:
            screen.go(f"evaluate?run={run.name}&set=ct-slices")
            screen.pick(page.get_by_role("combobox", name="Question file"), re.compile("few.jsonl"))
            expect(page.get_by_text(re.compile("6 with a short reference answer"))).to_be_visible()
            expect(
                page.get_by_text(re.compile(r"Will answer: tiny-llava, .* \(made from tiny-llava\)"))
            ).to_be_visible()
            page.get_by_text("Choosing the words").click()
            screen.fill("Tokens of an answer at most", "16")
            page.get_by_text("A model behind an address").click()
            page.get_by_role("textbox", name="Address").fill(server.url)
            page.get_by_role("textbox", name="Address").press("Tab")
            page.get_by_text("These texts may be sent to this program").click()
            screen.press("Start the evaluation")
            screen.badge("scored")
            expect(page.locator(".studio-table").filter(has_text="By the judge")).to_contain_text(
                "Over all answers judged"
            )
            assert len(server.bodies) >= 6
        (folder,) = (home / "evaluations").iterdir()
        for name in ("pretrained", "finetuned"):
            assert json.loads((folder / f"evaluation_{name}.json").read_text())["total_responses"] == 6
        assert screen.errors == [] and {host for host in screen.hosts if host} == {url.split("/")[2]}
        page.close()
    finally:
        studio.kill()
        studio.wait()


def drafts(opened: Browser, home: Path, project: Path, slice_: Path) -> None:
    """The promoted model is the one in the viewer, and writes a draft of a picture of a slice."""
    from playwright.sync_api import expect
    from viewer_process import Screen, viewer

    with viewer(home, project=project) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(slice_)
        screen.wait_until("() => window.intervalPanes.state().current")
        page.click("#ivp-settings > button")
        expect(page.locator("#ivp-model input")).to_have_value("tiny-ct")
        expect(page.locator("#ivp-about")).to_contain_text("Promoted")
        page.click("#ivp-settings > button")
        screen.at_rest()
        screen.draft()
        assert {row["origin"] for row in screen.sentences()} == {"ai"}
        assert screen.errors == []
        page.close()

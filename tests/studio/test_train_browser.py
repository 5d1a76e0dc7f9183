"""A run from the form to its model in Chromium, with the studio killed on the way."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny_runs

from engine.jobs import queue
from engine.jobs.job import State as JobState
from engine.training.run_folder import RunFolder, State, runs_folder
from trainer_ui.services import recipes, run_figures, runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ENTERED = {"name": "busy", "stages-0-epochs": "10", "stages-0-batch_size": "2", "validation-patience": "5"}
PLACES = (("name",), ("stages", 0, "epochs"), ("stages", 0, "batch_size"), ("validation", "patience"))


def test_what_is_entered_while_the_studio_is_busy_is_not_lost(opened: Browser, home: Path, nothing_left: None) -> None:
    from studio_process import Screen, start

    studio, url = start(home)
    try:
        screen = Screen.open(opened, url)
        screen.go("train?view=new")
        for _ in range(2):
            screen.take_preset()
            # All of it reaches the studio at once: each change meets the work for the one before it.
            studio.send_signal(signal.SIGSTOP)
            for setting, value in ENTERED.items():
                screen.enter(setting, value)
            studio.send_signal(signal.SIGCONT)
            screen.idle()
            for setting, value in ENTERED.items():
                screen.shows(setting, value)
            recipe = recipes.document(recipes.draft())
            assert [recipes.value(recipe, place) for place in PLACES] == ["busy", 10, 2, 5]
        assert screen.errors == []
    finally:
        studio.kill()
        studio.wait()


def test_the_page_of_a_run_stands_however_late_the_studio_is(opened: Browser, home: Path, nothing_left: None) -> None:
    """Several windows ask for a run whose console is long; nothing is answered for a while, then all at once."""
    from playwright.sync_api import expect
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    folder = RunFolder(runs_folder() / "long-20260101-000000")
    folder.path.mkdir(parents=True)
    folder.recipe.write_text("name: long\n")
    (folder.path / "llamafactory.log").write_text("\n".join(f"{line}: {'x' * 100}" for line in range(3000)))
    folder.write_state(State("running", stage="adapt", step=3, steps=9))
    kinds: set[str] = set()

    def heard(frame: bytes) -> None:
        message = ForwardMsg()
        message.ParseFromString(frame)
        kinds.add(message.WhichOneof("type"))

    studio, url = start(home)
    try:
        screens = [Screen.open(opened, url) for _ in range(3)]
        for screen in screens:
            screen.page.on("websocket", lambda socket: socket.on("framereceived", heard))
        for _ in range(2):
            folder.write_state(State("running", stage="adapt", step=3, steps=9))
            for screen in screens:
                screen.go(f"train?run={folder.name}")
                screen.badge("running")
            studio.send_signal(signal.SIGSTOP)
            folder.write_state(State("stopped"))
            screens[0].page.wait_for_timeout(4500)  # each page asks two times
            studio.send_signal(signal.SIGCONT)
            for screen in screens:
                screen.badge("stopped: can be resumed")
                screen.idle()
                expect(screen.page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
        assert [screen.errors for screen in screens] == [[], [], []]
        assert "delta" in kinds and "ref_hash" not in kinds
    finally:
        studio.kill()
        studio.wait()


def test_a_run_from_the_form_to_its_model(
    opened: Browser, home: Path, nothing_left: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    shutil.copytree(tiny_runs.phantoms(tmp_path_factory), home / "data")
    studio, url = start(home)
    try:
        screen = Screen.open(opened, url)
        page = screen.page
        screen.go("train")
        screen.take_preset()
        screen.choose("samples", "train/train.json")
        screen.choose("validation-questions", "held-out/eval.jsonl")
        page.get_by_text("More settings").click()
        for setting, value in (
            ("name", "tiny"),
            ("stages-0-epochs", "10"),
            ("stages-0-batch_size", "2"),
            ("validation-patience", ""),
            ("validation-every", "8"),
            ("validation-limit", "2"),
            ("validation-max_new_tokens", "12"),
            ("threads", "1"),
        ):
            screen.enter(setting, value)
        expect(page.get_by_text("8 samples, 2 a step, 40 steps, 5 validations.")).to_be_visible()

        # A reload loses nothing that was entered; the check says that it can be started.
        page.reload()
        expect(page.locator(".st-key-set-name input")).to_have_value("tiny")
        screen.press("Check")
        expect(page.get_by_text(re.compile("Nobody who is learnt from is in the validation"))).to_be_visible()
        screen.press("Start training")
        expect(page).to_have_url(re.compile(r"run=tiny-\d{8}-\d{6}$"))
        address = page.url.removeprefix(url)
        name = address.rsplit("=", 1)[1]
        screen.badge("running")
        assert screen.errors == []

        # The studio is killed; another one finds the run at work.
        studio.kill()
        studio.wait()
        assert [job.state for job in queue.jobs()] == [JobState.RUNNING]
        studio, again = start(home, "--port", url.rstrip("/").rsplit(":", 1)[1])
        assert again == url
        screen.go(address)
        screen.errors.clear()  # of the time without a studio
        expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
        page.get_by_role("tab", name="What it writes").click()
        expect(page.get_by_text("What the model wrote").first).to_be_visible()
        screen.press("Stop with checkpoint")
        screen.badge("stopped: can be resumed")
        stopped = runs.find(name)
        assert 0 < stopped.step < 40 and queue.jobs()[0].exit_status == 130

        screen.press("Resume")
        expect(page.get_by_role("link", name="Next: evaluate it")).to_be_visible()
        run = runs.find(name)
        assert (run.where, run.step, run.trained) == ("done", 40, True)
        assert [one.step for one in run_figures.evaluations(run.path)] == [8, 16, 24, 32, 40]
        assert recipes.document(run_figures.recipe_text(run.path))["name"] == "tiny"

        page.get_by_role("button", name="← All runs").click()
        page.locator(".st-key-runs-table").click(position={"x": 60, "y": 52})
        expect(page).to_have_url(re.compile(f"run={name}$"))
        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
        studio.send_signal(signal.SIGINT)
        assert studio.wait(60) == 0
    finally:
        studio.kill()
        studio.wait()

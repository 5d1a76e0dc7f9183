"""The form where LLaMA-Factory trains: that it has to be set up, who trains which model, and its own words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine import paths
from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui import addresses
from trainer_ui.services import recipes

Open = Callable[..., AppTest]
NOTICE = "LLaMA-Factory has to be set up first"
CONFIGURATIONS = {
    "qwen": {"model_type": "qwen2_vl"},
    "llava": {"model_type": "llava"},
    "libra": {"model_type": "llava", "mm_vision_tower": "dinov2", "mm_projector_type": "TAC"},
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment is set up."""
    (tmp_path / "environments").mkdir()
    monkeypatch.setenv("INTERVAL_ENVIRONMENTS", str(tmp_path / "environments"))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed models, as far as their configuration tells what they are."""
    folder = tmp_path / "models"
    for name, configuration in CONFIGURATIONS.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(configuration))
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


def preset(key: str) -> recipes.Preset:
    return next(one for one in recipes.presets() if one.key == key)


def text(page: AppTest) -> str:
    return "\n".join(str(getattr(element, "value", "")) for element in page.main).replace("\\", "")


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def draft() -> Any:
    return recipes.document(recipes.draft())


def test_what_has_to_be_set_up_is_said_at_once_and_done_by_a_press(open_page: Open) -> None:
    page = open_page(addresses.TRAIN, view="new")
    assert NOTICE not in text(page)
    page.selectbox(key="train-preset").set_value("medtrinity-qwen2-vl").run()
    assert "models download Qwen/Qwen2-VL-2B-Instruct" in "\n".join(code.value for code in page.code)
    press(page, "Fill in the form")
    shown = text(page)
    assert NOTICE in shown and "needs the network" in shown
    assert "There is no model models/Qwen2-VL-2B-Instruct." in shown and "Samples: no file" in shown, "all at once"
    press(page, "Set up LLaMA-Factory")
    (job,) = queue.jobs()
    assert (job.kind, job.words, job.state) == ("setup", ("setup", "llamafactory"), State.QUEUED)
    assert "It is being set up" in text(page) and "Set up LLaMA-Factory" not in labels(page)
    queue.request_stop(job.id)
    page.run()
    assert "Set up LLaMA-Factory" in labels(page), "it can be tried again"


@pytest.mark.parametrize("chosen", ["qwen", "llava"])
def test_the_model_says_who_trains_it(open_page: Open, models: Path, chosen: str) -> None:
    text_ = preset("libra-stage-2").text
    for place, value in ((("conversation",), "libra_v1"), (("stages", 0, "connector_learning_rate"), 0.001)):
        text_ = recipes.changed(text_, place, value)
    recipes.write(lambda old: text_)
    page = open_page(addresses.TRAIN, view="new")
    start = page.selectbox(key="set-start")
    assert f"{chosen} (through LLaMA-Factory)" in start.options and "libra" in start.options
    start.set_value(recipes.spoken(models / chosen)).run()
    assert draft()["llamafactory"] == {} and NOTICE in text(page)
    assert "conversation" not in draft() and "connector_learning_rate" not in draft()["stages"][0]
    assert [info.value for info in page.info if "LLaMA-Factory trains this model" in info.value]
    page.selectbox(key="set-start").set_value(recipes.spoken(models / "libra")).run()
    assert "llamafactory" not in draft() and draft()["start"] == str(models / "libra")
    assert NOTICE not in text(page) and not page.info[1:]


def test_the_form_has_the_words_of_who_trains(open_page: Open, models: Path) -> None:
    text_ = recipes.changed(preset("small-data").text, ("stages", 0, "train"), ["connector", "language_model"])
    file = str(models / "libra" / "config.json")  # one that is there
    for place, named in (
        (("start",), str(models / "libra")),
        (("samples",), file),
        (("validation", "questions"), file),
    ):
        text_ = recipes.changed(text_, place, named)
    recipes.write(lambda old: text_)
    page = open_page(addresses.TRAIN, view="new")

    def said() -> tuple[list[str], list[str], str]:
        parts = next(group for group in page.button_group if group.key == "set-stages.0.train").options
        optimisers = page.selectbox(key="set-stages.0.optimiser").options
        return parts, optimisers, page.toggle(key="set-stages.0.lora").label

    parts, optimisers, lora = said()
    assert parts[0] == "Connector: compares current and prior" and "Muon" in optimisers
    assert lora == "The language model learns by LoRA"
    page.selectbox(key="set-start").set_value(recipes.spoken(models / "qwen")).run()
    parts, optimisers, lora = said()
    assert parts[0] == "Connector: hands the image over" and "Muon" not in optimisers
    assert lora == "These parts learn by LoRA"
    assert "LLaMA-Factory puts no LoRA on the connector" in text(page)

"""Sources of images with captions and questions: their forms, the commands they become, and the sets that are made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from data_desk import opened, picture, ran
from streamlit.testing.v1 import AppTest

from engine.cli import data as data_command
from engine.datasets.checking import check
from engine.errors import DatasetError, UsageError
from engine.jobs import queue
from trainer_ui import addresses
from trainer_ui.services import datasets, image_texts, places, samples
from trainer_ui.services.image_texts import Captions, CtPhantoms, FromFactory, HeldOut, VqaRad

Open = Callable[..., AppTest]
SHAREGPT = {
    "messages": [
        {"role": "user", "content": "<image>Describe."},
        {"role": "assistant", "content": "左肺结节 in the left lung."},
    ],
    "images": ["pictures/a.png"],
}


def parsed(words: tuple[str, ...]) -> argparse.Namespace:
    """The words of a job as the command reads them; SystemExit where it does not."""
    parser = argparse.ArgumentParser()
    data_command.register(parser)
    assert words[0] == "data"
    return parser.parse_args(words[1:])


@pytest.fixture
def factory(home: Path) -> Path:
    """A data folder of LLaMA-Factory's with one good set and one that lies elsewhere; where the studio may look."""
    folder = home / "factory"
    picture(folder / "pictures" / "a.png", 1)
    (folder / "rows.json").write_text(json.dumps([SHAREGPT]), encoding="utf-8")
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    good = {"file_name": "rows.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    info = folder / "dataset_info.json"
    info.write_text(json.dumps({"med": good, "far": {"hf_hub_url": "a/b"}}))
    places.allow(str(folder))
    return info


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


@pytest.mark.parametrize("source", ["CT demonstration set", "LLaMA-Factory folder", "Captions (MedTrinity)", "VQA-RAD"])
def test_every_source_has_its_form(open_page: Open, source: str) -> None:
    page = open_page(addresses.DATA)
    page.button_group[0].set_value(source).run()
    assert not page.exception and not page.error
    [last] = [button for button in page.button if button.label == "Make the set"]
    assert last.disabled == (source != "CT demonstration set")


def test_ct_phantoms_are_made_by_one_click_and_looked_at(open_page: Open, home: Path) -> None:
    page = open_page(addresses.DATA)
    page.button_group[0].set_value("CT demonstration set").run()
    next(field for field in page.number_input if field.label.startswith("Patients, of")).set_value(8)
    next(field for field in page.number_input if field.label == "Pixels along a side").set_value(56)
    next(field for field in page.selectbox if field.label == "Language").set_value("en+zh")
    press(page, "Make the set")
    [job] = queue.jobs()
    assert ran(job).state.value == "done" and job.kind == "ct-phantoms"
    [found] = datasets.found()
    assert {file.path.name: file.form for file in found.files if "train" in file.path.name} == {
        "train.json": "training",
        "questions-train.json": "training",
    }
    for file in found.files:
        assert check(file.path).ok
    shown = open_page(addresses.DATA, set="ct-phantoms", tab="Look")
    assert not shown.error and "CT" in "\n".join(str(getattr(each, "value", "")) for each in shown.main)


def test_a_folder_of_llama_factory_becomes_a_set(open_page: Open, factory: Path) -> None:
    page = open_page(addresses.DATA)
    page.button_group[0].set_value("LLaMA-Factory folder").run()
    page.text_input(key="factory-info").set_value(str(factory)).run()
    assert list(page.selectbox(key="factory-entry").options) == ["med", "far"]
    press(page, "Make the set")
    [job] = queue.jobs()
    assert ran(job).state.value == "done"
    one = opened("from-llama-factory")
    assert one.images == factory.parent
    shown = samples.sample(one, samples.Wanted())
    assert shown is not None and shown.turns == (("Describe.", "左肺结节 in the left lung."),)
    page.selectbox(key="factory-entry").set_value("far")
    press(page, "Make the set")
    assert "comes from elsewhere" in page.error[0].value.replace("\\", "") and len(queue.jobs()) == 1


def test_a_sharegpt_file_is_listed_and_looked_at_without_converting(factory: Path) -> None:
    added = datasets.add(factory.parent / "rows.json")
    assert (added.training, added.files[0].form, added.images) == (1, "training", factory.parent)
    one = opened(added.name)
    shown = samples.sample(one, samples.Wanted(text="左肺"))
    assert shown is not None and shown.row.id == "row-1" and shown.row.case is not None
    assert shown.row.case.images == (factory.parent / "pictures/a.png",)
    broken = factory.parent / "broken.jsonl"
    broken.write_text(json.dumps(SHAREGPT | {"images": []}) + "\n")
    assert datasets.add(broken).training == 1
    listed = samples.page(opened("factory/broken.jsonl"), samples.Wanted())
    assert not listed.listed[0].usable and "'images' is missing" in listed.listed[0].words


def test_forms_become_commands_that_exist(home: Path, tmp_path: Path, factory: Path) -> None:
    file, images = tmp_path / "list.json", tmp_path / "images"
    read = parsed(image_texts.ct_phantoms(CtPhantoms("ct", 5, 3, 84, "zh", HeldOut(30, 0))).words)
    assert (read.data_command, read.output, read.count, read.seed) == ("ct-phantoms", home / "data" / "ct", 5, 3)
    assert (read.size, read.language, read.test, read.validation) == (84, "zh", 0.3, 0.0)
    read = parsed(image_texts.captions(Captions("c", file, images, "-Describe.", "^(p)", HeldOut(5, 5))).words)
    assert (read.data_command, read.file, read.images, read.output) == ("captions", file, images, home / "data" / "c")
    assert (read.instruction, read.patient, read.test) == ("-Describe.", "^(p)", 0.05)
    read = parsed(image_texts.captions(Captions("d", file, images)).words)
    assert (read.instruction, read.patient) == ("", "")
    read = parsed(image_texts.vqa_rad(VqaRad("v", file, images, "by-image")).words)
    assert (read.data_command, read.split, read.images, read.test) == ("vqa-rad", "by-image", images, 0.2)
    read = parsed(image_texts.from_factory(FromFactory("f", factory, "med", "question", "join")).words)
    assert (read.source, read.destination, read.to) == (f"{factory}:med", home / "data" / "f" / "train.json", "libra")
    assert (read.system, read.join_questions, read.one_question_each) == ("question", 20, False)
    assert parsed(image_texts.from_factory(FromFactory("g", factory, "med", turns="one each")).words).one_question_each
    assert len(queue.jobs()) == 6


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"size": 8}, {"held_out": HeldOut(60, 40)}, {"name": "../x"}, {"patients": 10**7}]
)
def test_what_cannot_be_made_is_not_queued(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        image_texts.ct_phantoms(CtPhantoms(**({"name": "x", "patients": 5} | wrong)))  # type: ignore[arg-type]
    with pytest.raises(DatasetError):
        image_texts.from_factory(FromFactory("x", Path("/nowhere/dataset_info.json"), "med"))
    assert queue.jobs() == ()

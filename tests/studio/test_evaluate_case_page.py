"""The case browser as Streamlit runs it: filters in the address, one case with its images and texts, the next one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import evaluation_made
import pytest
from streamlit.testing.v1 import AppTest

from trainer_ui import addresses
from trainer_ui.services import case_browser, case_view, evaluations

Open = Callable[..., AppTest]
NAME = evaluation_made.NAME


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return evaluation_made.put(evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation"), home)


def text(page: AppTest) -> str:
    said = "\n".join(str(getattr(element, "value", "")) for element in page.main)
    return re.sub(r"<style>.*?</style>|<[^>]+>", " ", said, flags=re.DOTALL).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def param(page: AppTest, name: str) -> str:
    """What the address says under a name; "" where it says nothing."""
    value = page.query_params.get(name, "")
    return value[0] if isinstance(value, list) else value


def worst(folder: Path, of: str = "tuned") -> list[case_browser.StudyCases]:
    browser = case_browser.read(folder, evaluations.document(folder))
    return list(case_view.chosen(browser, case_view.usual(browser, of, "demo-tac")))


def test_filters_stand_in_the_address_but_not_the_words(open_page: Open, folder: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases")
    assert list(page.dataframe[0].value["Study"]) == [study.id for study in worst(folder)]
    page.selectbox(key="cases-of").set_value("demo-tac").run()
    page.multiselect(key="cases-faults").set_value(["missed finding", "wrong change"]).run()
    page.selectbox(key="cases-order").set_value("lost").run()
    page.selectbox(key="cases-against").set_value("tuned").run()
    page.text_input(key="cases-text").set_value("DESCRIPTION").run()
    assert not page.exception and (param(page, "of"), param(page, "order")) == ("demo-tac", "lost")
    assert param(page, "fault") == "missed finding|wrong change" and param(page, "against") == "tuned"
    assert "DESCRIPTION" not in str(dict(page.query_params))
    count = len(page.dataframe[0].value)
    assert 0 < count < 6 and f"{count} of 6 studies" in text(page)
    assert "largest loss against tuned first" in text(page)
    again = open_page(addresses.EVALUATE, **{name: param(page, name) for name in dict(page.query_params)})
    assert list(again.dataframe[0].value["Study"]) == list(page.dataframe[0].value["Study"])
    page.text_input(key="cases-text").set_value("nobody wrote that").run()
    assert "No case is like that" in text(page)
    press(page, "Show all")
    assert len(page.dataframe[0].value) == 6 and param(page, "fault") == "" and param(page, "of") == "demo-tac"


def test_a_case_shows_both_images_all_texts_and_what_is_wrong(open_page: Open, folder: Path) -> None:
    study = next(one for one in worst(folder, "demo-tac") if one.parts["prior"] == "with a prior")
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", of="demo-tac", case=study.id)
    assert not page.error and len(page.get("image")) == 2
    said = text(page)
    for words in (study.id, study.whom, study.asked, study.reference, "Current", "Prior", "view not said", "96 pixels"):
        assert words in said, words
    for name in ("demo-tac", "tuned", "echo"):
        assert all(word in said for word in study.cases[name].prediction.split())
    slip = study.cases["demo-tac"].slips[0]
    assert f"{slip.fault}: {slip.finding}" in said and f"said: {slip.said}" in said and "none found" in said
    marks = "".join(element.value for element in page.get("html"))
    assert "<ins>" in marks and "<del>" in marks and "Always the same normal report" not in said
    page.toggle(key="case-marks").set_value(False).run()
    assert "<ins>" not in "".join(element.value for element in page.get("html"))
    page.toggle(key="case-baselines").set_value(True).run()
    assert "Always the same normal report" in text(page) and not page.exception


def test_previous_and_next_go_through_the_view(open_page: Open, folder: Path) -> None:
    order = [study.id for study in worst(folder)]
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=order[0])
    assert "1 of 6" in text(page) and next(b for b in page.button if b.label == "Previous").disabled
    for place in (1, 2):
        press(page, "Next")
        assert param(page, "case") == order[place] and f"{place + 1} of 6" in text(page)
    press(page, "Previous")
    assert param(page, "case") == order[1]
    press(page, "← All cases")
    assert param(page, "case") == "" and len(page.dataframe[0].value) == 6
    last = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=order[-1])
    assert next(b for b in last.button if b.label == "Next").disabled


def test_a_case_that_the_view_leaves_out_is_shown_all_the_same(open_page: Open, folder: Path) -> None:
    page = open_page(
        addresses.EVALUATE, evaluation=NAME, part="cases", fault="missed finding", case=worst(folder)[0].id
    )
    assert "not among those of this view" in text(page) and not page.error
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case="<b>no</b>")
    assert "no case of this study" in text(page) and not page.exception


def test_a_model_that_did_not_answer_says_why(open_page: Open, folder: Path) -> None:
    lines = (folder / "cases.jsonl").read_text().splitlines(keepends=True)
    study = json.loads(lines[0])["id"]
    rest = [line for line in lines if json.loads(line)["id"] != study or "always" in json.loads(line)["system"]]
    (folder / "cases.jsonl").write_text("".join(rest))
    (folder / "answers" / "echo.failed.json").write_text(json.dumps({study: "The image is damaged."}))
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=study)
    said = text(page)
    assert "echo has not answered. The image is damaged." in said and "tuned has not answered." in said
    assert "Always the same normal report" not in said and not page.error


def test_images_that_are_gone_leave_the_texts(open_page: Open, folder: Path, home: Path) -> None:
    study = worst(folder)[0]
    document = evaluations.document(folder)
    (home / "moved").mkdir()
    document["asked"]["images"] = str(home / "moved")
    (folder / "evaluation.json").write_text(json.dumps(document))
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=study.id)
    assert "is not there" in page.error[0].value and study.reference in text(page)
    document["asked"]["questions"]["file"] = str(home / "gone.jsonl")
    (folder / "evaluation.json").write_text(json.dumps(document))
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=study.id)
    assert "there are no images to show" in text(page) and study.reference in text(page) and not page.error


@pytest.mark.parametrize(("prior", "words"), [("dummy", "current image in its place"), ("none", "were not shown it")])
def test_a_prior_that_the_models_did_not_see_is_marked(open_page: Open, folder: Path, prior: str, words: str) -> None:
    content = json.loads((folder / "scores.json").read_text())
    content["asked"]["prior"] = prior
    (folder / "scores.json").write_text(json.dumps(content))
    study = next(one for one in worst(folder) if one.parts["prior"] == "with a prior")
    assert words in text(open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=study.id))


def test_nothing_of_an_image_is_left_in_the_data_folder(open_page: Open, folder: Path, home: Path) -> None:
    before = {file for file in home.rglob("*") if file.is_file()}
    open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case=worst(folder)[0].id)
    after = {file for file in home.rglob("*") if file.is_file()}
    assert {file.suffix for file in after - before} <= {".log", ".lock", ""}

"""The evaluation page as Streamlit runs it: a new one, the list, and every part of one; empty, damaged, hostile."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluation_made
import pytest
from streamlit.testing.v1 import AppTest

from engine import paths
from engine.jobs import files, queue
from engine.jobs.job import Job
from trainer_ui import addresses
from trainer_ui.pages.evaluate_one import PARTS

Open = Callable[..., AppTest]
MakeJob = Callable[..., Job]
NAME = evaluation_made.NAME


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation")


@pytest.fixture
def folder(root: Path, home: Path) -> Path:
    """A copy of the small evaluation, and its phantoms as a data set."""
    return evaluation_made.put(root, home, data=True)


def text(page: AppTest) -> str:
    """All that stands on a page, tags and escapes of Markdown taken away."""
    said = "\n".join(str(getattr(element, "value", "")) for element in page.main)
    return re.sub(r"<style>.*?</style>|<[^>]+>", " ", said, flags=re.DOTALL).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def test_a_run_fills_in_its_base_and_what_it_has_not_seen(
    open_page: Open, root: Path, folder: Path, home: Path
) -> None:
    data = home / "data" / "phantoms"
    (data / "eval.jsonl").rename(data / "test.jsonl")
    run = home / "runs" / "tried"
    (run / "model").mkdir(parents=True)
    base = {"peft_type": "LORA", "base_model_name_or_path": str(paths.models() / "demo-tac")}
    (run / "model" / "adapter_config.json").write_text(json.dumps(base))
    (run / "state.json").write_text('{"state": "done"}')
    (run / "recipe.yaml").write_text(json.dumps({"samples": [str(data / "train.json")]}))
    page = open_page(addresses.EVALUATE, run="tried")
    assert page.selectbox(key="evaluate-questions").value == str(data / "test.jsonl")
    assert "Will answer: demo-tac, tried (made from demo-tac)." in text(page)
    assert "tried has learnt from 6 of these patients (train.json)" in text(page)
    assert page.selectbox[1].value == str(data / "truth.jsonl"), "what is true is found beside the questions"
    press(page, "Start the evaluation")
    (job,) = queue.jobs()
    assert job.result == home / "evaluations" / "tried-on-phantoms" and "--score" in job.words
    assert job.words[2].endswith("models/demo-tac") and job.words[4] == f"tried={run / 'model'}"
    assert "tried-on-phantoms" in page.query_params["evaluation"]
    assert "It is next." in text(page) and "Take out of the queue" in [button.label for button in page.button]


def test_wordings_prior_and_number_go_into_the_command(open_page: Open, folder: Path) -> None:
    page = open_page(addresses.EVALUATE, view="new", set="phantoms")
    assert "Choose at least one model." in text(page)
    page.multiselect(key="evaluate-models").set_value([str(paths.models() / "demo-tac")]).run()
    press(page, "Add a wording of the question")
    assert "The wording wording-1 says nothing yet." in text(page)
    page.text_input(key="wording-name-1").set_value("short")
    page.text_input(key="wording-text-1").set_value("Be $brief$.").run()
    page.radio(key="evaluate-prior").set_value("none")
    page.number_input(key="evaluate-limit").set_value(4).run()
    command = page.code[0].value
    for said in ("--prompt own=", "--prompt 'short=Be $brief$.'", "--without-prior", "--limit 4", "--score"):
        assert said in command
    assert "8 answers: 2 × 4 questions." in text(page) and not page.exception
    page.text_input(key="wording-name-1").set_value("a b").run()
    assert "begins with a letter" in page.error[0].value
    press(page, "Remove")
    assert "--prompt" not in page.code[0].value


def test_a_file_and_a_model_elsewhere_can_be_named(open_page: Open, root: Path, home: Path) -> None:
    home.mkdir()
    page = open_page(addresses.EVALUATE)
    assert "needs questions with reference reports" in text(page) and not page.error
    file = root / "data" / "phantoms" / "eval.jsonl"
    page.text_input(key="evaluate-questions-path").set_value(str(file)).run()
    assert "has not been allowed" in text(page)
    press(page, "Allow it")
    assert "6 questions, 6 patients" in text(page)
    (home / "mine").mkdir()
    page.text_input(key="evaluate-model-folder").set_value(str(home / "mine")).run()
    press(page, "Add it")
    assert "holds no model" in page.error[0].value
    (home / "mine" / "config.json").write_text('{"mm_projector_type": "TAC"}')
    press(page, "Add it")
    assert "mine (a folder)" in page.multiselect(key="evaluate-models").options


def test_a_run_that_has_no_model_yet_is_said(open_page: Open, folder: Path) -> None:
    assert "never has no finished model yet." in text(open_page(addresses.EVALUATE, run="never"))


def test_the_list_shows_how_far_each_is_and_resumes(
    open_page: Open, folder: Path, home: Path, make_job: MakeJob
) -> None:
    page = open_page(addresses.EVALUATE)
    table = page.dataframe[0].value
    assert list(table["Evaluation"]) == [NAME] and list(table["State"]) == ["scored"]
    assert "demo-tac: 6 of 6; tuned: 6 of 6; echo: 6 of 6" in table["Answers"][0]
    make_job("crashed", "evaluate", folder, exit_status=-9)
    (folder / "answers" / "echo.jsonl").write_text("")
    for file in (folder / "answers").iterdir():
        os.utime(file, (0, 0))
    page = open_page(addresses.EVALUATE)
    assert "Answers of demo-tac: 6 of 6; tuned: 6 of 6; echo: 0 of 6." in text(page)
    press(page, "Resume")
    assert queue.jobs()[0].title == "Resume small" and "--resume" in queue.jobs()[0].words
    assert "It is next." in text(page)
    press(page, "Open")
    assert page.title[0].value == NAME


@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_of_an_evaluation_is_there(open_page: Open, folder: Path, part: str) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME, part=part)
    assert not page.error and page.title[0].value == NAME
    wanted = {
        "scores": (
            "nothing tells them apart",
            "may be chance",
            "p = ",
            "after Holm",
            "sees no image",
            "not measured here",
        ),
        "studies": ("female", "with a prior", "no interval", "a hint at most"),
        "findings": ("Cardiomegaly", "there in 4 of 6", "Missed finding", "rule-based, not CheXbert"),
        "cases": ("6 studies", "the worst first, by Finding F1, micro of tuned"),
        "details": (
            "made from",
            "smallest p is 0.0005",
            "eval.jsonl",
            "at most 60 tokens",
            "The prior report is known of",
        ),
    }
    for words in wanted[part]:
        assert words.casefold() in text(page).casefold(), words


def test_short_answers_are_shown_with_their_own_scores(
    open_page: Open, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = evaluation_made.short(tmp_path_factory.getbasetemp() / "short")
    folder = evaluation_made.put(root, home, name=evaluation_made.SHORT)
    content = json.loads((folder / "scores.json").read_text())
    rate = {"value": 50.0, "interval": [10, 90], "studies": 4}
    content["models"]["tuned"]["scores"]["judge_correct_rate"] = rate
    said = {"sentence": "tuned against echo: the difference may be chance.", "differences": {}}
    content["judge"] = {"judge": "a judge", "caution": "An opinion.", "headline": False, "models": {"tuned": said}}
    (folder / "scores.json").write_text(json.dumps(content))
    wanted = {
        "scores": ("Closed questions right", "McNemar p 0.125", "only this 4", "LLaVA-Med's own code", "sees no image",
                   "They flatter", "What a judge says", "An opinion.", "may be chance", "Judged correct"),
        "findings": ("presence", "Closed questions", "Wrong answer", "Incomplete answer"),
        "cases": ("5 questions", "neither yes nor no"),
    }  # fmt: skip
    for part, words in wanted.items():
        page = open_page(addresses.EVALUATE, evaluation=evaluation_made.SHORT, part=part, of="echo")
        assert not page.error
        shown = text(page) + "".join(str(frame.value) for frame in page.dataframe)
        shown += "".join(box.label for box in page.expander)
        for word in words:
            assert word in shown, word
    case = open_page(addresses.EVALUATE, evaluation=evaluation_made.SHORT, part="cases", case="v0")
    assert "Is there edema?" in text(case) and "VQA score" in text(case) and not case.error


def test_the_table_holds_every_figure_with_its_interval_and_number(open_page: Open, folder: Path) -> None:
    scores = json.loads((folder / "scores.json").read_text())
    told = text(open_page(addresses.EVALUATE, evaluation=NAME))
    shown = re.sub(r"\s+", " ", told)
    tuned = scores["models"]["tuned"]
    entry = tuned["scores"]["ROUGE-L"]
    assert entry["value"] == 100 and "ROUGE-L, % The longest common sequence" in shown
    gain = tuned["comparison"]["differences"]["ROUGE-L"]
    low, high = gain["interval"]
    assert f"+{gain['value']:.1f} (+{low:.1f} to +{high:.1f}) may be chance" in shown
    base = scores["models"]["demo-tac"]["scores"]["ROUGE-L"]
    assert f"{base['value']:.1f} {base['interval'][0]:.1f} to {base['interval'][1]:.1f}" in shown
    assert "6 studies" in shown and "not tested" in shown


def test_another_base_and_checkpoints_are_a_job(open_page: Open, folder: Path, home: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "Compare with it" not in [button.label for button in page.button]
    page.selectbox(key=f"against-{NAME}").set_value("echo").run()
    press(page, "Compare with it")
    assert queue.jobs()[0].words == ("score", str(folder), "--against", "echo")
    assert "It is next." in text(page)
    queue.request_stop(queue.jobs()[0].id)
    (home / "bert").mkdir()
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    page.text_input(key="again-bertscore").set_value(str(home / "bert")).run()
    press(page, "Score again")
    assert queue.jobs()[0].words[-2:] == ("--bertscore", str(home / "bert"))


def test_what_can_be_taken_along(open_page: Open, folder: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert [button.label for button in page.get("download_button")] == ["CSV", "HTML", "PDF"]
    links = page.get("page_link")
    assert any(
        link.proto.label == "Next: promote a model" and f"evaluation={NAME}" in link.proto.query_string
        for link in links
    )
    press(page, "Delete it for good")
    assert not folder.exists() and "evaluation" not in page.query_params


def test_an_evaluation_without_scores_says_how_far_it_is(open_page: Open, folder: Path, make_job: MakeJob) -> None:
    for name in ("scores.json", "cases.jsonl"):
        (folder / name).unlink()
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases")
    assert "What was asked" in [heading.value for heading in page.subheader] and not page.error
    press(page, "Score")
    assert queue.jobs()[0].words == ("score", str(folder))
    job = make_job("running", "evaluate", folder)
    told = {"done": 7, "total": 18, "words": "answers", "first": 0, "began": job.began, "updated": job.began}
    files.write(job.folder / files.PROGRESS, told)
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "Stop" in [button.label for button in page.button] and not page.error


def test_what_was_left_out_is_said_with_the_reason(open_page: Open, folder: Path) -> None:
    reason = "'a.png' is not an image that can be read."
    (folder / "answers" / "echo.failed.json").write_text(json.dumps({"phantom-a20000000": reason}))
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="details")
    table = page.dataframe[0].value
    assert (table["Question"][0], table["By"][0], table["Why"][0]) == ("phantom-a20000000", "echo", reason)


@pytest.mark.parametrize("name", ["gone", "../jobs", "", "small/answers"])
def test_an_evaluation_that_is_not_there_is_said(open_page: Open, folder: Path, name: str) -> None:
    page = open_page(addresses.EVALUATE, evaluation=name)
    assert "There is no evaluation" in page.error[0].value


def test_damaged_scores_are_said_and_leave_the_way_on(open_page: Open, folder: Path) -> None:
    (folder / "scores.json").write_text("[")
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert any("score it again" in error.value for error in page.error)
    assert not page.exception


def test_names_and_texts_from_files_are_no_markup(open_page: Open, folder: Path) -> None:
    hostile = "<b onclick=x>**y**</b> ![](http://evil.example/x.png)"
    content = json.loads((folder / "scores.json").read_text())
    content["models"]["tuned"] |= {"title": hostile, "note": hostile, "notes": [hostile]}
    content["models"]["tuned"]["about"]["tuned_from"] = hostile
    content["notes"] = [hostile]
    (folder / "scores.json").write_text(json.dumps(content))
    for part in PARTS:
        page = open_page(addresses.EVALUATE, evaluation=NAME, part=part)
        said: list[Any] = [element.value for kind in ("markdown", "caption", "warning") for element in page.get(kind)]
        assert not any("](http" in str(one) or "<b" in str(one).replace("\\<b", "") for one in said)
        assert not any("<b onclick" in element.value for element in page.get("html"))
        assert not any("](http" in str(group.options) for group in page.get("button_group"))

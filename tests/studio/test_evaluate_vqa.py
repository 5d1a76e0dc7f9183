"""Short answers in the studio: task and judge in the form, judges near and behind an address, verdicts, grades."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import evaluation_made
import pytest
from streamlit.testing.v1 import AppTest

from engine import paths
from engine.cli import main
from engine.errors import DatasetError, UsageError
from engine.evaluation.judge.human import keep_grades
from engine.jobs import files, queue
from engine.jobs.job import Job
from trainer_ui import addresses
from trainer_ui.services import (
    case_browser,
    case_view,
    evaluation_states,
    evaluation_words,
    evaluations,
    grading,
    judges,
    question_files,
    score_sheet,
)
from trainer_ui.services.judges import Judge

Open = Callable[..., AppTest]
ASKED = (
    ("Is there edema?", "yes", "presence"),
    ("Is there a fracture?", "no", "presence"),
    ("Is this a PA or an AP film?", "PA", "view"),
    ("Which side is the effusion on?", "the left", "position"),
)
NAME = "tuned-on-short"


def helper(name: str) -> ModuleType:
    """A module of the evaluation's tests."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, Path(__file__).resolve().parent.parent / "evaluation" / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def question_set(folder: Path) -> Path:
    """Eight short questions about four patients."""
    evaluation_made.stand_ins().question_file(folder)
    rows = [
        {
            "question_id": f"q{n}",
            "image": "a.png",
            "text": f"<image>\n{asked}",
            "reference": said,
            "patient": f"p{n // 2}",
        }
        | {"question_type": kind, "sex": "F" if n % 2 else "M"}
        for n in range(8)
        for asked, said, kind in [ASKED[n % 4]]
    ]
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def models_in(root: Path) -> Path:
    """A model that knows the answers, and its base that does not."""
    for name in ("tuned", "echo"):
        (root / name).mkdir(parents=True)
        (root / name / "config.json").write_text('{"mm_projector_type": "TAC"}')
    (root / "tuned" / "training.json").write_text(json.dumps({"base": {"name": str(root / "echo")}}))
    return root


@pytest.fixture
def questions(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The questions as a data set, and both models installed."""
    root = models_in(home / "models")
    monkeypatch.setattr(paths, "models", lambda: root)
    return question_set(home / "data" / "short")


@lru_cache(maxsize=1)
def made(root: Path) -> Path:
    """An evaluation whose judge's replies about an answer that repeats "fracture?" cannot be read; made once."""
    server_of = helper("judge_server")
    questions, models = question_set(root / "data"), models_in(root / "models")
    with server_of.running() as server, evaluation_made.models_stood_in(questions):
        server.says = lambda body: (
            "Hm." if "fracture?\n</answer>" in body["messages"][1]["content"] else server_of.by_words(body)
        )
        words = ["evaluate", "--model", str(models / "tuned"), "--questions", str(questions), "--judge", server.url]
        assert main([*words, "--output", str(root / NAME)]) == 0
    return root / NAME


@pytest.fixture
def judged(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it in the data folder of this test."""
    source = made(tmp_path_factory.getbasetemp() / "judged")
    return Path(shutil.copytree(source, home / "evaluations" / NAME))


def text(page: AppTest) -> str:
    said = "\n".join(str(getattr(element, "value", "")) for element in page.main)
    said += "\n".join(box.label for box in page.expander) + "".join(str(frame.value) for frame in page.dataframe)
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", said, flags=re.DOTALL)).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def chosen(open_page: Open, questions: Path, kind: str) -> AppTest:
    """The form with the model and this kind of judge."""
    page = open_page(addresses.EVALUATE, view="new", set="short")
    page.multiselect(key="evaluate-models").set_value([str(paths.models() / "tuned")]).run()
    page.radio(key="evaluate-judge-kind").set_value(kind).run()
    assert not page.exception
    return page


def run_job(questions: Path) -> Path:
    """What the queued job does, in this process with models that stand in; the folder it has filled."""
    job = queue.jobs()[0]
    with evaluation_made.models_stood_in(questions):
        assert main(list(job.words)) == 0
    queue.request_stop(job.id)
    assert job.result is not None
    return job.result


def test_the_task_is_seen_from_the_file_and_can_be_said(open_page: Open, questions: Path) -> None:
    assert question_files.content(questions).words == (
        "8 questions, 4 patients; 8 with a short reference answer, 6 of them closed (yes, no or a choice), 2 open"
    )
    page = chosen(open_page, questions, "none")
    assert "wording-add" not in [button.key for button in page.button], "one wording cannot ask eight questions"
    assert "--task" not in page.code[0].value and "--judge" not in page.code[0].value
    task = next(group for group in page.get("button_group") if "evaluate-task" in group.key)
    task.set_value("report").run()
    assert "--task report" in page.code[0].value.replace(" \\\n   ", "") and not page.exception
    assert "Judge" not in [heading.value for heading in page.subheader]


def test_an_address_is_asked_only_once_its_box_is_ticked(open_page: Open, questions: Path) -> None:
    page = chosen(open_page, questions, "address")
    assert "Name the address of the judge." in text(page)
    for url, said, option in (
        ("http://127.0.0.1:9/v1", "listens at 127.0.0.1:9 on this machine", False),
        ("http://judge.example/v1", "LEAVE THIS MACHINE: they are sent to judge.example:80 over a connection",
         True),
    ):  # fmt: skip
        page.text_input(key="evaluate-judge-url").set_value(url).run()
        assert said in text(page) and "Tick the box" in text(page)
        assert "Start the evaluation" not in [button.label for button in page.button]
        page.checkbox[0].check().run()
        assert f"--judge {url}" in page.code[0].value and ("--judge-anywhere" in page.code[0].value) is option
    page.text_input(key="evaluate-judge-url").set_value("http://me:secret@judge.example/v1").run()
    assert "holds no name, password" in page.error[0].value and "Start the evaluation" not in text(page)
    page.radio(key="evaluate-judge-kind").set_value("none").run()
    press(page, "Start the evaluation")
    assert "--judge" not in queue.jobs()[0].words and judges.remembered() is None


def test_a_judge_of_this_machine_that_cannot_judge_is_shown_as_such(
    open_page: Open, questions: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.evaluation.judge import local

    monkeypatch.setattr(local, "TOKENS", 40)  # tiny models never end by themselves
    folder = helper("tiny_judges").plain(home / "models" / "words")
    page = chosen(open_page, questions, "folder")
    assert page.selectbox(key="evaluate-judge-model").value == str(folder), "language models come first"
    assert judges.NOT_SENT in text(page)
    press(page, "Start the evaluation")
    made = run_job(questions)
    assert judges.remembered() == Judge(str(folder))
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    said = text(page)
    for words in ("What a judge says", "valid_responses 0 0", "A property of the judge",
                  "8 of 8", "n/a n/a", "0 of 8", "an opinion and no headline"):  # fmt: skip
        assert words in said, words
    assert not page.error
    sheet = score_sheet.read(made)
    assert sheet.headline() == list(sheet.leading) and "judge_correct_rate" not in sheet.headline()
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", case="q0")
    assert "Judge: cannot be read" in text(page) and "That is the judge's failing." in text(page)
    assert {file.name for file in made.glob("evaluation_*")} == {
        "evaluation_pretrained.json",
        "evaluation_finetuned.json",
    }


def test_the_judges_table_has_both_denominators_and_says_what_may_be_chance(open_page: Open, judged: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    said = text(page)
    summary = json.loads((judged / "evaluation_pretrained.json").read_text())
    assert (summary["total_responses"], summary["valid_responses"]) == (8, 6)
    for words in ("8 questions about 4 patients", "valid_responses 6 8", "0 of 6", "0 of 8", "8 of 8",
                  "Over the replies that can be read", "Over all answers judged", "McNemar p", "after Holm",
                  "tuned against echo, judged correct of the valid replies", "Nobody has graded any of the 16 answers",
                  "By type of question (3)", "presence", "Open questions, exact match"):  # fmt: skip
        assert words in said, words
    assert not page.error and "8 studies" not in said


def test_verdicts_are_filtered_ordered_and_shown(open_page: Open, judged: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", of="echo")
    assert "the worst first, by VQA score of echo" in text(page)
    assert "Finding" not in [box.label for box in page.selectbox]
    table = page.dataframe[0].value
    assert list(table.columns[:4]) == ["Question", "Asked", "Reference", "Answer of echo"]
    page.multiselect(key="cases-verdicts").set_value(["cannot be read"]).run()
    assert (
        list(page.dataframe[0].value["Question"]) == ["q1", "q5"] and "cannot be read" in page.query_params["verdict"]
    )
    assert "judged cannot be read" in text(page)
    page.multiselect(key="cases-verdicts").set_value(["incorrect"]).run()
    page.multiselect(key="cases-parts").set_value(["type: position"]).run()
    assert list(page.dataframe[0].value["Question"]) == ["q3", "q7"]
    browser = case_browser.read(judged, evaluations.document(judged))
    assert browser.scores[0] == "vqa_score" and "judge_correct_rate" in browser.scores
    view = case_view.View(of="tuned", by="judge_correct_rate", differ="verdicts", verdicts=("correct",))
    again = case_view.from_address(view.params(case_view.View("echo")), browser, case_view.usual(browser, "echo", ""))
    assert (again.verdicts, again.differ, again.by) == (("correct",), "verdicts", "judge_correct_rate")
    assert {"q1", "q5"} <= {study.id for study in case_view.chosen(browser, again)}
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", of="tuned", case="q0")
    said = text(page)
    assert "Judge: correct" in said and "confidence 5 of 5" in said and "Its reason: as the reference" in said


def test_who_grades_does_not_see_the_judge_first(open_page: Open, judged: Path) -> None:
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", of="tuned", case="q0")
    page.toggle(key="case-grading").set_value(True).run()
    assert "Judge: correct" not in text(page) and "shown once you have graded" in text(page)
    buttons = {group.key: group for group in page.get("button_group")}
    buttons[f"grade-{NAME}-tuned-q0"].set_value("neutral").run()
    assert not page.exception and "Judge: correct" in text(page), "what was graded shows the judge's verdict"
    assert grading.grades(judged) == {("tuned", "q0"): "neutral"}
    assert "1 of 16 answers have been graded" in text(page)
    press(page, "Next")
    assert "shown once you have graded" in text(page), "grading goes on with the next case"
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases", of="tuned", graded="otherwise")
    assert list(page.dataframe[0].value["Question"]) == ["q0"]
    page.selectbox(key="cases-graded").set_value("not").run()
    assert len(page.dataframe[0].value) == 7
    browser = case_browser.read(judged, evaluations.document(judged))
    study = next(one for one in browser.studies if one.id == "q0")
    grading.grade(judged, study, browser.models, "tuned", None)
    assert grading.grades(judged) == {}


def test_grades_from_a_file_say_whether_the_judge_may_be_quoted(open_page: Open, judged: Path, home: Path) -> None:
    browser = case_browser.read(judged, evaluations.document(judged))
    given = [
        {"question_id": study.id, "model": name, "verdict": "neutral" if study.id == "q0" else said.verdict}
        for study in browser.studies
        for name in browser.models
        if (said := study.cases[name].judged) is not None and said.verdict != "cannot be read"
    ]
    file = home / "grades.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    page.text_input(key=f"grades-{NAME}").set_value(str(file)).run()
    press(page, "Take these grades")
    assert "14 of 16 answers have been graded by people. Judge and people: Cohen's kappa 0.7" in text(page)
    assert "The scores do not know all of these grades yet" in text(page)
    press(page, "Score again with the grades")
    words = queue.jobs()[0].words
    assert words == ("score", str(judged), "--against", "echo", "--task", "vqa")
    assert main(list(words)) == 0
    queue.request_stop(queue.jobs()[0].id)
    sheet = score_sheet.read(judged)
    assert sheet.judge is not None and sheet.judge.headline and "judge_correct_rate" in sheet.headline()
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "Judged correct, of all" in text(page) and not page.error
    keep_grades(judged, {(row["model"], row["question_id"]): "neutral" for row in given})
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "THE JUDGE DOES NOT GRADE AS PEOPLE DO" in text(page)
    (home / "grades.csv").write_text("question_id,model,verdict\nq0,nobody,correct\n")
    page.text_input(key=f"grades-{NAME}").set_value(str(home / "grades.csv")).run()
    press(page, "Take these grades")
    assert "1 row of the grades 'grades.csv' cannot be used." in text(page)


def test_an_evaluation_that_nobody_has_judged_says_how(open_page: Open, questions: Path, home: Path) -> None:
    page = chosen(open_page, questions, "none")
    press(page, "Start the evaluation")
    made = run_job(questions)
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "Nobody has judged these answers." in text(page) and not page.error
    page.radio(key=f"ask-{NAME}-kind").set_value("address").run()
    page.text_input(key=f"ask-{NAME}-url").set_value("http://localhost:1").run()
    page.text_input(key=f"ask-{NAME}-name").set_value("qwen").run()
    page.checkbox[0].check().run()
    press(page, "Ask the judge")
    job = next(job for job in queue.jobs() if job.kind == "score")
    assert job.title == f"Judge and score {NAME}" and job.words[-6:] == (
        "--task", "vqa", "--judge", "http://localhost:1", "--judge-model", "qwen"
    )  # fmt: skip
    assert judges.remembered() == Judge("http://localhost:1", "qwen")
    page = open_page(addresses.EVALUATE, evaluation=NAME, part="cases")
    assert page.multiselect(key="cases-verdicts").disabled
    (made / "grades.jsonl").write_text("no grade\n")
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    assert "1 row of the grades 'grades.jsonl' cannot be used." in text(page) and not page.exception


def test_what_is_said_of_an_address_and_a_folder(home: Path) -> None:
    assert judges.address("https://judge.example").sentence.endswith("they are sent to judge.example:443.")
    with pytest.raises(UsageError, match="no address"):
        judges.address("ftp://x")
    with pytest.raises(UsageError, match=r"no config\.json"):
        judges.at(home)
    judges.remember(Judge(str(home / "gone")))
    assert judges.remembered() is None
    assert evaluation_words.task_of(("evaluate", "--task", "vqa")) == "vqa" and evaluation_words.task_of(()) == ""


def test_the_answer_that_two_models_share_is_graded_once(judged: Path) -> None:
    browser = case_browser.read(judged, evaluations.document(judged))
    study = browser.studies[0]
    same = dict.fromkeys(("tuned", "echo"), study.cases["tuned"])
    grading.grade(judged, case_browser.StudyCases(study.id, 0, None, {}, same), browser.models, "tuned", "correct")
    assert grading.grades(judged) == {("tuned", study.id): "correct", ("echo", study.id): "correct"}
    with pytest.raises(DatasetError):
        grading.load(judged, judged / "cases.jsonl", browser)


def test_it_is_said_that_a_judge_is_being_asked(open_page: Open, judged: Path, make_job: Callable[..., Job]) -> None:
    job = make_job("running", "evaluate", judged)
    told = {
        "done": 3,
        "total": 16,
        "words": evaluation_states.JUDGED,
        "first": 0,
        "began": job.began,
        "updated": job.began,
    }
    files.write(job.folder / files.PROGRESS, told)
    page = open_page(addresses.EVALUATE, evaluation=NAME)
    said = text(page)
    assert "asking the judge" in said and "3 of 16 answers are judged." in said and not page.error
    assert "Ask the judge" not in [button.label for button in page.button], "it is being asked"

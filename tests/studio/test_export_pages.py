"""The export page as Streamlit runs it: what it offers, what it warns of, what a press begins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_exports
import tiny_runs
from scored_evaluations import write_scores
from streamlit.testing.v1 import AppTest

from engine.cli import main
from engine.jobs import queue
from engine.jobs.job import Job
from trainer_ui import addresses
from trainer_ui.components import model_card
from trainer_ui.components.model_card import Block
from trainer_ui.services import exports

Open = Callable[..., AppTest]
MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_exports.models(tmp_path / "models", monkeypatch)


def text(page: AppTest) -> str:
    """All that stands on a page, as it is read."""
    parts = [str(getattr(element, "value", "")) for element in page.main]
    parts += [str(getattr(element, "proto", "")) for element in page.get("html")]
    return "\n".join(parts).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def button(page: AppTest, label: str) -> bool:
    """Whether a button of this name can be pressed."""
    return not next(one for one in page.button if one.label == label).disabled


def test_a_run_in_the_address_is_chosen_and_merged_with_one_press(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    tiny_runs.run(tmp_path_factory, home, "first-20260101-110000")
    run = tiny_runs.run(tmp_path_factory, home)
    page = open_page(addresses.EXPORT, run=run.name)
    assert page.selectbox[0].value == run.name and "put on its base demo-tac" in text(page)
    assert page.text_input[0].value == "tiny"
    press(page, "Merge and certify")
    (job,) = queue.jobs()
    assert job.words[:3] == ("merge", "--adapter", str(run / "model")) and job.result == home / "exports" / "tiny"
    assert page.query_params["job"] == job.id and page.query_params["model"] == "tiny"
    assert "waiting" in text(page) and "How far it is stands with the jobs" in text(page)


def test_a_run_that_is_gone_is_said_and_another_can_be_chosen(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    tiny_runs.run(tmp_path_factory, home)
    page = open_page(addresses.EXPORT, run="gone")
    assert "The run gone has no finished model" in page.warning[0].value.replace("\\", "")
    assert page.selectbox[0].value == tiny_runs.NAME and button(page, "Merge and certify")


def test_the_adapter_alone_shows_its_files_and_what_it_needs(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    run = tiny_runs.run(tmp_path_factory, home)
    page = open_page(addresses.EXPORT, run=run.name)
    page.button_group(key="export-way").set_value("adapter").run()
    said = text(page)
    assert "It needs **demo-tac**" in said and "adapter_model.safetensors" in said and str(run / "model") in said
    recorded = json.loads((run / "model" / "interval.json").read_text())
    assert all(value in said for value in (*recorded["sha256"].values(), *recorded["base_sha256"].values()))
    assert "Without an evaluation nobody who chooses it" in page.warning[0].value
    press(page, "Promote")
    assert queue.jobs()[0].words == ("promote", str(run / "model"), "--name", "tiny")


def test_fewer_bits_are_offered_as_another_model(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    run = tiny_runs.run(tmp_path_factory, home)
    page = open_page(addresses.EXPORT, run=run.name)
    page.button_group(key="export-way").set_value("quantised").run()
    assert "**another model**" in text(page) and page.text_input[0].value == "tiny-nf4"
    press(page, "Merge, quantise and compare")
    assert queue.jobs()[0].words[-2:] == ("--quantization", "nf4")


def test_an_adapter_without_its_base_cannot_be_merged(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path
) -> None:
    run = tiny_runs.run(tmp_path_factory, home)
    shutil.rmtree(models / "demo-tac")
    settings = json.loads((run / "model" / "adapter_config.json").read_text())
    (run / "model" / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": "who/else"}))
    (run / "model" / "training.json").unlink()
    page = open_page(addresses.EXPORT, run=run.name)
    assert "else is not on this machine" in page.error[0].value.replace("\\", "")
    assert not button(page, "Merge and certify")


def test_a_folder_from_elsewhere_and_a_whole_model(open_page: Open, tmp_path: Path, models: Path, home: Path) -> None:
    page = open_page(addresses.EXPORT, view="make")
    assert "No run has finished yet" in page.info[0].value
    whole = home / "mine"
    shutil.copytree(models / "demo-tac", whole)
    page.text_input(key="export-folder").set_value(str(whole)).run()
    assert "there is nothing to merge" in text(page) and button(page, "Promote")
    assert "demonstration: knows nothing of patients" in text(page)
    (home / "nothing").mkdir()
    page.text_input(key="export-folder").set_value(str(home / "nothing")).run()
    assert "holds no model and no adapter" in page.error[0].value


def test_a_certified_model_is_shown_with_all_there_is_and_promoted_with_its_evaluation(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "site-b")
    said = tiny_exports.certificate(folder)
    write_scores(home / "evaluations" / "own", str(said["sha256"]))
    write_scores(home / "evaluations" / "other", "e" * 64, name="libra")
    page = open_page(addresses.EXPORT, model="site-b")
    assert "This is the model that was trained" in page.success[0].value
    assert {one.label: one.value for one in page.metric}["Same texts"] == "2 of 2"
    shown = text(page)
    assert "model.safetensors" in shown and "apache-2.0" in shown and "##### Merged" in shown
    assert page.selectbox(key=f"evaluation-{folder}").value.name == "own" and not page.warning
    choices = page.selectbox(key=f"evaluation-{folder}").options
    assert choices == ["own (of these weights)", "other (of other weights)", "none"]
    page.selectbox(key=f"evaluation-{folder}").select_index(1).run()
    assert "of other weights: it holds demo-tac, libra" in page.error[0].value.replace("\\", "")
    assert not button(page, "Promote")
    page.selectbox(key=f"evaluation-{folder}").select_index(2).run()
    assert "One that is of this model is in the list" in page.warning[0].value and button(page, "Promote")
    page.selectbox(key=f"evaluation-{folder}").select_index(0).run()
    press(page, "Promote")
    assert queue.jobs()[0].words[-2:] == ("--evaluation", str(home / "evaluations" / "own"))


@pytest.mark.parametrize(
    ("quantization", "verdict"),
    [("none", "This is NOT the model that was trained"), ("nf4", "This model is BROKEN")],
)
def test_a_failed_certificate_is_loud_and_blocks(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path, quantization: str, verdict: str
) -> None:
    tiny_exports.certificate(tiny_exports.export(tmp_path_factory, home, "bad", quantization), passed=False)
    page = open_page(addresses.EXPORT)
    assert [error.value for error in page.error] == ["Do not use it: open it to see why."]
    press(page, "Open")
    assert [error.value.split(".")[0] for error in page.error] == [verdict, "It cannot be promoted\\"]
    assert "Promote" not in [one.label for one in page.button]
    press(page, "Delete it for good")
    assert exports.overview() == () and "model" not in page.query_params


def test_a_model_that_was_never_compared_is_as_loud(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    (tiny_exports.export(tmp_path_factory, home, "never") / "certificate.json").unlink()
    page = open_page(addresses.EXPORT, model="never")
    assert "Nobody knows whether it is the same model" in page.error[0].value
    assert "Promote" not in [one.label for one in page.button]


def test_a_quantised_model_is_shown_as_another_one(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    tiny_exports.export(tmp_path_factory, home, "small", "nf4")
    page = open_page(addresses.EXPORT, model="small")
    assert "another model: near to the one that was trained" in page.warning[0].value
    assert "quantised: near, not the same" in text(page) and button(page, "Promote")


def test_an_exported_model_that_is_gone_is_said(open_page: Open) -> None:
    page = open_page(addresses.EXPORT, model="../../etc")
    assert "There is no exported model" in page.error[0].value
    press(page, "← All exported models")
    assert "model" not in page.query_params and not page.error


def test_promoted_models_are_listed_with_their_scores_and_taken_back(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "site-b")
    scores = write_scores(home / "evaluations" / "own", str(tiny_exports.certificate(folder)["sha256"]))
    assert main(["promote", str(folder), "--name", "with", "--evaluation", str(scores)]) == 0
    assert main(["promote", str(folder), "--name", "without"]) == 0
    page = open_page(addresses.EXPORT)
    shown = text(page)
    assert "**with**" in shown and "demonstration" in shown and f"from {folder}" in shown
    for words in ("Finding F1, micro", "58.5 %", "54.5 to 62.5", "demo-tac, its base", "+17.5", "may be chance"):
        assert words in shown, words
    assert "24 studies of 20 patients" in shown and "Certified to be base and adapter in one" in shown
    assert [one.value for one in page.warning] == [
        "It was promoted without an evaluation: nobody in the viewer sees how good it is."
    ]
    page.button(key="take-back-now-with").click().run()
    assert queue.jobs()[0].words == ("promote", "--undo", "with")
    assert "is being taken back" in text(page) and not page.exception


def test_nothing_of_a_card_reaches_the_page_as_markup(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "site-b")
    (folder / "README.md").write_text(
        "---\nlicense: <b>evil</b>\n---\n\n# A <script>alert(1)</script> card\n\n![x](http://evil.example/x.png)\n\n"
        "- one **bold** thing\n  that goes on\n- [two](http://evil.example)\n\n| a<img> | b |\n| --- | --- |\n"
        "| 1 | <i>2</i> |\n\n```\n<b>code</b>\n```\n"
    )
    page = open_page(addresses.EXPORT, model="site-b")
    raw = "\n".join(str(element.value) for element in page.markdown)
    assert r"\!\[x\]\(http\:" in raw and r"\<script\>" in raw and r"\[two\]\(http" in raw
    table = next(str(one.proto) for one in page.get("html") if "&lt;img&gt;" in str(one.proto))
    assert "<img>" not in table and "&lt;i&gt;2&lt;/i&gt;" in table
    assert "<b>code</b>" in [one.value for one in page.code]


def test_a_card_is_taken_apart() -> None:
    head, body = model_card.parted(
        "---\nlicense: mit\ntags: [a, 1]\n---\n\n# Name\n\nOne line\nand **another**.\n- a\n- b\n"
    )
    assert head == ["license: mit", "tags: a, 1"]
    assert model_card.parted("---\na: [\n---\nrest") == ([], "rest")
    assert list(model_card.blocks(body)) == [
        Block("heading", ("Name",)),
        Block("text", ("One line", "and another.")),
        Block("list", ("a", "b")),
    ]
    assert model_card.parted("---\nnever closed") == ([], "---\nnever closed")
    table = list(model_card.blocks("| a | b |\n|---|---|\n| 1 | 2 |\ntext\n```\n# code\n\n- still\n```\n"))
    assert [one.kind for one in table] == ["table", "text", "code"]
    assert table[2].lines == ("# code", "- still")
    assert list(model_card.blocks("")) == []

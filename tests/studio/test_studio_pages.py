"""Every page, empty and with something on it, as Streamlit runs it; a browser sees the same in test_studio_browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.jobs import queue
from engine.jobs.job import Job, State
from trainer_ui import addresses
from trainer_ui.services import datasets, places

Open = Callable[..., AppTest]
MakeJob = Callable[..., Job]
ROWS = [{"id": "a", "image": "a.png", "conversations": []}]


def text(page: AppTest) -> str:
    """All that stands on a page."""
    return "\n".join(str(getattr(element, "value", "")) for element in page.main)


def press(page: AppTest, label: str) -> AppTest:
    """Press the first button of this name."""
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_the_frame_shows_the_first_page_and_what_the_studio_is_not(project: Path) -> None:
    page = AppTest.from_file(str(project / "trainer_ui" / "entry" / "screen.py"), default_timeout=60).run()
    assert not page.exception and not page.error
    assert page.title[0].value == "Training studio"
    assert "Research use only. Not a medical device" in text(page)


@pytest.mark.parametrize(
    ("name", "title", "says", "button"),
    [
        (addresses.HOME, "Training studio", "none found", None),
        (addresses.DATA, "Data", "No data set yet", "Make the set"),
        (addresses.TRAIN, "Train", "needs samples to learn from", None),
        (addresses.EVALUATE, "Evaluate", "needs questions with reference reports", None),
        (addresses.EXPORT, "Export", "No run has finished yet", None),
    ],
)
def test_an_empty_page_says_what_it_is_for_and_where_to_begin(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, name: str, title: str, says: str, button: str | None
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    page = open_page(name)
    assert page.title[0].value == title and not page.error
    assert says in text(page) and "Nothing here yet" in text(page)
    assert button is None or button in labels(page)


def test_a_demonstration_set_is_queued_and_its_job_is_opened(open_page: Open, home: Path) -> None:
    page = open_page(addresses.DATA)
    next(field for field in page.number_input if field.label.startswith("Cases")).set_value(5)
    press(page, "Make the set")
    job = queue.jobs()[0]
    assert (job.state, job.result) == (State.QUEUED, home / "data" / "phantoms")
    assert page.query_params["job"] == job.id
    shown = text(page)
    assert "phantoms: 5 phantom cases" in shown.replace("\\", "") and "printed nothing yet" in shown
    assert any("data phantoms --output" in code.value for code in page.code)
    assert page.text_input[0].value == "phantoms-2", "the next one gets another name"
    press(page, "Make the set")
    assert len(queue.jobs()) == 2


def test_a_wrong_name_is_an_error_in_words_and_nothing_is_queued(open_page: Open) -> None:
    page = open_page(addresses.DATA)
    page.text_input[0].set_value("../evil")
    press(page, "Make the set")
    assert "A name begins with a letter" in page.error[0].value.replace("\\", "") and queue.jobs() == ()


def test_a_job_is_found_by_its_address_and_stopped_and_removed(open_page: Open, make_job: MakeJob) -> None:
    first, second = make_job("queued"), make_job("queued")
    page = open_page(addresses.HOME, job=second.id)
    assert labels(page).count("Close") == 1 and labels(page).count("Open") == 1
    press(page, "Down")
    assert [job.id for job in queue.jobs()] == [second.id, first.id]
    press(page, "Take out")
    assert [job.state for job in queue.jobs()] == [State.QUEUED, State.STOPPED]
    press(page, "Remove")
    assert [job.id for job in queue.jobs()] == [first.id]
    assert "job" not in page.query_params and not page.error


def test_an_address_of_a_job_that_is_gone_opens_nothing(open_page: Open, make_job: MakeJob) -> None:
    make_job("done")
    page = open_page(addresses.HOME, job="../../etc")
    assert "Close" not in labels(page) and not page.error


def test_what_a_command_printed_is_shown_as_it_is(open_page: Open, make_job: MakeJob) -> None:
    printed = "<script>document.title='x'</script>\n\x1b[31m![](http://evil.example)\x1b[0m"
    job = make_job("failed", exit_status=3, console=printed)
    page = open_page(addresses.HOME, job=job.id)
    assert page.code[0].value == "<script>document.title='x'</script>\n![](http://evil.example)"
    assert "Its last lines say which" in text(page)


def test_older_jobs_are_shown_on_request(open_page: Open, make_job: MakeJob) -> None:
    for _ in range(9):
        make_job("done")
    page = open_page(addresses.HOME)
    assert labels(page).count("Remove") == 8
    page.toggle[0].set_value(True).run()
    assert labels(page).count("Remove") == 9


def test_a_file_outside_is_added_once_its_folder_was_allowed(open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "train.json"
    file.parent.mkdir()
    file.write_text(json.dumps(ROWS))
    page = open_page(addresses.DATA)
    page.button_group[0].set_value("A file you have").run()
    page.text_input(key="file-path").set_value(str(file)).run()
    assert "has not been allowed" in text(page) and not places.inside(file)
    press(page, "Allow it")
    assert places.inside(file) and "has not been allowed" not in text(page)
    press(page, "Add to the list")
    assert [data.name for data in datasets.found()] == ["elsewhere/train.json"]
    assert "1 sample to train on" in text(page)
    press(page, "Take off the list")
    assert datasets.found() == () and file.exists()


def test_the_chooser_walks_folders_and_fills_the_field(open_page: Open, home: Path) -> None:
    (home / "data" / "mine").mkdir(parents=True)
    (home / "data" / "mine" / "train.json").write_text(json.dumps(ROWS))
    page = open_page(addresses.DATA)
    page.button_group[0].set_value("A file you have").run()
    for label in ("data/", "mine/", "train\\.json"):
        press(page, label)
    assert page.text_input(key="file-path").value == str(home / "data" / "mine" / "train.json")
    press(page, "↑ one up")
    assert "mine/" in labels(page)


@pytest.mark.parametrize("source", ["Demonstration set", "A file you have", "MIMIC-CXR", "Questions about MIMIC-CXR"])
def test_every_source_of_data_has_its_form(open_page: Open, source: str) -> None:
    page = open_page(addresses.DATA)
    page.button_group[0].set_value(source).run()
    assert not page.exception and not page.error
    last = [button for button in page.button if button.label in ("Make the set", "Add to the list")]
    assert len(last) == 1 and last[0].disabled == (source != "Demonstration set")


def test_a_path_that_is_none_is_said_and_the_page_stays(open_page: Open) -> None:
    page = open_page(addresses.DATA)
    page.button_group[0].set_value("MIMIC-CXR").run()
    page.text_input(key="mimic-folder").set_value("/nowhere/at/all").run()
    assert "There is no folder /nowhere/at/all." in page.error[0].value.replace("\\", "")
    assert next(button for button in page.button if button.label == "Make the set").disabled


def test_names_from_files_are_no_markdown(open_page: Open, home: Path) -> None:
    folder = home / "data" / "![x](http:)<b>**y**"
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(ROWS))
    shown = text(open_page(addresses.DATA))
    assert r"\!\[x\]\(http\:\)\<b\>\*\*y\*\*" in shown

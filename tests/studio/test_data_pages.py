"""One data set on the screen, part by part, as Streamlit runs it; a browser sees the same in test_data_browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from data_desk import ANSWER, opened, ran, row, rows_file, sign_reports
from streamlit.testing.v1 import AppTest

from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui.services import check_results

Open = Callable[..., AppTest]
TABS = ("Check", "Statistics", "Look", "Split", "Against")
EVIL = "<img src=x onerror=alert(1)> **bold** $x$ ![y](http://evil.example)"


@pytest.fixture
def look(open_page: Open) -> Open:
    """A part of a data set."""

    def opened(name: str, tab: str = "", **more: str) -> AppTest:
        page = open_page("data", set=name, **({"tab": tab} if tab else {}), **more)
        assert not page.exception
        return page

    return opened


def text(page: AppTest) -> str:
    """All that stands on a page, without what makes it no Markdown."""
    return "\n".join(str(getattr(element, "value", "")) for element in page.main).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


@pytest.mark.parametrize("tab", TABS)
def test_a_set_of_one_bare_row_has_something_to_say_in_every_part(look: Open, home: Path, tab: str) -> None:
    rows_file(home / "data" / "one", [row("a", "a.png")])
    page = look("one", tab)
    assert not page.error and page.title[0].value == "one"
    says = {
        "Check": "No error: the file can be used. 1 warning to look at.",
        "Statistics": "No row says how old the patient was.",
        "Look": "There is no prior in this row.",
        "Split": "Every patient goes into one part",
        "Against": "There is no other file",
    }[tab]
    assert says in text(page)


@pytest.mark.parametrize("tab", TABS)
def test_a_file_in_which_nothing_can_be_used_breaks_no_part(look: Open, home: Path, tab: str) -> None:
    rows_file(home / "data" / "bad", [{**row("a", "a.png"), "conversations": [{"from": "gpt", "value": EVIL}]}])
    page = look("bad", tab)
    shown = text(page)
    if tab == "Statistics":
        assert "No row of this file can be used" in shown
    if tab == "Look":
        assert "This row cannot be used: the first turn is from 'gpt'" in shown


def test_a_set_that_is_gone_is_said_and_the_way_back_stands_there(look: Open) -> None:
    page = look("nothing", "Look")
    assert "There is no data set nothing" in page.error[0].value.replace("\\", "")
    press(page, "← All data sets")
    assert page.title[0].value == "Data" and "set" not in page.query_params


def test_a_set_is_opened_from_the_list_and_its_files_are_turned_between(open_page: Open, phantoms: Path) -> None:
    page = press(open_page("data"), "Open")
    assert page.query_params["set"] == "phantoms" and page.title[0].value == "phantoms"
    assert "24 samples to train on" in text(page)
    page.selectbox(key="data-file").set_value("eval.jsonl").run()
    assert "24 questions" in text(page) and page.query_params["file"] == "eval.jsonl"
    again = open_page("data", set="phantoms", file="eval.jsonl", tab="Look")
    assert "A question is put to models" in text(again) and not again.error


def test_what_is_wrong_stands_in_a_table_that_is_filtered_and_downloaded(look: Open, home: Path) -> None:
    rows = [row("a", "a.png"), row(EVIL, "b.png", answer=""), row("c", "../c.png"), row("c", "a.png")]
    rows_file(home / "data" / "bad", rows)
    page = look("bad", "Check")
    assert "3 errors in 3 rows" in page.error[0].value
    table = page.dataframe[0].value
    assert list(table.columns) == ["Row", "Id", "Severity", "Kind", "Reason"]
    assert [int(number) for number in table["Row"].dropna()] == [2, 3, 4] and EVIL in list(table["Id"])
    page.button_group(key="check-error").set_value(["empty-answer"]).run()
    assert list(page.dataframe[0].value["Reason"]) == ["the answer in turn 2 is empty"]
    assert any("Download 1 line as CSV" in button.label for button in page.get("download_button"))
    page.text_input(key="check-text").set_value("no such words").run()
    assert "No line fits." in text(page) and not page.dataframe


def test_a_large_set_is_checked_by_a_job_and_its_report_is_shown(
    look: Open, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_results, "LITTLE_ROWS", 3)
    page = look("phantoms", "Check")
    assert "24 rows have not been checked yet" in text(page) and not page.dataframe
    press(page, "Check all rows")
    (job,) = queue.jobs()
    assert page.query_params["job"] == job.id and "under way" in text(page)
    assert "under way" in text(look("phantoms", "Statistics"))
    ran(job)
    assert "Nothing is wrong with this file." in text(look("phantoms", "Check"))
    figures = look("phantoms", "Statistics")
    assert [metric.value for metric in figures.metric][:3] == ["24", "24", "24"]
    press(look("phantoms", "Check"), "Read every pixel")
    assert queue.jobs()[0].words[-1] == "--decode"


def test_a_check_that_came_to_no_end_says_so_and_can_be_begun_again(
    look: Open, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_results, "LITTLE_ROWS", 3)
    press(look("phantoms", "Check"), "Check all rows")
    queue.request_stop(queue.jobs()[0].id)
    page = look("phantoms", "Check")
    assert "taken out of the queue before it began" in text(page) and "Check all rows" in labels(page)


def test_figures_have_charts_with_words_for_those_who_do_not_see_them(look: Open, phantoms: Path) -> None:
    page = look("phantoms", "Statistics")
    charts = page.get("vega_lite_chart")
    assert len(charts) == 6
    said = [chart.proto.alt for chart in charts]
    told = check_results.now(opened("phantoms", "train.json")).description
    assert f"rows by sex. female: {told['sexes']['F']}; male: {told['sexes']['M']}." in said or (
        f"rows by sex. male: {told['sexes']['M']}; female: {told['sexes']['F']}." in said
    )
    assert all(any(f"{each['finding']}, " in words for words in said) for each in told["findings"])
    assert "Change since the prior" in text(page) and "compare nothing" in text(page)


def test_rows_that_compare_without_a_prior_are_pointed_out(look: Open, home: Path) -> None:
    rows_file(home / "data" / "x", [row("a", "a.png"), row("b", "a.png", answer="No pneumothorax.")])
    page = look("x", "Statistics")
    assert "1 row has no prior and yet compare" in page.warning[0].value
    assert list(page.dataframe[0].value["Id"]) == ["a"]
    press(page, "Look at rows without a prior")
    assert page.query_params["tab"] == "Look" and page.query_params["prior"] == "Without"


def test_a_sample_is_looked_at_with_both_films_and_what_is_learnt(look: Open, phantoms: Path) -> None:
    page = look("phantoms", "Look", prior="With")
    assert not page.error
    films = [image.proto.imgs[0] for image in page.get("image")]
    assert [film.alt for film in films] == ["Current image", "Prior image"]
    assert all(film.url.endswith(".png") for film in films), "films are not compressed with loss"
    assert "Current" in text(page) and "Prior" in text(page)
    shown = html(page)
    assert shown.count("border-bottom: 2px solid") == 2, "once in the key, once in the text"
    assert "positions used" in str([element.proto.text for element in page.get("progress")])
    first = text(page)
    press(page, "Next →")
    assert text(page) != first and page.query_params["row"]
    page.selectbox(key="look-model").set_value("No model: the text alone").run()
    assert "border-bottom: 2px solid" not in html(page)


def test_rows_are_searched_and_turned_page_by_page(look: Open, phantoms: Path) -> None:
    page = look("phantoms", "Look")
    page.selectbox(key="look-model").set_value("No model: the text alone").run()
    assert "24 rows" in text(page) and sum(label.startswith(("▸", "**")) for label in labels(page)) == 10
    page.get("pagination")[0].set_value(3).run()
    assert sum(label.startswith(("▸", "**")) for label in labels(page)) == 4
    page.text_input(key="look-text").set_value("phantom-a000007").run()
    assert "1 of 24 rows" in text(page) and "Row 8" in text(page)
    page.text_input(key="look-text").set_value("nowhere to be found").run()
    assert "0 of 24 rows" in text(page) and "No row fits" in text(page)


def test_what_stands_in_a_row_is_no_markup(look: Open, home: Path) -> None:
    rows_file(home / "data" / "x", [row("a", "a.png", answer=f"{ANSWER} {EVIL}")])
    page = look("x", "Look")
    assert "<img" not in html(page).replace("&lt;img", "") and "&lt;img" in html(page)
    page.selectbox(key="look-model").set_value("No model: the text alone").run()
    shown = "\n".join(str(element.value) for element in page.markdown)
    assert r"\*\*bold\*\*" in shown and r"\!\[y\]\(http" in shown


def test_an_image_that_is_gone_or_none_is_said_in_its_place(look: Open, home: Path) -> None:
    folder = home / "data" / "x"
    rows_file(folder, [row("a", "a.png", "b.png")])
    (folder / "a.png").write_text("text")
    (folder / "b.png").unlink()
    page = look("x", "Look")
    said = [error.value.replace("\\", "") for error in page.error]
    assert "a.png is a text file" in said[0] and "b.png is not there" in said[1]
    assert not page.get("image")


def test_a_split_is_made_from_the_form_and_its_table_shown(look: Open, phantoms: Path, home: Path) -> None:
    page = look("phantoms", "Split")
    next(field for field in page.number_input if "test" in field.label).set_value(30)
    press(page, "Split")
    (job,) = queue.jobs()
    assert job.result == home / "data" / "phantoms-split" and "under way" in text(page)
    assert ran(job).state is State.DONE
    page = look("phantoms", "Split")
    table = page.dataframe[0].value
    assert list(table["Part"]) == ["Training", "Validation", "Test", "All"] and table["Patients"].iloc[-1] == 24
    press(page, "Open this set")
    assert dict(page.query_params) == {"set": "phantoms-split"} and text(page).count("phantoms-split")


def test_a_split_that_is_refused_says_why_and_queues_nothing(look: Open, home: Path) -> None:
    rows_file(home / "data" / "x", [row("a", "a.png"), row("b", "a.png", patient="P")])
    page = press(look("x", "Split"), "Split")
    assert "1 of the 2 rows do not say whose images they are" in page.error[0].value.replace("\\", "")
    assert queue.jobs() == ()
    for field in page.number_input:
        if "per cent" in field.label:
            field.set_value(50)
    assert "below 1 together" in press(page, "Split").error[0].value
    assert "holds questions" in text(_questions(look, home))


def _questions(look: Open, home: Path) -> AppTest:
    rows_file(home / "data" / "q", [{"question_id": "q", "image": "a.png", "text": "Why?"}], "q.jsonl")
    return look("q", "Split")


def test_two_sets_are_held_against_each_other(look: Open, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_file(home / "data" / "a", [row("a1", "a.png", patient="P"), row("a2", "b.png", patient="Q")])
    rows_file(home / "data" / "b", [row("b1", "c.png", patient="P", answer="Another one.")])
    page = press(look("a", "Against"), "Compare")
    assert "Somebody is in both files" in page.error[0].value
    counts, table = (frame.value for frame in page.dataframe)
    assert dict(zip(counts["In both"], counts["How many"], strict=True))["the same patient"] == 1
    same = table[table["Shared"] == "the same patient"].iloc[0]
    assert (same["Rows here"], same["Rows there"]) == ("1", "1") and same["First one there"] == "Another one."
    monkeypatch.setattr(check_results, "LITTLE_ROWS", 0)
    page = press(look("b", "Against"), "Compare")
    assert "under way" in text(page)
    ran(queue.jobs()[0])
    assert "Somebody is in both files" in look("b", "Against").error[0].value


def test_signed_reports_become_a_set_with_one_click(open_page: Open, look: Open, home: Path) -> None:
    page = open_page("data")
    page.button_group[0].set_value("Signed reports").run()
    assert "holds no signed report yet" in text(page)
    assert next(button for button in page.button if button.label == "Make the set").disabled
    sign_reports(home)
    page = open_page("data")
    page.button_group[0].set_value("Signed reports").run()
    assert "5 signed reports" in text(page) and "What is de-identified" in str(page.expander[0].label)
    press(page, "Make the set")
    (job,) = queue.jobs()
    assert job.words[:2] == ("data", "from-signed") and "--images-looked-at" not in job.words
    assert ran(job).state is State.DONE
    page = look("signed-reports")
    shown = text(page)
    assert "4 rows" in shown and "1 report was left out because there may be text in an image" in shown
    assert "10 kept, 1 edited, 1 deleted, 1 added" in shown
    tables = {tuple(frame.value.columns): frame.value for frame in page.dataframe}
    assert list(tables["Accession", "Study of", "View"]["Accession"]) == ["ACC00007"]
    assert list(tables["Finding", "Was", "Reports"]["Was"]) == ["added", "removed"]
    press(page, "Split it")
    assert page.query_params["tab"] == "Split" and not page.error


def test_no_part_but_that_of_films_loads_what_takes_seconds(phantoms: Path, project: Path) -> None:
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
for tab in {[tab for tab in TABS if tab != "Look"]!r}:
    page = AppTest.from_file({str(Path(__file__).parent / "page_script.py")!r}, default_timeout=60)
    page.session_state["page-under-test"] = "data"
    page.query_params["set"], page.query_params["tab"] = "phantoms", tab
    page.run()
    assert not page.exception and not page.error
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

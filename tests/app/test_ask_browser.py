"""Questions in a real browser on a real server: ask, go on, stop, insert, reload, and another patient."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from test_late_answers_browser import AT_REST, held
from viewer_process import STAND_IN, Screen, viewer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "drafting"))
import stand_in

SIZES = [(1280, 800), (1920, 1080)]
WHOLE = ".ivp-turn[data-state=whole]"


@pytest.fixture(scope="module")
def url(options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with viewer(tmp_path_factory.mktemp("ask") / "home", *options) as running:
        yield running


@pytest.fixture
def two(phantoms: Path) -> list[Path]:
    """The files of the second patient."""
    return sorted((phantoms / "two").rglob("*.dcm"))


def turn_to(page: Page, side: str) -> None:
    page.get_by_role("button", name=side, exact=True).click()


def turns(page: Page, count: int) -> None:
    """Wait until there are so many answers, and none is being written."""
    page.wait_for_function(
        f"() => document.querySelectorAll('.ivp-turn').length === {count}"
        " && !document.querySelector('.ivp-turn[data-state=running]')"
    )


def ask(page: Page, question: str) -> None:
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")


def chosen(screen: Screen, patient: str) -> None:
    """Open what was dropped, in place of the patient on the screen."""
    screen.page.wait_for_selector(".ivp-question button")
    screen.page.click(".ivp-question [data-option='0']")
    screen.wait_until(f"() => document.querySelector('.ivp-patient').textContent !== {json.dumps(patient)}")


def in_sight(page: Page, selector: str) -> None:
    """The element lies in the window, and its words are not cut off at the side."""
    size = page.viewport_size
    box = page.locator(selector).bounding_box()
    assert size is not None and box is not None, selector
    assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"], selector
    assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"], selector
    assert page.evaluate(
        f"() => {{ const e = document.querySelector('{selector}'); return e.scrollWidth <= e.clientWidth + 1 }}"
    )


@pytest.mark.parametrize("size", SIZES, ids=["1280", "1920"])
def test_a_conversation_stays_with_its_patient(
    opened: Browser, options: tuple[str, ...], files: list[Path], two: list[Path], home: Path, size: tuple[int, int]
) -> None:
    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, *size)
        page = screen.page
        turn_to(page, "Ask")
        assert page.get_by_role("textbox", name="Your question").is_disabled()
        screen.drop(*files)
        screen.loaded()
        mine = page.inner_text(".ivp-patient")

        # A suggested question, and one that is typed; Shift and Enter begin a line.
        page.get_by_role("button", name="What changed since the prior?").click()
        turns(page, 1)
        assert page.inner_text(".ivp-asked").endswith("What changed since the prior?")
        assert page.locator(".ivp-suggestion:has-text('changed')").count() == 0
        assert page.locator(".ivp-ask-mark").is_visible(), "the demonstration model is named as one"
        box = page.get_by_role("textbox", name="Your question")
        box.press_sequentially("Is it <b>new</b>?")
        box.press("Shift+Enter")
        box.press_sequentially("Or larger?")
        assert box.input_value() == "Is it <b>new</b>?\nOr larger?"
        box.press("Enter")
        turns(page, 2)
        assert box.input_value() == "" and page.locator(".ivp-turns b").count() == 0
        assert box.evaluate("(box) => box === document.activeElement"), "the keyboard stays in the box"
        assert page.get_by_role("log").get_attribute("aria-busy") == "false"
        for part in (".ivp-ask-box", ".ivp-ask-send", ".ivp-ask-quiet", "#ivp-settings", ".ivp-ask-scroll"):
            in_sight(page, part)
        assert page.locator("[data-action=insert]").first.is_disabled(), "there is no report to insert into"

        # Into the report, as the model's words.
        turn_to(page, "Report")
        assert not page.locator(".ivp-ask-panel").is_visible()
        page.click("[data-action=add-last]")
        screen.type_sentence("Normal heart.")
        turn_to(page, "Ask")
        page.locator("[data-action=insert]:not([disabled])").first.click()
        page.wait_for_selector(".ivp-turn[data-state=inserted]")
        turn_to(page, "Report")
        rows = screen.sentences()
        assert rows[0] == {"origin": "human", "status": "accepted"}
        assert len(rows) > 1 and {(r["origin"], r["status"]) for r in rows[1:]} == {("ai", "unreviewed")}
        screen.sign("Dr. Ada Reader")
        page.wait_for_selector(".ivp-notice:has-text('Not reviewed yet')")

        # A reload shows it again; another patient never does, nor words that were not sent.
        page.reload()
        page.wait_for_selector(".iv-sentence")
        screen.loaded()
        turn_to(page, "Ask")
        turns(page, 2)
        box.fill("Half a question")
        screen.drop(*two)
        chosen(screen, mine)
        assert page.locator(".ivp-turn").count() == 0 and box.input_value() == ""
        screen.drop(*files)
        theirs = page.inner_text(".ivp-patient")
        chosen(screen, theirs)
        turns(page, 2)
        assert box.input_value() == "Half a question"
        assert screen.hosts <= {urlsplit(screen.url).netloc, ""} and screen.errors == []
        page.close()


def test_stop_and_an_answer_that_is_written_while_another_patient_is_open(
    opened: Browser, model: Path, home: Path, files: list[Path], two: list[Path]
) -> None:
    stand_in.make(model)
    with viewer(home, "--model", str(model), start=STAND_IN) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(*files)
        screen.loaded()
        mine = page.inner_text(".ivp-patient")
        indication = page.locator("#ivp-context textarea").first
        indication.fill(json.dumps({"wait_after": 4}))
        turn_to(page, "Ask")
        screen.at_rest()  # the indication is on its way
        ask(page, "Is it enlarged?")
        page.wait_for_selector(".ivp-turn[data-state=running]:has-text('The heart is enlarged.')")
        assert page.get_by_role("log").get_attribute("aria-busy") == "true"
        in_sight(page, ".ivp-ask-stop")

        # It goes on behind another patient's images, and is not shown with them.
        screen.drop(*two)
        chosen(screen, mine)
        assert page.locator(".ivp-turn").count() == 0 and not page.locator(".ivp-ask-dot").is_visible()
        assert page.locator(".ivp-suggestion:enabled").count() > 0
        screen.drop(*files)
        chosen(screen, page.inner_text(".ivp-patient"))
        page.wait_for_selector(".ivp-turn[data-state=running]:has-text('The heart is enlarged.')")
        assert page.locator(".ivp-ask-dot").is_visible()

        page.get_by_role("button", name="Stop", exact=True).click()
        page.wait_for_selector(".ivp-turn[data-state=stopped]:has-text('incomplete')")
        assert page.locator(".ivp-turn [data-action=insert]").count() == 0
        indication.fill("Cough.")
        indication.blur()
        screen.at_rest()
        ask(page, "And the pleura?")
        turns(page, 2)
        assert page.locator(WHOLE).count() == 1 and "No pneumothorax is seen." in page.inner_text(WHOLE)
        assert screen.errors == []
        page.close()


def test_a_question_that_arrives_after_another_patient_is_not_asked(
    opened: Browser, url: str, files: list[Path], two: list[Path]
) -> None:
    screen = Screen.open(opened, url, 1280, 800)
    page = screen.page
    screen.drop(*two)
    screen.loaded()
    screen.drop(*files)
    page.wait_for_selector(".ivp-question button")
    theirs = page.inner_text(".ivp-patient")
    turn_to(page, "Ask")
    with held(page, 1, answers=False) as question:
        ask(page, "What is this?")
    chosen(screen, theirs)
    before = page.locator(".ivp-turn").count()
    question.let_go()
    page.wait_for_selector(".ivp-notice:has-text('not asked')")
    page.evaluate(AT_REST)
    assert page.locator(".ivp-turn").count() == before
    assert screen.errors == []
    page.close()

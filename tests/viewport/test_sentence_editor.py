"""The report editor: accept, edit, reject, add, stream, sign; by mouse and by keyboard; and what it tells the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page

Sentence = dict[str, Any]


def sentence(name: str, text: str, **changes: Any) -> Sentence:
    return {"id": name, "text": text, "origin": "ai", "status": "unreviewed", "original": None, "flag": None} | changes


DRAFT = [
    sentence("s1", "The heart is enlarged."),
    sentence(
        "s2",
        "There is a small left pleural effusion, new since the prior.",
        flag="compares with a prior, but none is loaded",
    ),
    sentence("s3", "No pneumothorax."),
]


class Editor:
    """A mounted editor and what it reported."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(
            """async () => {
                const { mountSentences } = await import("/static/sentences.mjs");
                window.told = [];
                window.stops = 0;
                window.editor = mountSentences(document.getElementById("host"), {
                    onChange: (sentences, action) => window.told.push([sentences, action]),
                    onStop: () => { window.stops += 1; },
                });
            }"""
        )

    def update(self, **state: Any) -> None:
        self.page.evaluate("(state) => window.editor.update(state)", state)

    def row(self, name: str) -> Locator:
        return self.page.locator(f'.iv-sentence[data-id="{name}"]')

    def click(self, name: str, action: str) -> None:
        self.row(name).locator(f'[data-action="{action}"]').click()

    def sentences(self) -> list[Sentence]:
        found: list[Sentence] = self.page.evaluate("() => window.editor.sentences()")
        return found

    def of(self, name: str) -> Sentence:
        return next(s for s in self.sentences() if s["id"] == name)

    def told(self) -> list[Any]:
        found: list[Any] = self.page.evaluate("() => window.told")
        return found

    def texts(self) -> list[str]:
        return [s["text"] for s in self.sentences()]


@pytest.fixture
def editor(page: Page) -> Editor:
    made = Editor(page)
    made.update(mode="edit", sentences=DRAFT)
    return made


def test_a_draft_is_shown_with_origins_states_and_warnings(editor: Editor) -> None:
    assert editor.sentences() == DRAFT
    assert editor.row("s1").locator(".iv-badge").inner_text() == "AI"
    assert editor.row("s1").locator(".iv-state").inner_text() == "To review"
    assert editor.row("s2").locator(".iv-flag").inner_text() == "Check: compares with a prior, but none is loaded"
    assert editor.page.locator(".iv-counts").inner_text() == "3 of 3 to review, 1 with a warning"
    assert editor.told() == []


def test_accept_reject_and_restore(editor: Editor) -> None:
    editor.click("s1", "accept")
    editor.click("s3", "reject")
    assert [s["status"] for s in editor.sentences()] == ["accepted", "unreviewed", "rejected"]
    assert editor.row("s3").locator("s").inner_text() == "No pneumothorax."
    assert editor.row("s3").locator('[data-action="edit"]').count() == 0
    editor.click("s3", "restore")
    assert editor.of("s3")["status"] == "unreviewed"
    assert [action for _, action in editor.told()] == [
        {"type": "accept", "ids": ["s1"]}, {"type": "reject", "ids": ["s3"]}, {"type": "restore", "ids": ["s3"]},
    ]  # fmt: skip
    assert editor.told()[-1][0] == editor.sentences()


def test_an_edited_sentence_keeps_the_words_of_the_ai(editor: Editor) -> None:
    editor.click("s1", "edit")
    box = editor.row("s1").locator("textarea")
    assert box.input_value() == "The heart is enlarged."
    box.fill("The heart is  mildly\nenlarged. ")
    box.press("Enter")
    assert editor.of("s1") == sentence(
        "s1", "The heart is mildly enlarged.", origin="edited", status="accepted", original="The heart is enlarged."
    )
    assert editor.row("s1").locator(".iv-badge").inner_text() == "AI edited"
    assert editor.row("s1").locator(".iv-original").inner_text() == "AI wrote: The heart is enlarged."
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("Another wording.")
    editor.row("s1").locator('[data-action="keep"]').click()
    assert editor.of("s1")["original"] == "The heart is enlarged."
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("The heart is enlarged.")
    editor.row("s1").locator("textarea").press("Enter")
    assert editor.of("s1") == sentence("s1", "The heart is enlarged.", status="accepted")


def test_escape_discards_an_edit_and_an_ai_sentence_cannot_be_emptied(editor: Editor) -> None:
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("Rubbish")
    editor.row("s1").locator("textarea").press("Escape")
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("  ")
    editor.row("s1").locator("textarea").press("Enter")
    assert editor.sentences() == DRAFT
    assert editor.told() == []


def test_added_sentences_are_a_persons(editor: Editor) -> None:
    editor.click("s1", "add")
    editor.page.keyboard.type("Pacemaker in place.")
    assert editor.told() == []  # nothing is told before there are words
    editor.page.keyboard.press("Enter")
    assert editor.texts() == ["The heart is enlarged.", "Pacemaker in place.", DRAFT[1]["text"], "No pneumothorax."]
    added = editor.sentences()[1]
    assert (added["origin"], added["status"], added["original"]) == ("human", "accepted", None)
    assert added["id"].startswith("h-") and len(added["id"]) == 28
    assert editor.told()[-1][1] == {"type": "add", "ids": [added["id"]]}
    editor.click(added["id"], "edit")
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.press("Delete")
    editor.page.keyboard.press("Enter")
    assert editor.sentences() == DRAFT
    assert editor.told()[-1][1]["type"] == "remove"


def test_an_added_sentence_without_words_never_was(editor: Editor) -> None:
    editor.page.locator('[data-action="add-last"]').click()
    editor.page.keyboard.press("Escape")
    assert editor.sentences() == DRAFT and editor.told() == []


def test_accept_all_remaining_counts_and_leaves_warned_sentences(editor: Editor) -> None:
    button = editor.page.locator('[data-action="accept-all"]')
    assert button.inner_text() == "Accept all remaining (2)"
    button.click()
    assert [s["status"] for s in editor.sentences()] == ["accepted", "unreviewed", "accepted"]
    assert editor.told()[-1][1] == {"type": "accept-all", "ids": ["s1", "s3"]}
    assert not button.is_visible()
    editor.click("s2", "accept")
    assert editor.page.locator(".iv-counts").inner_text() == "All reviewed"


def test_the_keyboard_alone(editor: Editor) -> None:
    editor.row("s1").focus()
    for key in ("a", "ArrowDown", "r", "ArrowDown", "e"):
        editor.page.keyboard.press(key)
    editor.page.keyboard.press("End")
    editor.page.keyboard.type(" On either side.")
    editor.page.keyboard.press("Enter")
    assert [s["status"] for s in editor.sentences()] == ["accepted", "rejected", "accepted"]
    assert editor.of("s3")["text"] == "No pneumothorax. On either side."
    editor.page.keyboard.press("ArrowUp")
    editor.page.keyboard.press("r")  # restores
    editor.page.keyboard.press("Alt+ArrowUp")
    assert [s["id"] for s in editor.sentences()] == ["s2", "s1", "s3"]
    editor.page.keyboard.press("+")
    editor.page.keyboard.type("a r e + typed, not obeyed")
    editor.page.keyboard.press("Enter")
    assert editor.texts()[1] == "a r e + typed, not obeyed"
    assert [s["status"] for s in editor.sentences()] == ["unreviewed", "accepted", "accepted", "accepted"]


def test_a_draft_is_streamed_and_can_be_stopped(page: Page) -> None:
    editor = Editor(page)
    editor.update(mode="stream", text="", status="Reading the images")
    assert editor.page.locator(".iv-stream-status").inner_text() == "Reading the images"
    for text in ("The heart", "The heart is enlarged. No"):
        editor.update(mode="stream", text=text)
    assert editor.page.locator(".iv-stream-text").inner_text() == "The heart is enlarged. No"
    assert editor.page.locator(".iv-sentence").count() == 0
    assert not editor.page.locator('[data-action="accept-all"]').is_visible()
    stop = editor.page.locator('[data-action="stop"]')
    stop.click()
    assert stop.is_disabled()
    assert editor.page.evaluate("() => window.stops") == 1
    editor.update(mode="edit", sentences=DRAFT)
    assert editor.sentences() == DRAFT
    assert not editor.page.locator(".iv-stream").is_visible()


def test_a_signed_report_cannot_be_changed(editor: Editor) -> None:
    signed = [s | {"status": "accepted"} for s in DRAFT]
    editor.update(mode="signed", sentences=signed, note="Signed by Dr A, 2026-01-02 10:00 UTC")
    assert editor.page.locator(".iv-note").inner_text() == "Signed by Dr A, 2026-01-02 10:00 UTC"
    assert [
        name
        for name in ("accept", "edit", "reject", "add", "add-last", "accept-all")
        if editor.page.locator(f'[data-action="{name}"]:visible').count()
    ] == []
    editor.row("s1").focus()
    for key in ("a", "e", "r", "+"):
        editor.page.keyboard.press(key)
    assert editor.sentences() == signed and editor.told() == []


def test_an_echo_does_not_disturb_an_open_edit_and_a_new_draft_closes_it(editor: Editor) -> None:
    editor.click("s3", "edit")
    box = editor.row("s3").locator("textarea")
    box.fill("Half a thou")
    editor.update(mode="edit", sentences=DRAFT)  # the same list
    assert box.input_value() == "Half a thou"
    editor.update(mode="edit", sentences=[DRAFT[0] | {"status": "accepted"}, *DRAFT[1:]])  # another sentence changed
    assert box.input_value() == "Half a thou"
    assert editor.page.evaluate("() => window.editor.editing()") is True
    editor.update(mode="edit", sentences=[sentence("n1", "New draft.")])
    assert editor.page.evaluate("() => window.editor.editing()") is False
    assert editor.texts() == ["New draft."]


def test_commit_keeps_an_open_edit(editor: Editor) -> None:
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("Kept at signing.")
    committed = editor.page.evaluate("() => window.editor.commit()")
    assert committed[0]["text"] == "Kept at signing."
    assert editor.told()[-1][1] == {"type": "edit", "ids": ["s1"]}


def test_another_action_keeps_an_open_edit_first(editor: Editor) -> None:
    editor.click("s1", "edit")
    editor.row("s1").locator("textarea").fill("First.")
    editor.click("s3", "accept")
    assert editor.texts()[0] == "First." and editor.of("s3")["status"] == "accepted"
    assert [action["type"] for _, action in editor.told()] == ["edit", "accept"]


def test_text_of_a_model_stays_text(editor: Editor) -> None:
    evil = "<img src=x onerror=window.hit=1> & <b>bold</b>"
    editor.update(mode="edit", sentences=[sentence("s1", evil, flag=evil, original=evil, origin="edited")], note=evil)
    assert editor.row("s1").locator(".iv-sentence-text").inner_text() == evil
    editor.update(mode="stream", text=evil, status=evil)
    assert editor.page.locator(".iv-report :is(img, b)").count() == 0
    assert editor.page.evaluate("() => window.hit") is None


def test_an_empty_editor_says_why(page: Page) -> None:
    editor = Editor(page)
    editor.update(mode="empty", note="No draft yet.")
    assert editor.page.locator(".iv-report").inner_text().split("\n")[-1] == "No draft yet."
    editor.update(mode="edit", sentences=[])
    editor.page.locator('[data-action="add-last"]').click()
    editor.page.keyboard.type("Written without a model.")
    editor.page.keyboard.press("Enter")
    assert editor.texts() == ["Written without a model."]

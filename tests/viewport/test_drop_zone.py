"""Opening studies: dropped files and folders, the pickers, progress, refusals, cancelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from viewport_pilot import Server

MOUNT = """async () => {
    const { mountIntake } = await import("/static/intake.mjs");
    window.done = []; window.failed = []; window.progress = [];
    window.intake = mountIntake(document.getElementById("host"), {
        onDone: (json) => window.done.push(json),
        onError: (message) => window.failed.push(message),
        onProgress: (fraction) => window.progress.push(fraction),
    });
}"""
# Synthetic drops cannot carry real folders: entries of the same shape stand in for them.
DROP = """async ({ files, folder, kind }) => {
    const transfer = new DataTransfer();
    for (const [name, text] of files) transfer.items.add(new File([text], name));
    const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer });
    if (folder) {
        const file = (path) => new File([path], path.split("/").at(-1));
        const fileEntry = (path) => ({ isFile: true, fullPath: path, file: (ok) => ok(file(path)) });
        const folderEntry = (path, children) => ({ isFile: false, fullPath: path, createReader: () => {
            const batches = [children.slice(0, 2), children.slice(2), []].filter((b, n) => b.length || n === 2);
            return { readEntries: (ok) => ok(batches.shift() ?? []) };
        } });
        const inner = folderEntry("/patient/a", [fileEntry("/patient/a/IM0001"), fileEntry("/patient/a/IM0002")]);
        const root = folderEntry("/patient", [inner, fileEntry("/patient/DICOMDIR"), fileEntry("/patient/x y.dcm")]);
        const items = [{ kind: "file", webkitGetAsEntry: () => root }];
        Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], items } });
    }
    document.getElementById("around").dispatchEvent(event);
    return event.defaultPrevented;
}"""


@pytest.fixture
def zone(page: Page) -> Page:
    page.evaluate(MOUNT)
    return page


def drop(page: Page, kind: str, files: list[tuple[str, str]], folder: bool = False) -> Any:
    return page.evaluate(DROP, {"kind": kind, "files": files, "folder": folder})


def test_files_dropped_anywhere_are_sent_in_one_request(zone: Page, server: Server) -> None:
    overlay = zone.locator(".iv-drop")
    assert not overlay.is_visible()
    assert drop(zone, "dragenter", [("a.dcm", "")]) is True
    overlay.wait_for()  # its style may still be on the way
    assert "Drop the current and prior study" in overlay.inner_text()
    assert drop(zone, "drop", [("a.dcm", "first"), ("b ä.dcm", "second")]) is True
    zone.wait_for_function("() => window.done.length === 1")
    assert not overlay.is_visible()
    assert zone.evaluate("() => window.done") == [{"studies": 1}]
    (posted,) = server.posted
    assert posted["path"] == "/intake"  # nothing of the files in the address
    assert posted["names"] == ["a.dcm", "b ä.dcm"]
    assert posted["contents"] == [b"first", b"second"]
    assert zone.evaluate("() => window.progress.at(-1)") == 1


def test_dragging_away_hides_the_overlay_and_dragged_text_is_left_alone(zone: Page) -> None:
    drop(zone, "dragenter", [("a.dcm", "")])
    drop(zone, "dragleave", [("a.dcm", "")])
    assert not zone.locator(".iv-drop").is_visible()
    assert drop(zone, "dragenter", []) is False
    assert not zone.locator(".iv-drop").is_visible()


def test_dropped_folders_are_walked_to_the_bottom(zone: Page, server: Server) -> None:
    drop(zone, "drop", [], folder=True)
    zone.wait_for_function("() => window.done.length === 1")
    assert server.posted[0]["names"] == ["patient/a/IM0001", "patient/a/IM0002", "patient/DICOMDIR", "patient/x y.dcm"]
    assert server.posted[0]["contents"][0] == b"/patient/a/IM0001"


def test_the_file_picker(zone: Page, server: Server, tmp_path: Path) -> None:
    for name in ("one.dcm", "IM0002"):
        (tmp_path / name).write_bytes(name.encode())
    with zone.expect_file_chooser() as chooser:
        zone.get_by_role("button", name="Open files").click()
    chooser.value.set_files([tmp_path / "one.dcm", tmp_path / "IM0002"])
    zone.wait_for_function("() => window.done.length === 1")
    assert server.posted[0]["names"] == ["one.dcm", "IM0002"]


def test_the_folder_picker_keeps_folder_names(zone: Page, server: Server, tmp_path: Path) -> None:
    (tmp_path / "study" / "series").mkdir(parents=True)
    (tmp_path / "study" / "series" / "IM0001").write_bytes(b"pixels")
    zone.locator("input[webkitdirectory]").set_input_files(tmp_path / "study")
    zone.wait_for_function("() => window.done.length === 1")
    assert server.posted[0]["names"] == ["study/series/IM0001"]


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (413, {"message": "The files are larger than 500 MB."}, "The files are larger than 500 MB."),
        (500, None, "The files could not be sent. Check that the program is still running and try again."),
    ],
)
def test_a_refusal_is_one_sentence_and_the_next_drop_works(
    zone: Page, server: Server, status: int, answer: Any, words: str
) -> None:
    server.intake_answer = (status, answer)
    drop(zone, "drop", [("a.dcm", "x")])
    zone.wait_for_function("() => window.failed.length === 1")
    assert zone.locator(".iv-intake-status").inner_text() == words
    assert zone.evaluate("() => window.failed") == [words]
    server.intake_answer = (200, {"studies": 2})
    drop(zone, "drop", [("a.dcm", "x")])
    zone.wait_for_function("() => window.done.length === 1")
    assert zone.locator(".iv-intake-status").inner_text() == ""


def test_an_empty_drop_says_so(zone: Page, server: Server) -> None:
    zone.evaluate("() => window.intake.send([])")
    assert "no files" in zone.locator(".iv-intake-status").inner_text()
    assert server.posted == []


def test_sending_can_be_cancelled_and_a_second_drop_waits(zone: Page) -> None:
    zone.route("**/intake", lambda route: None)  # never answered
    drop(zone, "drop", [("a.dcm", "x" * 1000)])
    zone.locator('[data-action="cancel"]').wait_for()
    drop(zone, "drop", [("b.dcm", "x")])
    zone.wait_for_function("() => window.failed.length === 1")
    assert "still being sent" in zone.evaluate("() => window.failed[0]")
    zone.locator('[data-action="cancel"]').click()
    zone.wait_for_function("() => window.failed.length === 2")
    assert zone.locator(".iv-intake-status").inner_text() == "Cancelled. Nothing was opened."
    assert not zone.locator('[data-action="cancel"]').is_visible()


def test_destroying_leaves_nothing(zone: Page) -> None:
    zone.evaluate("() => window.intake.destroy()")
    assert zone.locator(".iv-drop, .iv-intake").count() == 0
    assert drop(zone, "dragenter", [("a.dcm", "")]) is False

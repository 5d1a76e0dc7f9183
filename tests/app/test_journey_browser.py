"""The whole journey in a real browser on a real server: drop, compare, draft, correct, sign, export, find again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, TimeoutError
from pypdf import PdfReader
from viewer_process import PATIENCE, Screen, viewer

READER = "Dr. Ada Reader"


def test_from_drop_to_signed_report_and_back_after_a_restart(
    opened: Browser, options: tuple[str, ...], files: list[Path], tmp_path: Path, home: Path
) -> None:
    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        everything_in_sight(screen, 1280, 800)

        # Two files of the same name, as they come from a folder of studies.
        screen.drop(*files)
        screen.loaded()
        prior = page.inner_text(".ivp-prior")
        assert prior.startswith("Prior: ") and "newest earlier" in prior
        assert page.locator("[data-role=prior] .iv-label").first.inner_text().upper().startswith("PRIOR")
        patient = page.inner_text(".ivp-patient")
        assert "Phantom" in patient and "not identified" not in patient

        page.fill("#ivp-context textarea >> nth=0", "Cough and fever.")
        screen.draft()
        assert page.locator(".ivp-line--mark").count() == 1, "the demonstration model is named as one"
        assert {row["origin"] for row in screen.sentences()} == {"ai"}

        screen.sign(READER)
        page.wait_for_selector(".ivp-notice")
        assert "Not reviewed yet: sentence 1" in page.inner_text(".ivp-notice")

        screen.act(0, "edit")
        screen.type_sentence("The heart is <b>enlarged</b>.")
        drafted = len(screen.sentences())
        for number in range(1, drafted):
            screen.act(number, "reject" if number == 1 else "accept")
        page.click("[data-action=add-last]")
        screen.type_sentence("No pneumothorax.")
        rows = screen.sentences()
        assert rows[0] == {"origin": "edited", "status": "accepted"} and rows[-1]["origin"] == "human"
        assert drafted == 1 or rows[1]["status"] == "rejected"

        screen.sign(READER)
        page.wait_for_selector(".ivp-line--signed")
        assert page.locator(".ivp-notice").count() == 0
        assert page.locator("#ivp-draft").count() == 0 or not page.locator("#ivp-draft").is_visible()
        check_export(screen, tmp_path, patient.split(" ")[0].rstrip(","))
        clean(screen)
        page.close()

    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, 1920, 1080)
        page = screen.page
        everything_in_sight(screen, 1920, 1080)
        screen.history()
        page.fill(".ivp-filters input[name=query]", "pneumothorax")
        page.wait_for_function("() => document.querySelectorAll('.ivp-history tbody tr').length === 1")
        assert READER in page.inner_text(".ivp-history tbody tr")
        page.click(".ivp-history tbody tr")
        page.wait_for_selector(".ivp-line--signed")
        screen.loaded()
        assert page.inner_text(".ivp-patient") == patient
        assert page.locator(".iv-sentence [data-action=edit]:visible").count() == 0
        assert not page.locator("#ivp-sign-button").is_visible()
        assert page.locator("#ivp-context textarea").first.is_disabled()
        assert page.locator("b:has-text('enlarged')").count() == 0, "text never becomes markup"
        clean(screen)
        page.close()


def test_stop_reload_and_another_patient(
    opened: Browser, options: tuple[str, ...], phantoms: Path, files: list[Path], home: Path
) -> None:
    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, 1920, 1080)
        page = screen.page
        page.click("[data-action=phantom]")
        screen.loaded()
        patient = page.inner_text(".ivp-patient")

        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector(".iv-stream-text:not(:empty)", state="attached")
        with contextlib.suppress(TimeoutError):  # a short draft may be over before the button can be pressed
            page.click("#ivp-stop", timeout=3000)
        page.wait_for_selector(".iv-sentence")

        page.reload()
        page.wait_for_selector(".iv-sentence")
        screen.loaded()
        assert page.inner_text(".ivp-patient") == patient, "a reload shows the same case again"

        screen.drop(files[0])
        page.wait_for_selector(".ivp-question button")
        assert page.inner_text(".ivp-patient") == patient, "another patient's file changes nothing by itself"
        page.click(".ivp-question [data-option='0']")
        page.wait_for_function(f"() => document.querySelector('.ivp-patient').textContent !== {json.dumps(patient)}")

        bad = home / "notes.txt"
        bad.write_text("not an image")
        screen.drop(bad)
        page.wait_for_selector(".ivp-notice")
        assert "notes.txt" in page.inner_text(".ivp-notice")
        page.click(".ivp-notice .ivp-close")
        page.wait_for_selector(".ivp-notice", state="detached")
        clean(screen)
        page.close()


def everything_in_sight(screen: Screen, width: int, height: int) -> None:
    """The panes take most of the width, and nothing needed to begin lies outside the window."""
    panes = screen.page.locator("#ivp-panes").bounding_box()
    assert panes is not None and panes["width"] > 0.66 * width and panes["height"] > 0.7 * height
    for selector in ("#ivp-draft", "[data-action=phantom]", "#ivp-export-button", "#ivp-settings", "#ivp-research"):
        box = screen.page.locator(selector).bounding_box()
        assert box is not None, selector
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, selector
    assert "Research use only" in screen.page.inner_text("#ivp-research")
    assert screen.page.evaluate("() => document.documentElement.scrollHeight <= window.innerHeight")


def check_export(screen: Screen, folder: Path, family: str) -> None:
    """One click gives a PDF and a text file that say what they must."""
    page = screen.page
    page.click("#ivp-export-button")
    page.wait_for_selector(".ivp-download")
    texts = {}
    for link in page.locator(".ivp-download").all():
        with page.expect_download(timeout=PATIENCE) as download:
            link.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        pdf = path.suffix == ".pdf"
        texts[path.suffix] = "\n".join(p.extract_text() for p in PdfReader(path).pages) if pdf else path.read_text()
    assert set(texts) == {".pdf", ".txt"}
    for text in texts.values():
        words = " ".join(text.split())  # a sentence may go on in the next line
        for expected in (family, READER, "The heart is <b>enlarged</b>.", "No pneumothorax.", "Cough and fever."):
            assert expected in words, expected
        assert "DEMONSTRATION" in words.upper() and "Research use only" in words


def clean(screen: Screen) -> None:
    """No other host was asked for anything, nothing failed, and no address named the patient."""
    assert screen.hosts <= {urlsplit(screen.url).netloc, ""}, screen.hosts
    assert screen.errors == []

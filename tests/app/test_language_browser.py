"""A report in Chinese in a real browser: chosen, drafted, corrected, signed, exported and found again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader
from viewer_process import STAND_IN, Screen, viewer

from engine.records import Records
from engine.reports import typeface

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "drafting"))
import stand_in

READER = "王医生"
CHINESE = "双肺纹理清晰，未见实变影。 右侧胸腔少量积液，较前增多。 心影大小正常。"


@pytest.fixture
def writes_chinese(tmp_path: Path) -> Path:
    """A stand-in's folder that says which languages it writes."""
    folder = stand_in.make(tmp_path / "reads-and-writes", CHINESE)
    (folder / "config.json").write_text(json.dumps({"model_type": "libra"}))
    (folder / "interval.json").write_text(json.dumps({"languages": ["en", "zh"]}))
    return folder


def test_a_report_in_chinese_from_the_choice_to_the_printed_page(
    opened: Browser, files: list[Path], writes_chinese: Path, tmp_path: Path, home: Path
) -> None:
    if typeface.east_asian() is None:
        pytest.skip(f"missing tool: {typeface.PACKAGE} is not installed")
    with viewer(home, "--model", str(writes_chinese), start=STAND_IN) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        screen.drop(*files)
        screen.loaded()
        page.click("#ivp-settings > button")
        choice = page.locator("#ivp-language")
        choice.get_by_label("Chinese", exact=True).check()
        page.click("#ivp-settings > button")
        screen.at_rest()
        page.click("#ivp-draft:not([disabled])")
        page.wait_for_selector(".iv-sentence:has-text('心影大小正常。')")
        assert [row["origin"] for row in screen.sentences()] == ["ai"] * 3

        screen.act(1, "edit")
        screen.type_sentence("右侧胸腔积液，与前片相仿。")
        screen.act(0, "accept")
        screen.act(2, "accept")
        screen.sign(READER)
        page.wait_for_selector(f".ivp-line--signed:has-text('{READER}')")
        page.click("#ivp-export-button")
        with page.expect_download() as download:
            page.click("#ivp-files a >> nth=0")
        pdf = tmp_path / "report.pdf"
        download.value.save_as(pdf)
        words = "".join(PdfReader(pdf).pages[0].extract_text().split())
        assert "双肺纹理清晰，未见实变影。右侧胸腔积液，与前片相仿。心影大小正常。" in words
        assert READER in words and "LanguageChinese" in words
        photographed(screen, "report")

        page.get_by_role("tab", name="History").click()
        page.wait_for_selector(".ivp-history tbody tr")
        page.fill(".ivp-history input[name=query]", "积液")
        page.wait_for_selector(".ivp-history tbody tr:has-text('右侧胸腔积液')")
        assert screen.errors == []
        page.close()
    with Records.open(home, application="test") as records:
        (found,) = records.search("胸腔积液").rows
        (draft,) = records.report(found.report_id).drafts
    assert draft.settings["language"] == "zh"


def test_a_model_that_cannot_has_no_choice_and_says_so(opened: Browser, options: tuple[str, ...], home: Path) -> None:
    with viewer(home, *options) as url:
        screen = Screen.open(opened, url, 1280, 800)
        page = screen.page
        page.click("#ivp-settings > button")
        choice = page.locator("#ivp-language")
        choice.wait_for(state="visible")
        assert "writes English only." in choice.inner_text()
        assert choice.get_by_label("English", exact=True).is_checked()
        assert choice.get_by_label("Chinese", exact=True).is_disabled()
        photographed(screen, "disabled")
        assert screen.errors == []
        page.close()


def photographed(screen: Screen, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    if folder := os.environ.get("INTERVAL_TEST_PICTURES"):
        screen.page.screenshot(path=Path(folder) / f"language-{name}.png")

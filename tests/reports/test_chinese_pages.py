"""Reports in Chinese on paper and as text: real glyphs that are in the file, or a refusal that says what to do."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from test_document import SIGNED

from engine.errors import ResourceError
from engine.reports import typeface
from engine.reports.export import export, to_pdf, to_text
from engine.reports.lines import columns, wrapped

SENTENCES = (
    "双肺纹理清晰，未见明显实变影。",
    "右侧PICC尖端位于上腔静脉下段（约T6水平）；左侧胸腔少量积液，较2024-03-12片增多。",
    "心影大小正常。",
    "No pneumothorax.",
)
CHINESE = replace(SIGNED, patient_name="王^小明", indication="咳嗽、发热三天。", sections=(("Findings", SENTENCES),))


@pytest.fixture
def font() -> Path:
    found = typeface.east_asian()
    if found is None:
        pytest.skip(f"missing tool: {typeface.PACKAGE} is not installed")
    assert found is not None
    return found


@pytest.mark.usefixtures("font")
def test_the_glyphs_are_in_the_file_and_come_back_as_text() -> None:
    data = to_pdf(CHINESE)
    page = PdfReader(io.BytesIO(data)).pages[0]
    text = "".join(page.extract_text().split())
    for sentence in SENTENCES:
        assert "".join(sentence.split()) in text
    assert "王,小明" in text and "咳嗽、发热三天。" in text and typeface.MISSING not in text
    names = {str(font["/BaseFont"]): font["/FontDescriptor"] for font in fonts_of(page) if "/FontDescriptor" in font}
    assert len(names) == 3 and all("/FontFile2" in descriptor for descriptor in names.values())
    assert len(data) < 400_000, "only the glyphs that are used are in the file"
    assert PdfReader(io.BytesIO(data)).trailer["/Root"]["/Lang"] == "zh"  # type: ignore[index]
    assert to_pdf(CHINESE) == data


def fonts_of(page: Any) -> list[Any]:
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


@pytest.mark.usefixtures("font")
def test_long_chinese_text_stays_within_the_page() -> None:
    long = replace(CHINESE, sections=(("Findings", ("双肺纹理增多紊乱" * 60 + "。",)),))
    lines = PdfReader(io.BytesIO(to_pdf(long))).pages[0].extract_text().split("\n")
    assert max(line.count("肺") for line in lines) * 8 < 60


@pytest.mark.usefixtures("font")
def test_a_chinese_paragraph_goes_on_on_the_next_page_and_loses_nothing() -> None:
    words = "".join(f"第{number}条，双肺纹理增多紊乱。" for number in range(260))
    pages = PdfReader(io.BytesIO(to_pdf(replace(CHINESE, sections=(("Findings", (words,)),))))).pages
    texts = ["".join(page.extract_text().split()) for page in pages]
    assert len(pages) > 1 and all("第" in text for text in texts[:2])
    said = "".join(texts)
    assert said.count("肺") == 260 and said.count("紊") == 260
    starts = [line[0] for page in pages for line in page.extract_text().split("\n") if "肺" in line]
    assert not set(starts) & set("，。")


def test_without_a_typeface_it_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typeface, "FOLDERS", ())
    monkeypatch.setenv("INTERVAL_HOME", str(tmp_path / "home"))
    with pytest.raises(ResourceError, match=f"apt install {typeface.PACKAGE}.*saves/fonts"):
        export(CHINESE, tmp_path / "exports")
    assert not (tmp_path / "exports").exists()
    assert export(SIGNED, tmp_path / "exports")[0].is_file(), "English reports need none"


def test_a_font_in_the_data_folder_is_used_and_one_that_is_none_passed_over(
    tmp_path: Path, font: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "a.ttf").write_bytes(b"no font")
    monkeypatch.setattr(typeface, "FOLDERS", ())
    monkeypatch.setenv("INTERVAL_HOME", str(tmp_path))
    assert typeface.east_asian() is None
    (folder / f"b{font.suffix}").write_bytes(font.read_bytes())
    assert typeface.east_asian() == folder / f"b{font.suffix}"
    assert to_pdf(CHINESE)


def test_the_text_file_has_lines_of_eighty_columns_and_loses_nothing() -> None:
    text = to_text(CHINESE)
    assert "王, 小明" in text and all(columns(line) <= 80 for line in text.splitlines() if "sha256" not in line)
    assert "".join(SENTENCES).replace(" ", "") in "".join(text.split())


def test_lines_do_not_begin_with_a_closing_mark_or_end_with_an_opening_one() -> None:
    text = "心影大小正常（心胸比零点五），双肺清晰；未见积液。" * 8
    for width in range(10, 40):
        lines = wrapped(text, width).split("\n")
        assert "".join(lines) == text
        assert all(line[0] not in "），；。" and line[-1] != "（" and columns(line) <= width for line in lines)

"""The language of a report in the viewer: what a model writes, what is asked for and kept, and Chinese to the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pilot import FakeEngine, Pilot
from pypdf import PdfReader

from app.pages import settings
from app.services import installed
from app.services.searching import Filters
from engine.reports import typeface

CHINESE = "双肺纹理清晰，未见实变影。右侧胸腔少量积液，较前增多。心影大小正常。"


def folder(path: Path, kind: str, **said: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": kind}))
    (path / "model.safetensors").touch()
    if said:
        (path / "interval.json").write_text(json.dumps(said))
    return path


def test_what_a_folder_writes(tmp_path: Path) -> None:
    every = ("en", "zh", "en+zh")
    assert installed.written(folder(tmp_path / "libra", "libra")) == ("en",)
    assert installed.written(folder(tmp_path / "qwen", "qwen2_vl")) == every
    assert installed.written(folder(tmp_path / "told", "llava", languages=["en", "zh-Hans"])) == every
    assert installed.written(folder(tmp_path / "zh", "qwen2_5_vl", languages=["zh"])) == ("zh",)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "qwen")}))
    assert installed.written(adapter) == every
    assert installed.written(tmp_path / "nothing") == ("en",)


def test_the_choice_says_why_there_is_none(tmp_path: Path) -> None:
    english = settings.writes(str(folder(tmp_path / "libra", "libra")), "zh")
    assert (english["interactive"], english["value"], english["info"]) == (False, "en", "libra writes English only.")
    assert [name for _, name in english["choices"]] == ["en", "zh", "en+zh"]
    able = settings.writes(str(folder(tmp_path / "qwen", "qwen2_vl")), "zh")
    assert (able["interactive"], able["value"], able["info"]) == (True, "zh", "")
    german = settings.writes(str(folder(tmp_path / "de", "libra", languages=["de"])))
    assert (german["interactive"], german["info"]) == (False, "de writes another language only.")


@pytest.mark.parametrize(("language", "words"), [("zh", "Chinese"), ("en", "English")])
def test_the_language_is_asked_for_kept_and_printed(
    pilot: Pilot, pair: Path, fake: FakeEngine, home: Path, language: str, words: str
) -> None:
    from app.services.jobs import DecodingChoice

    pilot.drop(pair)
    pilot.act(
        lambda session: pilot.bench.reporting.draft(
            session, pilot.chosen, "findings", "", DecodingChoice(), language=language
        )
    )
    list(pilot.bench.watch(pilot.key, pilot.chosen))
    assert fake.asked[-1]["asking"].language == language
    (row,) = pilot.bench.records.search().rows
    (draft,) = pilot.bench.records.report(row.report_id).drafts
    assert draft.settings["language"] == language
    pilot.accept_all()
    pilot.export()
    (text,) = (home / "exports").glob("*.txt")
    assert f"\nLanguage: {words}\n" in text.read_text(encoding="utf-8") and "language" not in text.read_text().split()


def test_a_language_that_is_none_is_refused(pilot: Pilot, pair: Path) -> None:
    from app.services.jobs import DecodingChoice

    pilot.drop(pair)
    pilot.act(
        lambda session: pilot.bench.reporting.draft(
            session, pilot.chosen, "findings", "", DecodingChoice(), language="fr"
        )
    )
    assert pilot.notices() == ["A report is written in English, in Chinese, or in both."]


def test_a_chinese_report_is_corrected_signed_exported_and_found(
    pilot: Pilot, pair: Path, fake: FakeEngine, home: Path
) -> None:
    if typeface.east_asian() is None:
        pytest.skip(f"missing tool: {typeface.PACKAGE} is not installed")
    fake.text = CHINESE
    pilot.drop(pair)
    pilot.draft()
    first, second, third = pilot.sentences()
    assert (first["text"], third["text"]) == ("双肺纹理清晰，未见实变影。", "心影大小正常。")
    assert all(sentence["flag"] is None for sentence in (first, second, third))
    pilot.review(
        [
            first | {"status": "accepted"},
            second | {"text": "右侧胸腔积液，与前片相仿。", "status": "accepted"},
            third | {"status": "rejected"},
        ]
    )
    assert pilot.sign("王医生").report.signed
    pilot.export()
    (text,) = (home / "exports").glob("*.txt")
    (pdf,) = (home / "exports").glob("*.pdf")
    for written in (text.read_text(encoding="utf-8"), PdfReader(pdf).pages[0].extract_text()):
        whole = "".join(written.split())
        assert "双肺纹理清晰，未见实变影。右侧胸腔积液，与前片相仿。" in whole and "王医生" in whole
        assert "心影" not in whole
    for query, total in (("积液", 1), ("前片相仿", 1), ("心影", 0), ("气胸", 0)):
        assert pilot.bench.history(Filters(query)).total == total, query


def test_of_a_chinese_draft_without_a_prior_it_is_said_that_nobody_checked(
    pilot: Pilot, pair: Path, fake: FakeEngine
) -> None:
    fake.text = CHINESE
    screen = pilot.drop(sorted(pair.rglob("*.dcm"))[-1])
    assert screen.panes.prior is None
    lines = [line.text for line in pilot.draft().report.lines]
    assert any("was not checked, because the check is for English and the text is in Chinese" in line for line in lines)
    assert not any("so nothing in it compares" in line for line in lines)
    assert all(sentence["flag"] is None for sentence in pilot.sentences())


def test_a_translation_by_the_reader_is_no_correction_of_findings(pilot: Pilot, pair: Path) -> None:
    from engine.datasets.signed.corrections import correction

    pilot.drop(pair)
    pilot.draft()
    first, *rest = pilot.sentences()
    chinese = [first | {"text": "心影增大。", "status": "accepted"}, *(one | {"status": "rejected"} for one in rest)]
    pilot.review(chinese)
    pilot.sign()
    (row,) = pilot.bench.records.search().rows
    detail = pilot.bench.records.report(row.report_id)
    assert detail.newest is not None
    made = correction(detail, detail.newest)
    assert (made.findings, made.changes) == ((), ()) and made.sentences.edited == 1

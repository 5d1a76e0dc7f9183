"""What is printed, in both forms, for signed and unsigned reports and for awkward names."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pypdf import PdfReader

from engine.errors import UsageError
from engine.reports import labels
from engine.reports.document import Provenance, ReportDocument, clean, person
from engine.reports.export import to_pdf, to_text

PROVENANCE = Provenance(
    model_name="demo-tac",
    model_sha256="a1" * 32,
    prompt_sha256="b2" * 32,
    settings="greedy, 512 tokens",
    image_sha256=(("current", "c3" * 32), ("prior", "d4" * 32)),
    application="Interval 0.1.0",
    sentences=(("AI unchanged", 2), ("AI edited", 1), ("human", 1)),
    edit_distance=17,
)
SIGNED = ReportDocument(
    report_id="01JD3X9W5Z6M7N8P9QRSTVWXYZ",
    patient_name="Phantom^Test",
    patient_id="PH-7",
    birth_date=date(1951, 3, 4),
    sex="F",
    accession="ACC-1",
    study_date=datetime(2024, 5, 3, 14, 5),
    view="PA",
    prior_date=datetime(2024, 3, 12),
    has_prior=True,
    indication="Cough & fever.",
    sections=(("Findings", ("No pneumothorax.", "Small left effusion, unchanged.")),),
    state="signed",
    signer="Dr. Anna Muster",
    signed_at=datetime(2024, 5, 3, 14, 21, 9, tzinfo=UTC),
    provenance=PROVENANCE,
    demonstration=False,
)
UNSIGNED = replace(SIGNED, state="unsigned", signer="", signed_at=None, demonstration=True)


def pages(document: ReportDocument) -> list[str]:
    reader = PdfReader(io.BytesIO(to_pdf(document)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


@pytest.mark.parametrize("form", ["text", "pdf"])
def test_a_signed_report_says_who_when_and_how(form: str) -> None:
    text = " ".join(to_text(SIGNED).split()) if form == "text" else pages(SIGNED)[0]
    for words in (
        "Phantom, Test",
        "PH-7",
        "4 Mar 1951",
        "3 May 2024, 14:05",
        "ACC-1",
        "Chest radiograph of 12 Mar 2024 (52 days before this study).",
        "Cough & fever.",
        "No pneumothorax. Small left effusion, unchanged.",
        "Signed electronically by Dr. Anna Muster",
        "3 May 2024, 14:21:09 UTC",
        "2 AI unchanged, 1 AI edited, 1 human",
        "edit distance to the draft 17 characters",
        "demo-tac",
        "a1" * 32,
        "b2" * 32,
        "c3" * 32,
        "d4" * 32,
        "greedy, 512 tokens",
        "Interval 0.1.0",
        labels.RESEARCH_LINE,
    ):
        assert words in text
    assert labels.UNSIGNED_MARK not in text
    assert labels.DEMO_MARK not in text


def test_marks_and_research_line_are_on_every_page() -> None:
    long = replace(UNSIGNED, sections=(("Findings", ("A sentence of the report that fills the page.",) * 200),))
    shown = pages(long)
    assert len(shown) > 1
    for number, text in enumerate(shown, 1):
        assert labels.RESEARCH_LINE in text
        assert labels.UNSIGNED_MARK in text
        assert labels.DEMO_MARK in text
        assert f"Page {number} of {len(shown)}" in text
        assert "PH-7" in text
    assert "Signed electronically" not in "".join(shown)


def test_equal_documents_give_equal_bytes() -> None:
    assert to_pdf(SIGNED) == to_pdf(replace(SIGNED))
    assert to_pdf(SIGNED) != to_pdf(UNSIGNED)
    assert to_text(SIGNED) == to_text(replace(SIGNED))


@pytest.mark.parametrize("name", ["Müller^Jürgen", "Łukasz", "Żółć^Święta", "Αθηνά Παπαδοπούλου", "Иванов^Пётр"])
def test_european_names_print(name: str) -> None:
    text = pages(replace(SIGNED, patient_name=name))[0]
    assert person(name) in text
    assert "\u25a1" not in text


def test_a_character_without_a_glyph_is_replaced_and_said() -> None:
    document = replace(SIGNED, patient_name="\U00010348^\U00012000\U00012001")
    text = pages(document)[0]
    assert "\u25a1, \u25a1\u25a1" in text
    assert "does not have are shown as" in text
    assert "\U00010348, \U00012000\U00012001" in to_text(document)
    assert "does not have" not in pages(SIGNED)[0]


def test_markup_in_names_is_literal() -> None:
    hostile = '<b>Bold</b><img src="http://evil.example/x"/>&amp;<font color=red>'
    document = replace(SIGNED, patient_name=hostile, indication=hostile, sections=((hostile, (hostile,)),))
    data = to_pdf(document)
    assert hostile in " ".join(PdfReader(io.BytesIO(data)).pages[0].extract_text().split())
    assert b"/URI" not in data
    assert hostile in to_text(document)


def test_direction_and_control_characters_are_dropped() -> None:
    document = replace(SIGNED, patient_name="Te\u202est\x00 \u2066A\u2069\x1b[31m\nB\u200b")
    text = to_text(document)
    assert "Test A[31m B" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", text)
    assert clean("a\u0301") == "á"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"has_prior": False, "prior_date": None}, "None."),
        ({"prior_date": None}, "Prior chest radiograph, date not known."),
        ({"study_date": None}, "Chest radiograph of 12 Mar 2024."),
        ({"prior_date": datetime(2024, 5, 3, 8)}, "Chest radiograph of 3 May 2024 (same day)."),
        ({"prior_date": datetime(2024, 5, 2)}, "Chest radiograph of 2 May 2024 (1 day before this study)."),
        ({"prior_date": datetime(2024, 6, 2)}, "Chest radiograph of 2 Jun 2024, which is later than this study."),
    ],
)
def test_the_comparison_line_comes_from_dates(change: dict[str, object], line: str) -> None:
    assert replace(SIGNED, **change).comparison_line() == line


@pytest.mark.parametrize(
    "change", [{"signer": " "}, {"signed_at": None}, {"signed_at": datetime(2024, 5, 3)}, {"signer": "\u202e"}]
)
def test_a_signature_needs_a_name_and_a_time(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(SIGNED, **change)


def test_numbered_sentences_stand_on_their_own_lines() -> None:
    document = replace(SIGNED, sections=(("Impression", ("1. Effusion.", "Small.", "2. Edema.")),))
    assert "1. Effusion. Small.\n2. Edema." in to_text(document)


def test_empty_and_huge_texts_print() -> None:
    empty = replace(SIGNED, sections=(("Findings", ()),), indication="", provenance=None, accession="", view="")
    assert "No text." in pages(empty)[0]
    assert "Written without a model." in pages(empty)[0]
    endless = replace(SIGNED, patient_name="N" * 500, sections=(("Findings", ("x" * 5000,)),))
    assert len(pages(endless)) >= 1

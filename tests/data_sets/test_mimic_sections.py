"""MIMIC-CXR sections: equal to the published scripts on their own outputs, and laws that hold for any text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.mimic.sectioned import CONCLUSIONS, SECTIONED, write_sectioned
from engine.datasets.mimic.sections import COLUMNS, RULES, Hand, normalise, read_report, split
from engine.errors import InputError, UsageError

HEADERS = [
    "FINDINGS",
    "IMPRESSION",
    "COMPARISON",
    "HISTORY",
    "CHEST, TWO VIEWS",
    "PREAMBLE",
    "WET READ",
    "Findings",
    "-",
]
PIECES = ["\n", " ", "\n ", "\n \n", "Clear lungs.", ":", ": ", ":\n", "A", *(f"\n {name}:  " for name in HEADERS)]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text()


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, dict[str, object]]:
    return json.loads((shared / "reference/libra/golden/sections.json").read_text())


def test_sections_names_and_places_are_the_published_ones(golden: dict[str, dict[str, dict[str, object]]]) -> None:
    for study, report in golden["reports"].items():
        found = split(str(report["text"]))
        assert [section.text for section in found] == report["sections"], study
        assert [section.name for section in found] == report["section_names"], study
        assert [section.start for section in found] == report["section_idx"], study


def test_names_are_the_published_ones(golden: dict[str, dict[str, str]]) -> None:
    assert {header: normalise(header) for header in golden["normalize_section_names"]} == golden[
        "normalize_section_names"
    ]


def test_the_tables_are_the_published_ones(golden: dict[str, dict[str, dict[str, str]]], tmp_path: Path) -> None:
    patient = tmp_path / "mimic/files/p10/p10000032"
    patient.mkdir(parents=True)
    for study, report in golden["reports"].items():
        (patient / f"{study}.txt").write_text(report["text"], encoding="utf-8")
    tally = write_sectioned(tmp_path / "mimic", tmp_path / "tables")
    with (tmp_path / "tables" / SECTIONED).open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == golden["sectioned_header"]
    assert {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows} == golden["sectioned"]
    with (tmp_path / "tables" / CONCLUSIONS).open(newline="") as stream:
        assert dict(csv.reader(stream)) == golden["conclusion"]
    assert tally.of("reports") == len(golden["reports"])
    with pytest.raises(UsageError):
        write_sectioned(tmp_path / "mimic", tmp_path / "tables")
    with pytest.raises(InputError):
        write_sectioned(tmp_path / "tables", tmp_path / "other")


@given(texts)
def test_sections_lie_in_the_text_one_behind_the_other(text: str) -> None:
    sections = split(text)
    end = 0
    for section in sections:
        begin = section.start + (3 if section.name == "last_paragraph" else 0)
        assert begin >= end or section.start == 0
        assert text[begin : begin + len(section.text)] == section.text
        # The preamble is published with the beginning of the first header's line: two characters too long.
        end = begin + len(section.text) - (2 if section.name == "preamble" and section.start == 0 else 0)
    assert sections[0].start == 0 and end <= len(text)


@given(texts)
def test_no_findings_or_impression_is_empty(text: str) -> None:
    sections = split(text)
    named = [section for section in sections if section.name in ("findings", "impression")]
    assert all(section.text.strip() for section in named)
    assert not (named and any(section.name == "last_paragraph" for section in sections))


@given(texts)
def test_the_conclusion_is_the_first_column_a_report_has(text: str) -> None:
    reading = read_report("s10000001", text)
    assert reading.columns is not None and tuple(reading.columns) == COLUMNS
    filled = [words for words in reading.columns.values() if words]
    assert reading.conclusion in (filled[0] if filled else "", "")


REPORT = (
    "                                 FINAL REPORT\n EXAMINATION:  Chest. The lungs are clear.\n \n"
    " RECOMMENDATION(S):  Normal chest.\n \n RECOMMENDATION(S):  No follow-up.\n"
)


def test_reports_sorted_out_by_hand() -> None:
    by_section = next(study for study, name in RULES.misnamed.items() if name == "recommendations")
    found = read_report(by_section, REPORT)
    assert (found.conclusion, found.columns, found.hand) == ("No follow-up.", None, Hand.SECTION)
    # The listed study has another text here, without that section: the ordinary rules hold.
    assert read_report(by_section, "\n FINDINGS:  Clear.\n").conclusion == "Clear."
    by_place, (first, end) = next(item for item in RULES.spans.items() if item[1] != (0, 0))
    text = "x" * first + "y" * (end - first) + "z"
    found = read_report(by_place, text)
    assert (found.conclusion, found.columns, found.hand) == ("y" * (end - first), None, Hand.SPAN)
    nothing = next(study for study, place in RULES.spans.items() if place == (0, 0))
    assert read_report(nothing, REPORT).conclusion == ""


def test_reports_sorted_out_by_hand_are_left_out_of_the_sectioned_table(tmp_path: Path) -> None:
    study = next(study for study, name in RULES.misnamed.items() if name == "recommendations")
    folder = tmp_path / "files/p11/p11000001"
    folder.mkdir(parents=True)
    (folder / f"{study}.txt").write_text(REPORT)
    (folder / "s10000001.txt").write_text("\n FINDINGS:  Clear.\n")
    (folder / "s10000002.txt").write_bytes(b"\n FINDINGS:  \xff\n")
    tally = write_sectioned(tmp_path, tmp_path)
    with (tmp_path / SECTIONED).open(newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["study", "s10000001"]
    with (tmp_path / CONCLUSIONS).open(newline="") as stream:
        assert dict(csv.reader(stream)) == {"s10000001": "Clear.", study: "No follow-up."}
    assert tally.of("reports") == 3 and tally.of("left out: not text in UTF-8") == 1


def test_the_tables_name_their_source_and_licence(project: Path) -> None:
    document = json.loads((project / "engine/datasets/mimic/sections.json").read_text())
    assert "MIT-LCP/mimic-cxr" in document["source"] and "MIT License" in document["source"]
    assert len(RULES.misnamed) == 23 and len(RULES.spans) == 31

"""A folder scored: who against whom with what p, baselines and parts, and the same report as HTML and PDF."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import echo
import pypdf
import pytest
from echo import Echo, model_folder, question_file
from playwright.sync_api import sync_playwright

from engine.datasets.libra import Answer, read_questions
from engine.errors import DatasetError, InputError, UsageError
from engine.evaluation.assessment import Assessment, assess
from engine.evaluation.cases import read_cases
from engine.evaluation.contenders import Contender, Prompt
from engine.evaluation.folder import Asked, Folder
from engine.evaluation.published import published
from engine.evaluation.report import document
from engine.evaluation.report_axis import Axis
from engine.evaluation.report_blocks import Bar, Chart, Table, Text
from engine.evaluation.report_html import to_html
from engine.evaluation.report_pdf import to_pdf
from engine.evaluation.statistics import holm
from engine.reports import labels

COUNT = 24
FINDINGS = ("Left pleural effusion", "Cardiomegaly", "Right pneumothorax")
HOSTILE = '<script>alert(1)</script> & "x"'


def write(folder: Folder, name: str, texts: dict[str, str], **more: Any) -> None:
    folder.enter(
        Contender(
            name, folder.path / name, tuned_from=more.pop("tuned_from", ""), prompt=more.pop("prompt", Prompt("", ""))
        )
    )
    folder.note(name, sha256="ab" * 32, demonstration=more.pop("demonstration", False))
    metadata = {"prior": "true", "dtype": "float32", "quantization": "none", "finished": "stop", "seconds": 2.0} | more
    lines = (Answer(one, "Describe.", text, "a", name, metadata).to_line() for one, text in texts.items())
    folder.answers(name).write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A base, a tuned model that is better, one in another wording with a hostile name, and one that said nothing."""
    root = tmp_path_factory.mktemp("evaluation")
    file = question_file(root / "data", COUNT)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for number, row in enumerate(rows):
        change = "has increased" if number % 2 else "is unchanged"
        row |= {"image": ["a.png", "b.png"], "sex": "MF"[number % 2], "age": 30 + number, "patient": f"p{number}"}
        row |= {"reference": f"{FINDINGS[number % 3]} {change}.", "prior_report": f"{FINDINGS[number % 3]}."}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = Folder.create(root / "site b", Asked(file, None, "true", None, {"num_beams": 4, "max_new_tokens": 9}))
    right = {str(row["question_id"]): str(row["reference"]) for row in rows}
    wrong = {one: "No acute process." if number % 2 else text for number, (one, text) in enumerate(right.items())}
    write(made, "base", wrong, demonstration=True)
    write(made, "tuned", right, tuned_from="base")
    write(made, "base@short", dict(list(wrong.items())[:20]), prompt=Prompt("short", HOSTILE), finished="length")
    made.enter(Contender("silent", made.path))
    made.note("silent", error="There was no memory.")
    return made


@pytest.fixture(scope="module")
def found(folder: Folder) -> Assessment:
    return assess(folder)


def test_all_are_scored_and_held_against_the_base(found: Assessment) -> None:
    systems = {one.name: one for one in found.systems}
    assert list(systems) == ["base", "tuned", "base@short", "silent", "copy-the-prior", "always-normal"]
    assert found.against == "base" and (found.studies, found.patients, found.with_prior) == (24, 24, 24)
    assert systems["silent"].sheet is None and "no memory" in systems["silent"].note
    tuned = systems["tuned"]
    assert tuned.sheet is not None and tuned.sheet.scores["finding_f1_micro"].value == 100
    gain = tuned.comparison.differences["finding_f1_micro"]
    assert gain.value > 0 and gain.low > 0 and gain.p_holm < 0.05
    assert systems["base@short"].comparison.studies == 20
    assert systems["base@short"].cut_off == 20 and systems["tuned"].seconds == 2
    copied = systems["copy-the-prior"]
    assert copied.sheet is not None and copied.sheet.scores["finding_f1_micro"].value == 100
    assert copied.sheet.scores["missed_comparison_rate"].value == 100
    assert found.positives["Cardiomegaly"] == 8


def test_p_values_are_corrected_over_all_models_and_no_baseline(found: Assessment) -> None:
    models = [one for one in found.systems if not one.baseline and one.comparison.differences]
    gains = [gain for one in models for gain in one.comparison.differences.values()]
    assert len(gains) == found.tests > len(models[0].comparison.differences)
    assert [gain.p_holm for gain in gains] == holm([gain.p for gain in gains])
    for one in found.systems:
        if one.baseline:
            assert all(gain.p != gain.p for gain in one.comparison.differences.values())  # not a number


def test_whom_the_others_are_compared_with_can_be_chosen(folder: Folder) -> None:
    other = assess(folder, against="always-normal")
    systems = {one.name: one for one in other.systems}
    assert not systems["always-normal"].comparison.differences and systems["base"].comparison.differences
    with pytest.raises(UsageError, match="silent"):
        assess(folder, against="silent")


def test_what_has_changed_or_gone_is_refused(folder: Folder, tmp_path: Path) -> None:
    file = question_file(tmp_path / "data")
    fresh = Folder.create(tmp_path / "fresh", Asked(file, None, "true", None, {}))
    with pytest.raises(InputError, match="Nobody"):
        assess(fresh)
    write(fresh, "m", {"q0": "Left effusion."})
    assert assess(fresh).systems[0].sheet is not None
    file.write_text(file.read_text().replace("No effusion", "Small effusion"))
    with pytest.raises(DatasetError, match="changed"):
        assess(fresh)
    file.unlink()
    with pytest.raises(DatasetError, match="questions"):
        assess(fresh)


def test_questions_without_references_are_never_scored_against_their_prompt(tmp_path: Path) -> None:
    file = question_file(tmp_path / "data")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "reference"}) + "\n" for row in rows))
    fresh = Folder.create(tmp_path / "fresh", Asked(file, None, "true", None, {}))
    write(fresh, "m", {"q0": "Describe."})
    with pytest.raises(InputError, match="nothing to score against"):
        assess(fresh)
    references = tmp_path / "references.jsonl"
    references.write_text('{"question_id": "q0", "text": "Left effusion."}\n')
    scored = assess(fresh, references=references)
    assert scored.studies == 1 and "3 of 4 questions have no reference" in scored.notes[0]


class Reader(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def words(found: Assessment) -> Iterator[str]:
    made = document(found, "site b")
    yield from (made.title, made.line)
    for block in made.blocks:
        if isinstance(block, Text):
            yield block.text
        elif isinstance(block, Table):
            yield from (cell for row in (block.head, *block.rows) for cell in row if cell)


def test_the_page_is_self_contained_escaped_and_says_what_it_is(found: Assessment) -> None:
    page = to_html(document(found, "site b"))
    reader = Reader(page)
    assert "script" not in reader.tags and "link" not in reader.tags and "img" not in reader.tags
    assert reader.addresses == [] and "url(" not in page and "default-src 'none'" in page
    text = "".join(reader.text)
    for said in (
        labels.RESEARCH_LINE,
        labels.DEMO_MARK,
        HOSTILE,
        "no answer to 4 of 24 studies",
        "not CheXbert",
        "than 30",
    ):
        assert said in text
    for said in words(found):
        assert said in text
    assert "Left pleural effusion" not in text  # no report of a patient
    assert text.count(published().note) == 1
    assert all(table.source in text for table in published().of("report"))


def test_the_pdf_says_the_same_on_every_page(found: Assessment) -> None:
    made = document(found, "site b")
    content = to_pdf(made)
    assert content == to_pdf(made)
    reader = pypdf.PdfReader(io.BytesIO(content))
    pages = [page.extract_text() for page in reader.pages]
    for number, page in enumerate(pages, 1):
        assert labels.RESEARCH_LINE in page and f"Page {number} of {len(pages)}" in page
    whole = re.sub(r"\s+", "", "".join(pages))
    for said in words(found):
        assert re.sub(r"\s+", "", said) in whole
    assert reader.trailer["/Root"].get("/OpenAction") is None


def test_the_page_prints_the_research_line_on_every_page(found: Assessment, tmp_path: Path, chromium: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(to_html(document(found, "site b")), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url))
        page.goto(file.as_uri())
        printed = page.pdf(format="A4")
        browser.close()
    assert said == [file.as_uri()]
    pages = pypdf.PdfReader(io.BytesIO(printed)).pages
    assert len(pages) > 3 and all(labels.RESEARCH_LINE in page.extract_text() for page in pages)


def test_the_command_writes_everything(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert echo.main(folder.path, ["score", str(folder.path), "--json"]) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out)
    assert "report.html" in err
    stored = json.loads((folder.path / "scores.json").read_text())
    assert stored["models"] == scores["models"]
    entry = stored["models"]["tuned"]
    assert entry["scores"]["finding_f1_micro"]["value"] == 100
    assert {"value", "interval", "p", "p_holm"} == set(entry["comparison"]["differences"]["finding_f1_micro"])
    assert {"value", "interval"} == set(stored["baselines"]["always-normal"]["comparison"]["differences"]["BLEU4"])
    assert {part["division"] for part in entry["parts"]} == {"sex", "age", "prior"}
    assert stored["models"]["silent"]["scores"] == {}
    rows = list(csv.DictReader((folder.path / "scores.csv").read_text().splitlines()))
    assert {row["system"] for row in rows} == {*stored["models"], *stored["baselines"]}
    assert any(row["part"] == "sex: female" for row in rows)
    cases = read_cases(folder.path / "cases.jsonl")
    assert sum(case.system == "base" and bool(case.slips) for case in cases) == 12
    assert (folder.path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert echo.main(folder.path, ["score", str(folder.path), "--metrics", "BLEU"]) == 2
    assert echo.main(folder.path, ["score", str(folder.path / "answers")]) == 3


def test_evaluate_then_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = question_file(tmp_path / "data")
    model_folder(tmp_path / "models" / "one")
    lora = model_folder(tmp_path / "models" / "lora", base="one")
    output = tmp_path / "out"
    command = ["evaluate", "--questions", str(file), "--output", str(output), "--model", str(lora)]
    assert echo.main(tmp_path, command) == 0
    assert echo.main(tmp_path, ["score", str(output)]) == 0
    out = capsys.readouterr().out
    assert out.index("one") < out.index("lora") < out.index("Copy" if "Copy" in out else "Always")
    questions = read_questions(file)
    assert json.loads((output / "scores.json").read_text())["studies"] == len(questions)
    assert Echo("x").info.name == "x"


def test_an_axis_holds_zero_and_every_interval() -> None:
    for low, high in ((-3.0, 7.0), (0.2, 0.3), (-90.0, -40.0), (0.0, 0.0)):
        chart = Chart("", (Bar("", (low + high) / 2, low, high, False),))
        axis = Axis.of(chart, 0, 100)
        assert 0 in axis.ticks and 3 <= len(axis.ticks) <= 11
        assert 0 <= axis.at(low) <= axis.at(high) <= 100


def test_published_figures_have_a_source_and_nothing_from_memory() -> None:
    known = published()
    assert "not measured here" in known.note
    for table in known.tables:
        assert table.source and all(len(row) == len(table.columns) + 1 for row in table.rows)
    assert not any("memory" in table.source for table in known.tables)

"""Everything that is wrong with a data file is found, in one go, and what has no error can be read."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_makers import FINDINGS, picture, row, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine import cli
from engine.datasets.checking import KINDS, WARNINGS, check, write_csv
from engine.datasets.libra import read_questions, read_training
from engine.errors import DatasetError

HUMAN = {"from": "human", "value": "<image>\nDescribe."}
GPT = {"from": "gpt", "value": FINDINGS}
USER, ASSISTANT = {"from": "user", "value": "<image>"}, {"from": "assistant", "value": "x"}
TWO_MARKS = {"from": "human", "value": "<image><image>\nCompare."}
BLANK = {"from": "gpt", "value": " \n"}


def kinds(folder: Path, rows: list[Any], name: str = "train.json", **options: Any) -> dict[int, set[str]]:
    """Row -> kinds of issue, without the one that no patient is named."""
    checked = check(write_rows(folder / name, rows), **options)
    assert all((issue.severity == "warning") == (issue.kind in WARNINGS) for issue in checked.issues)
    assert all(issue.kind in KINDS for issue in checked.issues)
    found: dict[int, set[str]] = {}
    for issue in checked.issues:
        if issue.kind != "no-patient":
            found.setdefault(issue.row, set()).add(issue.kind)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
    return tmp_path


def spoken(*turns: Any, image: Any = "0.png", **more: Any) -> dict[str, Any]:
    return {"id": "x", "image": image, "conversations": list(turns)} | more


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("text", {"not-an-object"}),
        (spoken(HUMAN, GPT, id=None), {"no-id"}),
        (spoken(HUMAN, GPT, id=True), {"no-id"}),
        (spoken(HUMAN, GPT, image=None), {"no-image"}),
        (spoken(HUMAN, GPT, image=[]), {"no-image"}),
        (spoken(HUMAN, GPT, image=["0.png", 7]), {"no-image"}),
        (spoken(HUMAN, GPT, image=["0.png", "1.png", "2.png"]), {"too-many-images"}),
        (spoken(HUMAN, GPT, image="../secret.png"), {"image-path"}),
        (spoken(HUMAN, GPT, image="https://example.org/a.png"), {"image-path"}),
        (spoken(HUMAN, GPT, image="a\0.png"), {"image-path"}),
        (spoken(HUMAN, GPT, image="gone.png"), {"image-missing"}),
        (spoken(), {"no-conversation"}),
        (spoken(GPT, HUMAN), {"first-turn", "roles", "image-marks"}),
        (spoken(USER, ASSISTANT), {"first-turn", "roles", "no-answer"}),
        (spoken(HUMAN), {"no-answer"}),
        (spoken(HUMAN, GPT, {"from": "human", "value": "And?"}), {"no-answer"}),
        (spoken(HUMAN, BLANK), {"empty-answer"}),
        (spoken(HUMAN, {"from": "gpt"}), {"empty-answer"}),
        (spoken({"from": "human", "value": ""}, GPT), {"empty-question", "image-marks"}),
        (spoken(TWO_MARKS, GPT, image=["0.png", "1.png"]), {"image-marks"}),
        (spoken(HUMAN, {"from": "gpt", "value": "See <image>."}), {"image-marks"}),
        (spoken(HUMAN, GPT, age="old"), {"bad-value"}),
        (spoken(HUMAN, GPT, patient=["P"]), {"bad-value"}),
        (spoken(HUMAN, GPT, age=-3, sex="K"), {"odd-value"}),
        (spoken(HUMAN, {"from": "gpt", "value": "word " * 4000}), {"long-text"}),
        (spoken(HUMAN, GPT, image=["0.png", "0.png"]), {"same-image"}),
        (spoken(HUMAN, GPT, image=["0.png", "1.png"], date="2020-03-01", prior_date="20200302"), {"prior-after"}),
        (spoken(HUMAN, BLANK, image="gone.png", id=""), {"no-id", "image-missing", "empty-answer"}),
    ],
)  # fmt: skip
def test_each_fault_of_a_row_is_named(folder: Path, bad: Any, expected: set[str]) -> None:
    good = row("good", "2.png", "3.png")
    assert kinds(folder, [good, bad, row("also good", "2.png")]) == {2: expected}
    if expected <= WARNINGS:
        assert len(read_training(folder / "train.json")) == 3
    elif "image-missing" not in expected or len(expected) > 1:
        with pytest.raises(DatasetError):
            read_training(folder / "train.json")


def test_images_that_cannot_be_used_are_named_without_decoding(folder: Path) -> None:
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not a picture")
    (folder / "paper.png").write_bytes(b"%PDF-1.7")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "trailing.png").write_bytes(whole + b"more")
    picture(folder / "whole.jpg", 7)
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:-40])
    (folder / "folder.png").mkdir()
    Image.fromarray(np.arange(10_000, dtype=np.uint16).reshape(100, 100)).save(folder / "deep.png")
    names = ("empty", "text", "paper", "cut", "trailing", "folder", "deep")
    rows = [row(name, f"{name}.png") for name in names] + [row("j", "whole.jpg", "cut.jpg")]
    found = kinds(folder, rows)
    assert found == {
        1: {"image-empty"},
        2: {"image-not-an-image"},
        3: {"image-not-an-image"},
        4: {"image-damaged"},
        6: {"image-missing"},
        7: {"image-form"},
        8: {"image-damaged"},
    }


def test_damage_inside_an_image_is_found_by_decoding(folder: Path) -> None:
    data = bytearray((folder / "0.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / "bad.png").write_bytes(data)
    Image.new("L", (24, 24), 9).save(folder / "grey.png")
    rows = [row("a", "bad.png"), row("b", "1.png"), row("c", "grey.png")]
    assert kinds(folder, rows) == {}
    assert kinds(folder, rows, decode=True) == {1: {"image-damaged"}, 3: {"image-damaged"}}


def test_what_is_wrong_between_rows(folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    rows = [
        row("a", "0.png", patient="P", sex="F", date="2021-01-01"),
        row("a", "1.png", patient="P", sex="M", date="2019-01-01"),
        row("b", "copy.png", patient="Q"),
        row("c", "1.png", "0.png", patient="P", sex="F"),  # the dates of its images stand in other rows
    ]
    assert kinds(folder, rows) == {2: {"id-twice", "two-sexes"}, 3: {"image-of-two"}, 4: {"prior-after"}}


def test_one_answer_for_very_many_is_told_once(folder: Path) -> None:
    stock = "No acute cardiopulmonary process is seen"
    rows = [row(str(n), "0.png", answer=stock + "." * (n % 3)) for n in range(30)]
    rows += [row(f"yes{n}", "1.png", answer="Yes.") for n in range(30)]
    assert kinds(folder, rows) == {1: {"answer-repeated"}}


def test_tokens_are_counted_where_a_tokenizer_is_at_hand(folder: Path) -> None:
    rows = [row("a", "0.png", answer="word " * 50), row("b", "0.png")]
    assert kinds(folder, rows, lengths=lambda sample: len(sample.turns[0][1]), limit=100) == {1: {"too-long"}}


def test_two_patients_in_the_files_themselves(folder: Path) -> None:
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "imaging"))
    from makers import simple

    (folder / "a.dcm").write_bytes(simple(PatientID="A", StudyDate="20200101"))
    (folder / "b.dcm").write_bytes(simple(PatientID="B", StudyDate="20210101"))
    (folder / "later.dcm").write_bytes(simple(PatientID="A", StudyDate="20220101"))
    asked = [
        {"question_id": 1, "image": ["a.dcm", "b.dcm"], "text": "Compare."},
        {"question_id": 2, "image": ["a.dcm", "later.dcm"], "text": "Compare."},
        {"question_id": 3, "image": ["later.dcm", "a.dcm"], "text": "Compare."},
    ]
    found = kinds(folder, asked, name="q.jsonl")
    assert found == {1: {"two-patients", "prior-after"}, 2: {"prior-after"}}
    assert kinds(folder, [row("t", "a.dcm")]) == {1: {"image-form"}}


def test_evaluation_files_are_checked_as_what_they_are(folder: Path) -> None:
    asked: list[Any] = [
        {"question_id": "1", "image": "0.png", "text": "Describe.", "reference": FINDINGS},
        {"question_id": "2", "image": "0.png", "text": "", "reference": 5},
        {"question_id": "3", "image": "0.png", "text": "Describe.", "reference": " "},
        {"question_id": "1", "image": "0.png", "text": "Describe."},
        {"image": "0.png", "text": "Describe."},
    ]
    expected = {2: {"empty-question", "bad-value"}, 3: {"empty-reference"}, 4: {"id-twice"}, 5: {"no-id"}}
    assert kinds(folder, asked, name="q.jsonl") == expected
    checked = check(folder / "q.jsonl")
    assert (checked.form, checked.rows, len(checked.cases)) == ("evaluation", 5, 3)
    assert kinds(folder, asked[:1], name="q.json") == {0: {"format"}}


def test_lines_that_are_no_json_do_not_hide_the_others(folder: Path) -> None:
    good = json.dumps(row("a", "0.png")).encode()
    double = good[:-1] + b', "id": "b"}'
    lines = [good, b"{", b'{"id": "\xff"}', b"", b"[" * 100_000, double, b'"x', b"\xef\xbb\xbf" + good]
    (folder / "t.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    checked = check(folder / "t.jsonl")
    found = {(issue.row, issue.kind) for issue in checked.issues}
    assert {(2, "not-json"), (3, "not-utf8"), (3, "no-image"), (5, "not-json"), (6, "key-twice")} <= found
    assert {(7, "not-json"), (8, "not-json")} <= found
    assert checked.rows == 7 and [case.id for case in checked.cases] == ["a", "b"]
    (folder / "t.json").write_bytes(b'[{"id": 1},\n{"id": 2,, }]')
    assert [issue.reason for issue in check(folder / "t.json").issues] == [
        "not a JSON file (line 2, column 10: expecting property name enclosed in double quotes)"
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", "[" * 100_000, '[{"id": ' + "9" * 5000 + "}]"])
def test_files_that_are_none_are_refused_in_a_row_of_their_own(folder: Path, text: str) -> None:
    (folder / "t.json").write_text(text)
    checked = check(folder / "t.json")
    assert [issue.row for issue in checked.issues] == [0]
    assert not checked.ok and not checked.cases


VALUES = (
    st.none() | st.booleans() | st.integers(-3, 130) | st.sampled_from(["", " ", "<image>", "F", "x", "a.png", "../a"])
)
TURNS = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["human", "gpt", "user", None]),
        "value": st.sampled_from(["<image>\nDescribe.", "Normal.", "", "<image>", "<image><image>", None, 7]),
    },
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUES,
        "image": VALUES | st.lists(VALUES, max_size=3),
        "conversations": st.just([HUMAN, GPT]) | st.lists(TURNS, max_size=4) | VALUES,
        "patient": VALUES,
        "subject_id": VALUES,
        "sex": VALUES,
        "age": VALUES,
        "view": VALUES,
        "question_type": VALUES,
    },
) | st.sampled_from([None, [], "x", 5])


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS | st.just(row("1", "a.png")), min_size=1, max_size=3))
def test_what_has_no_error_is_what_can_be_read(rows: list[Any]) -> None:
    """The same holds of evaluation files: both are put through the reader itself."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        file = write_rows(Path(name) / "t.json", rows)
        checked = check(file)
        errors = {issue.kind for issue in checked.issues if issue.severity == "error"}
        try:
            readable = [sample.id for sample in read_training(file)]
        except DatasetError:
            assert errors - {"image-missing"}
        else:
            assert errors <= {"image-missing"}
            assert [case.id for case in checked.cases] == readable


def test_the_table_is_no_spreadsheet_program(folder: Path) -> None:
    checked = check(write_rows(folder / "t.json", [row("=cmd()", "gone.png", patient="P")]))
    write_csv(folder / "issues.csv", checked)
    with (folder / "issues.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["row", "id", "severity", "kind", "reason"]
    assert table[1][:4] == ["1", "'=cmd()", "error", "image-missing"]


def test_the_command_says_it_all_and_fails_on_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(folder / "t.json", [row("a", "0.png", patient="P"), row("b", "gone.png", patient="Q")])
    assert cli.main(["data", "validate", str(file), "--csv", str(folder / "i.csv")]) == 3
    printed = capsys.readouterr().out
    assert "1 error in 1 row, 0 warnings" in printed and "the image is not there: gone.png" in printed
    assert cli.main(["data", "validate", str(file), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["errors"], document["rows"], document["description"]["patients"]) == (1, 2, 2)
    good = write_rows(folder / "g.json", [row("a", "0.png", patient="P")])
    assert cli.main(["data", "validate", str(good)]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    held_out = folder / "h.jsonl"
    held_out.write_text(json.dumps({"question_id": "h", "image": "1.png", "text": "Describe.", "patient": "P"}))
    assert read_questions(held_out)
    assert cli.main(["data", "validate", str(good), "--against", str(held_out)]) == 3
    assert "1  patients in both" in capsys.readouterr().out

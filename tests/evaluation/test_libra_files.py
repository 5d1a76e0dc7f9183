"""Libra's files: what is read is what was written, and everything wrong is named at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.libra import (
    Answer,
    Question,
    TrainingSample,
    read_answers,
    read_questions,
    read_references,
    read_training,
    write_questions,
    write_training,
)
from engine.errors import DatasetError

TURN = ("<image>\nDescribe.", "No effusion.")


def test_training_round_trip(tmp_path: Path) -> None:
    samples = [
        TrainingSample("a", (tmp_path / "images/a.png", tmp_path / "images/b.png"), (TURN,)),
        TrainingSample("b", (tmp_path / "images/c.png",), (TURN, ("More?", "Żółć.")), kind="location"),
    ]
    file = tmp_path / "train.json"
    write_training(file, samples)
    assert read_training(file) == samples
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document[0]["image"] == ["images/a.png", "images/b.png"]
    assert document[1]["image"] == "images/c.png"
    assert [turn["from"] for turn in document[1]["conversations"]] == ["human", "gpt"] * 2


def test_question_round_trip(tmp_path: Path) -> None:
    questions = [
        Question("1", (tmp_path / "a.png",), "Describe.", "Normal."),
        Question("2", (tmp_path / "a.png", tmp_path / "b.png"), "Describe."),
        Question("3", (tmp_path / "a.png",), "Is there an effusion?", "no", kind="presence"),
    ]
    write_questions(tmp_path / "q.jsonl", questions)
    assert read_questions(tmp_path / "q.jsonl") == questions
    assert read_questions(tmp_path / "q.jsonl", tmp_path / "x")[0].images == (tmp_path / "x/a.png",)


@given(st.text(), st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3))
def test_an_answer_is_one_line_and_comes_back(text: str, metadata: dict[str, object]) -> None:
    line = Answer("id", "p", text, "x", "m", metadata).to_line()
    assert line.count("\n") == 1
    row = json.loads(line)
    assert list(row) == ["question_id", "prompt", "text", "answer_id", "model_id", "metadata"]
    assert (row["text"], row["metadata"]) == (text, metadata)


def test_references_from_questions_and_from_answers(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    rows = [
        {"question_id": 1, "text": "Describe.", "reference": "A.", "image": ["a", "b"], "patient": "p"},
        {"question_id": "2", "text": "B.", "image": ["a", "a"], "subject_id": 10},
        {"question_id": "3", "text": "C."},
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = read_references(file)
    assert [(r.text, r.about.patient, r.has_prior) for r in found.values()] == [
        ("A.", "p", True),
        ("B.", "10", False),
        ("C.", "", None),
    ]
    assert list(found) == ["1", "2", "3"]


def test_every_faulty_row_is_named(tmp_path: Path) -> None:
    good = {"question_id": "1", "image": "a.png", "text": "x"}
    rows = [
        json.dumps(good),
        json.dumps(good),
        "{",
        "[]",
        json.dumps(good | {"question_id": ""}),
        json.dumps(good | {"question_id": "2", "image": ["a", "b", "c"]}),
        json.dumps(good | {"question_id": "3", "image": "http://evil.example/a.png"}),
        json.dumps(good | {"question_id": "4", "image": "../../etc/passwd"}),
        json.dumps(good | {"question_id": "5", "text": " "}),
        json.dumps(good | {"question_id": "6", "image": "a\0b"}),
        "[" * 100_000,
    ]
    file = tmp_path / "q.jsonl"
    file.write_text("\n".join(rows))
    with pytest.raises(DatasetError, match=r"q\.jsonl") as caught:
        read_questions(file)
    assert [row for row, _ in caught.value.rows] == list(range(2, 12))


@pytest.mark.parametrize(
    "conversation",
    [
        [],
        [{"from": "human", "value": "<image>"}],
        [{"from": "gpt", "value": "<image>"}, {"from": "human", "value": "x"}],
        [{"from": "human", "value": "no image"}, {"from": "gpt", "value": "x"}],
        [{"from": "human", "value": "<image><image>"}, {"from": "gpt", "value": "x"}],
        [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "<image>"}],
        [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": ""}],
        "text",
    ],
)
def test_broken_conversations_are_refused(tmp_path: Path, conversation: object) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps([{"id": "a", "image": "a.png", "conversations": conversation}]))
    with pytest.raises(DatasetError) as caught:
        read_training(file)
    assert caught.value.rows[0][0] == 1


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff\xfe\x00", b"[1]", b"null"])
def test_files_that_are_no_data_sets(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    for read in (read_training, read_questions, read_answers, read_references):
        with pytest.raises(DatasetError):
            read(file)

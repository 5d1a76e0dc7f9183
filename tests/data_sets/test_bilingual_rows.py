"""Chinese and bilingual rows go through every reader and writer as they are, to the code point and the line end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_makers import picture, row, write_rows

from engine.cli import main
from engine.datasets.describing import describe
from engine.datasets.libra import (
    Answer,
    read_answers,
    read_questions,
    read_references,
    read_training,
    write_questions,
    write_training,
)
from engine.datasets.sharegpt import read_source, write_sharegpt

TEXTS = (
    "双肺纹理清晰，未见明显实变影；右侧PICC尖端位于T6水平。\n心影大小正常（心胸比≈0.48）。",
    "The heart is normal in size. 心影大小正常。\nNo effusion. 未见胸腔积液。",
    "Caf\u00e9 and Cafe\u0301: composed and not, \u3000full-width blank, ＰＩＣＣ，𠮷",
)


def rows(folder: Path) -> list[dict[str, Any]]:
    for number in range(len(TEXTS)):
        picture(folder / f"{number}.png", number)
    return [row(f"例{number}", f"{number}.png", answer=text) for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize("name", ["train.json", "train.jsonl"])
def test_training_rows(name: str, tmp_path: Path) -> None:
    samples = read_training(write_rows(tmp_path / name, rows(tmp_path)))
    assert [sample.turns[0][1] for sample in samples] == list(TEXTS)
    write_training(tmp_path / "again.json", samples)
    written = (tmp_path / "again.json").read_text(encoding="utf-8")
    assert read_training(tmp_path / "again.json") == samples
    assert "双肺纹理清晰" in written and "\\u" not in written, "people read these files"
    assert [one["conversations"][1]["value"] for one in json.loads(written)] == list(TEXTS)


def test_questions_references_and_answers(tmp_path: Path) -> None:
    asked = [
        {"question_id": f"例{number}", "image": f"{number}.png", "text": "请用简体中文书写。", "reference": text}
        for number, text in enumerate(TEXTS)
    ]
    questions = read_questions(write_rows(tmp_path / "test.jsonl", asked))
    write_questions(tmp_path / "again.jsonl", questions)
    assert read_questions(tmp_path / "again.jsonl") == questions
    assert [one.text for one in read_references(tmp_path / "again.jsonl").values()] == list(TEXTS)
    answers = [Answer(question.id, question.text, question.reference or "", "a", "m") for question in questions]
    (tmp_path / "answers.jsonl").write_text("".join(answer.to_line() for answer in answers), encoding="utf-8")
    assert list(read_answers(tmp_path / "answers.jsonl").values()) == answers
    assert "简体中文" in (tmp_path / "answers.jsonl").read_text(encoding="utf-8")


def test_a_split_set_and_llama_factorys_form_hold_the_same_texts(tmp_path: Path) -> None:
    made = [
        row(f"例{n}", picture(tmp_path / f"{n}.png", n).name, answer=text, patient=f"病人{n}")
        for n, text in enumerate(TEXTS * 4)
    ]
    source = write_rows(tmp_path / "all.json", made)
    words = ["data", "split", str(source), "--output", str(tmp_path / "split"), "--validation", "0.2", "--test", "0.2"]
    assert main(words) == 0
    found = [sample.turns[0][1] for sample in read_training(tmp_path / "split" / "train.json", tmp_path)]
    tests = [question.reference for question in read_questions(tmp_path / "split" / "test.jsonl", tmp_path)]
    assert found and tests and {*found, *tests} <= set(TEXTS)
    assert "\\u" not in (tmp_path / "split" / "test.jsonl").read_text(encoding="utf-8")
    write_sharegpt(read_training(source), tmp_path / "factory.json")
    samples, _ = read_source(f"{tmp_path / 'dataset_info.json'}:factory")
    assert [sample.turns[0][1] for sample in samples] == list(TEXTS * 4)


def test_what_is_for_english_is_not_said_of_them(tmp_path: Path) -> None:
    prior = [one | {"image": [one["image"], "prior.png"]} for one in rows(tmp_path)]
    picture(tmp_path / "prior.png", 9)
    found = describe(read_training(write_rows(tmp_path / "train.json", prior)))
    assert found.languages == {"Chinese": 1, "English and Chinese": 1, "English": 1}
    assert found.silent_with_prior == 2, "of a Chinese report nobody here can tell whether it compares"
    assert found.words is not None and found.words.most == 34, "characters are counted"

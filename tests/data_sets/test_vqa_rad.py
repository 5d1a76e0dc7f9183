"""VQA-RAD's published list made into files; its official test and what it shares with training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from dataset_makers import picture

from engine.cli import data
from engine.datasets.libra import MARKER, read_questions, read_training
from engine.datasets.splitting import Shares
from engine.datasets.vqa_rad import MARKED, NO_ANSWER, NO_IMAGE, READ, WRITTEN, convert
from engine.errors import DatasetError

NAME = "VQA_RAD Dataset Public.json"


def asked(qid: int, image: int, **changes: Any) -> dict[str, Any]:
    """A question with the keys of the published file."""
    return {
        "qid": qid,
        "phrase_type": "freeform",
        "qid_linked_id": f"link-{qid}",
        "image_case_url": f"https://medpix.nlm.nih.gov/case?id=case-{image}",
        "image_name": f"synpic{image}.jpg",
        "image_organ": "CHEST",
        "evaluation": "evaluated",
        "question": f"Is there an effusion ({qid})?",
        "question_rephrase": "NULL",
        "question_relation": "NULL",
        "question_frame": "NULL",
        "question_type": "PRES",
        "answer": "Yes",
        "answer_type": "CLOSED ",
    } | changes


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(12):
        picture(tmp_path / "images" / f"synpic{number}.jpg", number)
    return tmp_path / "images"


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / NAME
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def rows() -> list[dict[str, Any]]:
    """Two questions about each of twelve images, and six official test questions about three of them."""
    made = [asked(2 * image + place, image) for image in range(12) for place in range(2)]
    made += [asked(100 + image, image, phrase_type="test_freeform", answer_type="OPEN") for image in range(3)]
    made += [asked(110, 0, phrase_type="test_para ", qid_linked_id="link-0", question_type="POS, ABN")]
    return made


def test_the_official_test_is_kept_and_what_it_shares_is_said(images: Path, tmp_path: Path) -> None:
    made = convert(written(tmp_path, rows()), images, tmp_path / "out", shares=Shares(0.2, 0.0))
    assert made.written == {"train.json": 24, "test.jsonl": 4}
    assert (made.tally.of(READ), made.tally.of(WRITTEN)) == (28, 28)
    shared = made.shared
    assert (shared.images, shared.questions, shared.rephrased, shared.of_questions) == (3, 4, 1, 4)
    train = read_training(tmp_path / "out/train.json", images)
    assert train[0].id == "vqa-rad-0" and train[0].turns == ((f"{MARKER}Is there an effusion (0)?", "Yes"),)
    assert (train[0].kind, train[0].form, train[0].about.patient) == ("PRES", "CLOSED", "medpix-case-0")
    test = read_questions(tmp_path / "out/test.jsonl", images)
    assert [one.form for one in test] == ["OPEN", "OPEN", "OPEN", "CLOSED"] and test[3].kind == "POS, ABN"
    document = json.loads((tmp_path / "out/split.json").read_text())
    assert document["test_shares_with_training"]["questions"] == 4 and document["by"] == "official"


def test_by_image_no_case_is_in_two_parts(images: Path, tmp_path: Path) -> None:
    # Image 3 belongs to the case of image 2: both go the same way.
    changed = [row | ({"image_case_url": asked(0, 2)["image_case_url"]} if "synpic3." in row["image_name"] else {})
               for row in rows()]  # fmt: skip
    file = written(tmp_path, changed)
    made = convert(file, images, tmp_path / "out", by="by-image", shares=Shares(0.4, 0.2), seed=3)
    assert (made.shared.questions, made.shared.rephrased) == (0, 0)
    parts = [
        {(one.about.patient, one.images[0].name) for one in part}
        for part in (
            read_training(tmp_path / "out/train.json", images),
            read_questions(tmp_path / "out/validation.jsonl", images),
            read_questions(tmp_path / "out/test.jsonl", images),
        )
    ]
    assert sum(made.written.values()) == 28 and all(parts)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not {case for case, _ in parts[first]} & {case for case, _ in parts[second]}
        assert not {image for _, image in parts[first]} & {image for _, image in parts[second]}


def test_validation_is_parted_by_case_beside_the_official_test(images: Path, tmp_path: Path) -> None:
    made = convert(written(tmp_path, rows()), images, tmp_path / "out", shares=Shares(0.2, 0.4), seed=1)
    assert made.written["test.jsonl"] == 4 and made.written["train.json"] + made.written["validation.jsonl"] == 24
    train = read_training(tmp_path / "out/train.json", images)
    held_out = read_questions(tmp_path / "out/validation.jsonl", images)
    assert held_out and not {one.about.patient for one in train} & {one.about.patient for one in held_out}


def test_what_is_missing_is_counted_and_numbers_are_answers(images: Path, tmp_path: Path) -> None:
    odd = [
        asked(1, 1, answer=4, answer_type="OPEN", image_case_url=None),
        asked(2, 77),
        asked(3, 2, answer=" "),
        asked(4, 2, question="What is <image>?"),
        asked(5, 3, phrase_type="test_freeform", answer_type=None, image_case_url="somewhere"),
    ]
    made = convert(written(tmp_path, odd), images, tmp_path / "out", shares=Shares(0.2, 0.0))
    counts = [made.tally.of(what) for what in (READ, NO_IMAGE, NO_ANSWER, MARKED, WRITTEN)]
    assert counts == [5, 1, 1, 1, 2]
    [train] = read_training(tmp_path / "out/train.json", images)
    assert train.turns[0][1] == "4" and train.about.patient == "image-synpic1"
    [test] = read_questions(tmp_path / "out/test.jsonl", images)
    assert test.form == "" and test.about.patient.startswith("medpix-")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qid": None}, "'qid' is missing"),
        ({"qid": 0}, "the qid of row 1 again"),
        ({"question": ""}, "'question' is missing"),
        ({"phrase_type": "other"}, "phrase_type"),
        ({"image_name": "../x.jpg"}, "climb"),
        ({"image_name": "https://x.org/x.jpg"}, "address"),
    ],
)
def test_rows_that_break_the_form_are_named(images: Path, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(DatasetError) as error:
        convert(written(tmp_path, [asked(0, 0), asked(1, 1) | changes]), images, tmp_path / "out")
    [(row, said)] = error.value.rows
    assert row == 2 and reason in said and not (tmp_path / "out").exists()


def test_a_list_without_an_official_test_is_parted_by_image_only(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--split by-image"):
        convert(written(tmp_path, rows()[:24]), images, tmp_path / "out")


def test_the_command_says_what_flatters(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    data.register(parser)
    words = ["vqa-rad", str(written(tmp_path, rows())), "--images", str(images), "--output", str(tmp_path / "out")]
    assert data.run(parser.parse_args([*words, "--validation", "0"])) == 0
    said = capsys.readouterr()
    assert "4 of the 4 test questions are about images that are trained on" in said.err and "CLOSED" in said.out
    words[-1] = str(tmp_path / "by-image")
    options = ["--split", "by-image", "--test", "0.4", "--validation", "0.2", "--seed", "3", "--json"]
    assert data.run(parser.parse_args(words + options)) == 0
    said = capsys.readouterr()
    assert "flatter" not in said.err
    assert json.loads(said.out)["test_shares_with_training"]["questions"] == 0

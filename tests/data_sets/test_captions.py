"""Images with captions made into files: texts in any script, instructions, patients found by an expression."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from dataset_makers import picture, write_rows
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import data
from engine.datasets.captions import INSTRUCTIONS, MARKED, NO_CAPTION, NO_IMAGE, NO_PATIENT, READ, chosen, convert
from engine.datasets.ct_phantoms import wording
from engine.datasets.libra import MARKER, read_questions, read_training
from engine.datasets.splitting import Shares
from engine.drafting.question import Asking, ask
from engine.errors import DatasetError, UsageError

ENGLISH = "The image is an axial CT scan of the chest with a nodule in the left lung."
CHINESE = "肝右叶内见一圆形低密度病灶，直径约24毫米，左肾区“囊肿”可能。"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(12):
        picture(tmp_path / "images" / f"p{number // 2:02d}_s{number}.png", number)
    return tmp_path / "images"


def rows() -> list[dict[str, Any]]:
    return [
        {"id": f"id-{n}", "image": f"p{n // 2:02d}_s{n}.png", "caption": CHINESE if n % 2 else ENGLISH}
        for n in range(12)
    ]


def everything(folder: Path, images: Path) -> dict[str, tuple[str, str, str]]:
    """Id -> question, answer and patient of every row that was written, whatever part it fell into."""
    train = {
        one.id: (one.turns[0][0].removeprefix(MARKER), one.turns[0][1], one.about.patient)
        for one in read_training(folder / "train.json", images)
    }
    for name in ("validation.jsonl", "test.jsonl"):
        if (folder / name).exists():
            held_out = read_questions(folder / name, images)
            train |= {one.id: (one.text, one.reference or "", one.about.patient) for one in held_out}
    return train


@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl"])
def test_texts_of_any_script_stay_as_they_are(images: Path, tmp_path: Path, name: str) -> None:
    convert(write_rows(tmp_path / name, rows()), images, tmp_path / "out", patient=r"^(p\d+)_", seed=1)
    made = everything(tmp_path / "out", images)
    assert len(made) == 12
    for number in range(12):
        question, answer, patient = made[f"id-{number}"]
        assert answer == (CHINESE if number % 2 else ENGLISH) and patient == f"p{number // 2:02d}"
        assert question in INSTRUCTIONS["zh" if number % 2 else "en"]
    written = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "out").iterdir())
    assert CHINESE in written and "\\u" not in written


def test_patients_found_by_the_expression_are_kept_apart(images: Path, tmp_path: Path) -> None:
    made = convert(
        write_rows(tmp_path / "c.json", rows()), images, tmp_path / "out", patient=r"^(p\d+)_",
        shares=Shares(0.3, 0.2), seed=2,
    )  # fmt: skip
    parts = [
        {one.about.patient for one in part}
        for part in (
            read_training(tmp_path / "out/train.json", images),
            read_questions(tmp_path / "out/validation.jsonl", images),
            read_questions(tmp_path / "out/test.jsonl", images),
        )
    ]
    assert made.patients == 6 and sum(map(len, parts)) == 6 and set.union(*parts) == {f"p{n:02d}" for n in range(6)}


def test_one_instruction_for_all(images: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "c.json", rows())
    convert(file, images, tmp_path / "out", instruction="请描述。", shares=Shares(0.3, 0))
    made = everything(tmp_path / "out", images)
    assert {question for question, _, _ in made.values()} == {"请描述。"}
    assert {patient for _, _, patient in made.values()} == {""}, "nobody is named who was not looked for"
    with pytest.raises(UsageError):
        convert(file, images, tmp_path / "other", instruction="<image>Describe.")
    with pytest.raises(UsageError, match="expression"):
        convert(file, images, tmp_path / "other", patient="p(")


@given(name=st.text(min_size=1, max_size=12), caption=st.sampled_from([ENGLISH, CHINESE]))
def test_the_same_row_is_asked_the_same(name: str, caption: str) -> None:
    assert chosen(name, caption) == chosen(name, caption) in INSTRUCTIONS["zh" if caption == CHINESE else "en"]


def test_instructions_are_all_used() -> None:
    assert {chosen(str(number), ENGLISH) for number in range(100)} == set(INSTRUCTIONS["en"])


def test_images_by_id_and_what_is_left_out(images: Path, tmp_path: Path) -> None:
    some = [
        {"id": "p00_s0", "caption": ENGLISH},
        {"id": "p00_s1.png", "caption": ENGLISH},
        {"id": 7, "file_name": "p01_s2.png", "caption": ENGLISH},
        {"file": "p01_s3.png", "caption": CHINESE},
        {"id": "e", "image": {"bytes": None, "path": "p02_s4.png"}, "caption": ENGLISH},
        {"id": "gone", "caption": ENGLISH},
        {"id": "p02_s5", "caption": ""},
        {"id": "p03_s6", "caption": "See <image>."},
    ]
    made = convert(write_rows(tmp_path / "c.jsonl", some), images, tmp_path / "out", patient=r"^p0[01]", seed=5)
    counts = [made.tally.of(what) for what in (READ, NO_IMAGE, NO_CAPTION, MARKED, NO_PATIENT)]
    assert counts == [8, 1, 1, 1, 1]
    found = everything(tmp_path / "out", images)
    assert {name: patient for name, (_, _, patient) in found.items()} == {
        "p00_s0": "p00", "p00_s1.png": "p00", "7": "p01", "p01_s3.png": "p01", "e": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"caption": ENGLISH}, "neither 'id' nor an image"),
        ({"id": "id-0", "image": "p00_s0.png", "caption": ENGLISH}, "the id of row 1 again"),
        ({"id": "x", "image": "../p00_s0.png", "caption": ENGLISH}, "climb"),
        ({"id": "x", "image": ["p00_s0.png"], "caption": ENGLISH}, "not a path"),
        ("text", "not an object"),
    ],
)
@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl"])
def test_rows_that_cannot_be_used_are_named(images: Path, tmp_path: Path, bad: Any, reason: str, name: str) -> None:
    with pytest.raises(DatasetError) as error:
        convert(write_rows(tmp_path / name, [rows()[0], bad]), images, tmp_path / "out")
    [(row, said)] = error.value.rows
    assert row == 2 and reason in said and not (tmp_path / "out").exists()


def test_the_command_says_that_patients_are_not_known(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    data.register(parser)
    file = write_rows(tmp_path / "c.json", rows())
    words = ["captions", str(file), "--images", str(images), "--output"]
    assert data.run(parser.parse_args([*words, str(tmp_path / "a")])) == 0
    said = capsys.readouterr()
    assert "parted one by one" in said.err and "rows written" in said.out
    assert data.run(parser.parse_args([*words, str(tmp_path / "b"), "--patient", r"^(p\d+)_", "--json"])) == 0
    said = capsys.readouterr()
    assert "parted one by one" not in said.err and json.loads(said.out)["patients"] == 6


def test_what_the_viewer_asks_is_among_what_is_taught() -> None:
    """Else a model would be asked for its first draft in words it has never seen."""
    for language in ("en", "zh"):
        question, _ = ask(Asking(language=language), str, "qwen2-vl")
        assert question in INSTRUCTIONS[language] and question in wording.INSTRUCTIONS[language]

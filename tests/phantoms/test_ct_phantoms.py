"""CT phantoms: the pictures show what captions and answers say, and the set is one everything else reads."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from engine.cli import data
from engine.datasets.checking import check
from engine.datasets.ct_phantoms import caption, draw, questions, sample_patient, write_slices
from engine.datasets.ct_phantoms.drawing import box
from engine.datasets.leakage import compare
from engine.datasets.libra import read_questions, read_references, read_training
from engine.datasets.splitting import Shares
from engine.errors import UsageError
from engine.evaluation import vqa

SLICES = [one for number in range(40) for one in sample_patient(number).slices]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct") / "set"
    write_slices(folder, 16, seed=2, size=84, language="en+zh", shares=Shares(0.25, 0.15))
    return folder


@pytest.mark.parametrize("size", [84, 168])
def test_a_lesion_is_seen_where_the_truth_says_and_nowhere_else(size: int) -> None:
    seen = Counter()
    for one in SLICES:
        grey, place = draw(one, size).astype(int), box(one, size)
        assert grey.shape == (size, size)
        if one.lesion is None:
            assert place is None
            continue
        changed = grey - draw(replace(one, lesion=None), size)
        left, top, right, bottom = place
        core = changed[top + 1 : bottom - 1, left + 1 : right - 1]
        assert core.mean() > 12 if one.lesion.density == "high" else core.mean() < -12, one.id
        changed[top - 4 : bottom + 4, left - 4 : right + 4] = 0
        assert not changed.any()
        seen[one.lesion.organ, one.lesion.side] += 1
    assert len(seen) == 7, "every place there is"


def test_right_is_on_the_left_of_the_picture() -> None:
    for one in SLICES:
        if one.lesion is not None and one.lesion.organ in ("lung", "kidney"):
            left, _, right, _ = box(one, 100)
            assert ((left + right) / 2 < 50) == (one.lesion.side == "right")


def test_captions_and_answers_say_what_is_there() -> None:
    for one in SLICES:
        said, gesagt = caption(one, "en"), caption(one, "zh")
        answers = {(each.kind, each.question): each for each in questions(one, "en")}
        present = [each.answer for each in answers.values() if each.kind == "presence"]
        assert present[0] == ("yes" if one.lesion else "no") and (one.lesion or present == ["no", "no"])
        assert "CT" in said and "CT" in gesagt and not any("a" <= c <= "z" for c in gesagt)
        kinds = Counter(each.kind for each in answers.values())
        if one.lesion is None:
            assert kinds.keys() == {"modality", "region", "organs", "presence"}
            assert "mm" not in said and "毫米" not in gesagt
            continue
        assert f"{one.lesion.diameter:.0f} mm" in said and f"{one.lesion.diameter:.0f}毫米" in gesagt
        assert answers["position", "Where is the lesion?"].answer in said
        assert one.lesion.side in said and one.lesion.band in said
        assert len(questions(one, "zh")) == len(answers)


def test_yes_and_no_come_about_equally_often() -> None:
    present = Counter(
        each.answer
        for number in range(200)
        for one in sample_patient(number, 5).slices
        for each in questions(one, "en")
        if each.kind == "presence"
    )
    assert 0.4 < present["yes"] / present.total() < 0.7


def test_the_set_is_whole_and_shares_nobody_between_its_parts(made: Path) -> None:
    with Image.open(next((made / "images").iterdir())) as picture:
        assert picture.mode == "L" and picture.size == (84, 84)
    for prefix in ("", "questions-"):
        files = [made / f"{prefix}{name}" for name in ("train.json", "validation.jsonl", "test.jsonl")]
        checked = [check(file) for file in files]
        assert all(each.ok for each in checked)
        for first, second in ((0, 1), (0, 2), (1, 2)):
            leak = compare(checked[first].cases, checked[second].cases, pixels=False)
            assert not leak.people
    train = read_training(made / "train.json")
    assert {one.id[-3:] for one in train} == {"-en", "-zh"}
    truth = [json.loads(line) for line in (made / "truth.jsonl").read_text().splitlines()]
    held_out = len(read_questions(made / "validation.jsonl")) + len(read_questions(made / "test.jsonl"))
    assert len(train) + held_out == 2 * len(truth)
    captions, asked = read_questions(made / "test.jsonl"), read_questions(made / "questions-test.jsonl")
    assert {one.about.patient for one in captions} == {one.about.patient for one in asked}
    assert "请" in (made / "train.json").read_text(encoding="utf-8")


def test_questions_are_scored_as_what_they_are(made: Path) -> None:
    references = read_references(made / "questions-test.jsonl")
    assert vqa.is_vqa(references.values())
    for reference in references.values():
        assert vqa.form_of(reference) == reference.form.lower()
        if reference.form == "CLOSED":
            assert vqa.closed_right(reference.text, reference.text)
            others = {"yes": "no", "有": "无", "right": "left", "右侧": "左侧", "chest": "abdomen", "low": "high"}
            other = others.get(reference.text)
            assert other is None or not vqa.closed_right(reference.text, other)


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_command_writes_the_same_bytes_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    data.register(parser)
    words = ["ct-phantoms", "--output", str(tmp_path / "again"), "--count", "16", "--seed", "2", "--size", "84"]
    words += ["--language", "en+zh", "--test", "0.25", "--validation", "0.15", "--json"]
    assert data.run(parser.parse_args(words)) == 0
    assert json.loads(capsys.readouterr().out)["written"]["train.json"] == len(read_training(made / "train.json"))
    assert digest(tmp_path / "again") == digest(made)
    with pytest.raises(UsageError, match="already holds"):
        data.run(parser.parse_args(words))


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"size": 8}, {"language": "fr"}])
def test_impossible_requests_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_slices(tmp_path, **({"count": 1} | wrong))

"""Laws of the split: nobody in two parts, nobody moves, everybody is somewhere; and files that can be read again."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from dataset_makers import picture, row, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import cli
from engine.datasets.libra import About, TrainingSample, read_questions, read_training
from engine.datasets.splitting import PARTS, Shares, Split, as_questions, part_of, split
from engine.errors import DatasetError, UsageError

NAMES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=12)


def samples(owners: list[str], folder: Path = Path("nowhere"), images: int = 1000) -> list[TrainingSample]:
    """One sample for each entry; its image is its place, modulo ``images``."""
    return [
        TrainingSample(str(n), (folder / f"{n % images}.png",), (("<image>\nWhat?", "That."),), About(patient=owner))
        for n, owner in enumerate(owners)
    ]


def parts_of(made: Split) -> dict[str, set[str]]:
    """Patient -> parts."""
    found = defaultdict(set)
    for part, rows in made.parts.items():
        for sample in rows:
            found[sample.about.patient].add(part)
    return found


def tried(rows: list[TrainingSample], shares: Shares, seed: int) -> Split | None:
    """The split, or None where nobody is left to train on."""
    try:
        return split(rows, shares, seed)
    except DatasetError:
        return None


@settings(max_examples=100, deadline=None)
@given(NAMES, st.integers(0, 5), st.floats(0.01, 0.5), st.floats(0, 0.45), st.integers(1, 15))
def test_nobody_is_in_two_parts(owners: list[str], seed: int, test: float, validation: float, images: int) -> None:
    rows = samples(owners, images=images)
    made = tried(rows, Shares(test, validation), seed)
    if made is None:
        return
    assert all(len(parts) == 1 for parts in parts_of(made).values())
    assert sorted(sample.id for part in made.parts.values() for sample in part) == sorted(s.id for s in rows)
    where: dict[Path, str] = {}
    for part, found in made.parts.items():
        assert [s.id for s in found] == sorted((s.id for s in found), key=int)
        for sample in found:
            assert where.setdefault(sample.images[0], part) == part
    assert sum(made.owners.values()) == len(set(owners))


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES, st.integers(0, 5))
def test_patients_who_join_move_nobody(owners: list[str], more: list[str], seed: int) -> None:
    before, after = (tried(samples(names), Shares(0.2, 0.2), seed) for names in (owners, more + owners))
    if before is not None and after is not None:
        assert parts_of(before).items() <= parts_of(after).items()


@settings(max_examples=60, deadline=None)
@given(NAMES, st.integers(0, 5))
def test_a_larger_test_part_keeps_whom_it_had(owners: list[str], seed: int) -> None:
    small, large = ({o for o in owners if part_of(o, seed, Shares(t, 0.0)) == "test"} for t in (0.2, 0.5))
    assert small <= large


def test_shares_are_met_and_other_seeds_are_other_splits() -> None:
    rows = samples([f"p{n}" for n in range(4000)], images=4000)
    one, other = (split(rows, Shares(0.1, 0.2), seed) for seed in (1, 2))
    assert abs(one.owners["test"] - 400) < 70 and abs(one.owners["validation"] - 800) < 90
    test = {sample.id for sample in one.parts["test"]}
    assert len(test & {sample.id for sample in other.parts["test"]}) < len(test) / 4
    assert part_of("p1", 7, Shares(0.999, 0.0)) == "test"


def test_patients_who_share_a_file_are_kept_together_and_told(tmp_path: Path) -> None:
    for n in range(40):
        picture(tmp_path / f"{n}.png", n)
    for n in range(1, 20):  # each patient's image is also the next one's, under another name
        shutil.copy(tmp_path / f"{n - 1}.png", tmp_path / f"{n}-prior.png")
    rows = [row(str(n), f"{n}.png", *([f"{n}-prior.png"] if 0 < n < 20 else []), patient=f"P{n:02}") for n in range(40)]
    found = read_training(write_rows(tmp_path / "t.json", rows))
    made = split(found, Shares(0.3, 0.3), seed=3)
    assert made.linked == (tuple(f"P{n:02}" for n in range(20)),)
    parts = parts_of(made)
    assert len(set.union(*(parts[f"P{n:02}"] for n in range(20)))) == 1
    assert len(set.union(*parts.values())) == 3


def test_rows_without_a_patient_are_refused_unless_told_how(tmp_path: Path) -> None:
    for n in range(30):
        picture(tmp_path / f"{n}.png", n)
    rows = [row(str(n), f"{n // 2}.png") for n in range(60)]
    rows[7]["patient"] = "P"
    found = read_training(write_rows(tmp_path / "t.json", rows))
    with pytest.raises(DatasetError, match="59 of the 60 rows") as refused:
        split(found, Shares(0.3, 0.2))
    assert [number for number, _ in refused.value.rows] == [*range(1, 8), *range(9, 61)]
    by_image = split(found, Shares(0.3, 0.2), unnamed="image")
    for part in PARTS:
        ids = {int(sample.id) for sample in by_image.parts[part]}
        assert ids == {n ^ 1 for n in ids}  # the two rows of an image stay together
    (tmp_path / "renamed").mkdir()
    for n in range(30):
        shutil.move(tmp_path / f"{n}.png", tmp_path / "renamed" / f"{n}.png")
    again = split(read_training(tmp_path / "t.json", tmp_path / "renamed"), Shares(0.3, 0.2), unnamed="image")
    assert [s.id for s in again.parts["test"]] == [s.id for s in by_image.parts["test"]]
    by_id = split(found, Shares(0.3, 0.2), unnamed="id")
    assert {n % 2 for n in map(int, (s.id for s in by_id.parts["train"]))} == {0, 1}


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.6, 0.4), (1.0, 0.0), (0.0, 0.0), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        Shares(*shares)


def test_every_turn_becomes_a_question() -> None:
    sample = TrainingSample("a", (Path("a.png"),), (("<image>\nWhat?", "That."), ("And?", "This.")), About("P"), "open")
    assert [(q.id, q.text, q.reference, q.about, q.kind) for q in as_questions([sample])] == [
        ("a", "What?", "That.", About("P"), "open"),
        ("a#2", "And?", "This.", About("P"), "open"),
    ]


def test_the_command_writes_files_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(30):
        picture(tmp_path / "set/images" / f"{n}.png", n)
    rows = [row(str(n), f"images/{n}.png", patient=f"P{n}", study=f"S{n}", sex="F", age=40) for n in range(30)]
    file = write_rows(tmp_path / "set/all.json", rows)
    words = ["data", "split", str(file), "--test", "0.2", "--validation", "0.2", "--seed", "1"]
    assert cli.main([*words, "--output", str(tmp_path / "apart"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    train = read_training(tmp_path / "apart/train.json", tmp_path / "set")
    held_out = [
        read_questions(tmp_path / "apart" / f"{part}.jsonl", tmp_path / "set") for part in ("validation", "test")
    ]
    assert told["rows"] == {"train": len(train), "validation": len(held_out[0]), "test": len(held_out[1])}
    assert sum(told["rows"].values()) == 30 and min(told["rows"].values()) > 0
    for case in (*train, *held_out[0], *held_out[1]):
        assert case.images[0].is_file() and (case.about.sex, case.about.age) == ("F", 40.0)
    assert all(question.reference for question in held_out[1])
    manifest = json.loads((tmp_path / "apart/split.json").read_text())
    assert manifest["image_folder"] == str(tmp_path / "set") and manifest["source"]["name"] == "all.json"
    # Once more into the same folder: nothing is overwritten. Beside the images: nothing needs to be given.
    assert cli.main([*words, "--output", str(tmp_path / "apart")]) == 2
    assert cli.main([*words, "--output", str(tmp_path / "set"), "--images", str(tmp_path / "set")]) == 0
    assert all(sample.images[0].is_file() for sample in read_training(tmp_path / "set/train.json"))
    first, again = ((tmp_path / name / "train.json").read_text() for name in ("apart", "set"))
    assert first == again


def test_the_command_names_rows_without_a_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path / "t.json", [row("a", "a.png"), row("b", "b.png")])
    assert cli.main(["data", "split", str(file), "--output", str(tmp_path / "out")]) == 3
    words = capsys.readouterr().err
    assert "--by-image or --by-id" in words and "row 2: no patient" in words
    assert not (tmp_path / "out").exists()

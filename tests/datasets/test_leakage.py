"""Nobody is in two parts: by patient, by study, by image, by a copy saved anew, by nearly the same report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dataset_makers import picture, row, write_rows

from engine.datasets.leakage import refuse_shared_patients, shared_images, shared_patients, shared_studies
from engine.datasets.libra import TrainingSample, read_training
from engine.datasets.sameness import same_files, same_pixels
from engine.errors import DatasetError


def samples(folder: Path, name: str, rows: list[dict[str, object]]) -> list[TrainingSample]:
    return read_training(write_rows(folder / name, rows))


def test_a_patient_in_both_is_refused_with_every_row(tmp_path: Path) -> None:
    train = samples(tmp_path, "a.json", [row(f"a{n}", f"a{n}.png", patient=f"P{n % 3}") for n in range(6)])
    test = samples(tmp_path, "b.json", [row("b", "b.png", subject_id="P1"), row("c", "c.png", patient="P9")])
    with pytest.raises(DatasetError, match="2 rows are of patients") as refused:
        refuse_shared_patients(train, test)
    assert refused.value.rows == (
        (2, "its patient is held out as well (held-out row 1)"),
        (5, "its patient is held out as well (held-out row 1)"),
    )
    refuse_shared_patients(train, test[1:])


def test_an_image_in_both_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "other.png", 2)
    shutil.copy(tmp_path / "a.png", tmp_path / "again.png")
    train = samples(tmp_path, "a.json", [row("1", "other.png", patient="A"), row("2", "other.png", "a.png")])
    test = samples(tmp_path, "b.json", [row("3", "again.png", patient="B")])
    with pytest.raises(DatasetError, match="One row is") as refused:
        refuse_shared_patients(train, test)
    assert refused.value.rows == ((2, "its image is held out as well (held-out row 1)"),)


def test_rows_that_name_no_patient_share_none(tmp_path: Path) -> None:
    train = samples(tmp_path, "a.json", [row("1", "a.png"), row("2", "b.png", patient="A", study="1")])
    test = samples(tmp_path, "b.json", [row("3", "c.png"), row("4", "d.png", patient="B", study="1")])
    assert shared_patients(train, test) == []
    assert shared_studies(train, test) == []  # two patients' first studies are two studies
    refuse_shared_patients(train, test)


def test_files_are_told_apart_by_all_of_their_bytes(tmp_path: Path) -> None:
    long = bytes(200_000)
    for name, data in (
        ("a", long),
        ("b", long),
        ("late", long[:-1] + b"x"),
        ("early", b"x" + long[1:]),
        ("short", long[:-1]),
    ):
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in ("a", "early", "late", "b", "short", "gone")]
    same = same_files(paths)
    assert same == {path: path for path in paths} | {tmp_path / "b": tmp_path / "a"}
    assert same_files(paths, like={tmp_path / "b"}) == same
    assert same_files(paths, like={tmp_path / "late"}) == {path: path for path in paths}


def test_a_copy_saved_anew_is_the_same_picture(tmp_path: Path) -> None:
    one = picture(tmp_path / "one.png", 1)
    packed = picture(tmp_path / "packed.png", 1, compress_level=0)
    other = picture(tmp_path / "other.png", 2)
    same, seen = same_pixels([one, other, packed, tmp_path / "gone.png"])
    assert one.read_bytes() != packed.read_bytes()
    assert same == {one: one, other: other, packed: one, tmp_path / "gone.png": tmp_path / "gone.png"}
    assert seen[tmp_path / "gone.png"].fault == "missing"
    train, test = ([TrainingSample("x", (path,), (("<image>", "y"),))] for path in (one, packed))
    assert shared_images(train, test) == []

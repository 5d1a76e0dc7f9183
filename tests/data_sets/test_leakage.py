"""Nobody is in two parts: by patient, by study, by image, by a copy saved anew, by nearly the same report."""

from __future__ import annotations

import shutil
import string
from pathlib import Path

import numpy as np
import pytest
from dataset_makers import picture, row, write_rows

from engine.datasets import nearness
from engine.datasets.leakage import (
    compare,
    refuse_shared_patients,
    shared_images,
    shared_patients,
    shared_studies,
    shared_texts,
)
from engine.datasets.libra import About, TrainingSample, read_training
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


WORDS = "the heart is enlarged and there a small effusion on left lung clear no change since prior tube line".split()


def report(seed: int, length: int = 30) -> str:
    random = np.random.default_rng(seed)
    return " ".join(random.choice(WORDS, length))


def cases(*texts: str, patients: str = "") -> list[TrainingSample]:
    names = patients or string.ascii_uppercase
    return [
        TrainingSample(str(n), (Path(f"{names}-{n}.png"),), (("<image>", text),), About(patient=names[n]))
        for n, text in enumerate(texts)
    ]


def test_pairs_that_are_alike_are_those_of_comparing_each_with_each() -> None:
    """Against the plain way, over 250 texts of which many are alike."""
    texts = [" ".join([*report(seed, 40).split()[cut:], str(cut)]) for seed in range(50) for cut in range(5)]
    sets = [nearness.shingles(text) for text in texts]
    likeness = {(i, j): nearness.jaccard(sets[i], sets[j]) for i in range(len(texts)) for j in range(i + 1, len(texts))}
    found = {(i, j): alike for i, j, alike in nearness.near(texts)}
    assert found == {pair: alike for pair, alike in likeness.items() if alike >= nearness.THRESHOLD}
    assert len(found) > 300


def test_nearly_the_same_report_of_another_patient_is_told() -> None:
    text = report(1, 60)
    near = text.replace("heart", "cardiac silhouette", 1) + "."
    train = cases(report(2), text, report(3))
    test = cases(report(4), near, text, patients="XYB")
    found = shared_texts(train, test)
    assert [(each.first, each.second) for each in found.shared] == [((1,), (1,))]  # the third is of the same patient B
    assert 0.8 <= (found.shared[0].similarity or 0) < 1
    assert shared_texts(train, test, threshold=0.99).shared == ()


def test_common_wording_is_counted_not_told() -> None:
    stock = "The lungs are clear. No effusion or pneumothorax is seen. Normal heart."
    variants = [stock, stock.replace("The lungs", "Lungs"), stock.upper(), stock + " Stable."]
    train, test = cases(*variants, report(1)), cases(stock, report(1), "No change.", patients="XYZ")
    found = shared_texts(train, test)
    assert [(each.first, each.second, each.similarity) for each in found.shared] == [((4,), (1,), 1.0)]
    assert (found.common_first, found.common_second) == (4, 1)
    assert shared_texts(cases("No change."), cases("No change.", patients="X")).shared == ()


def test_everything_that_two_files_share(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        picture(tmp_path / f"{name}.png", seed)
    shutil.copy(tmp_path / "a.png", tmp_path / "a2.png")
    picture(tmp_path / "b2.png", 2, compress_level=0)
    train = samples(
        tmp_path,
        "a.json",
        [row("1", "a.png", patient="A"), row("2", "b.png", patient="B"), row("3", "c.png", patient="C", study="s")],
    )
    test = samples(
        tmp_path,
        "b.json",
        [row("4", "a2.png", patient="X"), row("5", "b2.png", patient="Y"), row("6", "d.png", patient="C", study="s")],
    )
    leak = compare(train, test)
    assert [(each.kind, each.first, each.second) for each in leak.shared] == [
        ("patient", (2,), (2,)),
        ("study", (2,), (2,)),
        ("image", (0,), (0,)),
        ("pixels", (1,), (1,)),
    ]
    assert leak.people and (leak.common_first, leak.common_second) == (3, 3)
    assert not any(each.kind == "pixels" for each in compare(train, test, pixels=False).shared)
    assert not compare(train[:1], test[2:]).people

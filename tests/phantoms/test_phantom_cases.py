"""Cases: the same seed gives the same case, and the truth keeps the laws it is documented with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.phantoms import SITE_A, SITE_B, Case, sample_case, transform_between
from engine.datasets.phantoms.model import BANDS, DEVICES, FINDINGS, SAME_SIZE, VISIBLE_STEP, band_of
from engine.datasets.phantoms.thorax import Grid
from engine.errors import UsageError

SEEDS = range(400)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [sample_case(seed) for seed in SEEDS]


def test_a_seed_gives_the_same_case_again() -> None:
    assert sample_case(17) == sample_case(17)
    assert sample_case(17, site=SITE_B) != sample_case(17)
    assert sample_case(17, split="test") != sample_case(17)


def test_no_patient_is_in_two_sets() -> None:
    ids = [
        sample_case(seed, site=site, split=split).person.id
        for seed in range(30)
        for site in (SITE_A, SITE_B)
        for split in ("train", "test")
    ]
    assert len(set(ids)) == len(ids)
    bodies = {sample_case(seed, split=split).current.anatomy for seed in range(30) for split in ("train", "test")}
    assert len(bodies) == 60


@pytest.mark.parametrize(("seed", "split"), [(-1, "train"), (0, "validation")])
def test_what_cannot_be_drawn_is_refused_in_words(seed: int, split: str) -> None:
    with pytest.raises(UsageError):
        sample_case(seed, split=split)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), split=st.sampled_from(["train", "test"]), site=st.sampled_from([SITE_A, SITE_B]))
def test_truth_agrees_with_the_films(seed: int, split: str, site: object) -> None:
    case = sample_case(seed, split=split, site=SITE_A if site is SITE_A else SITE_B)
    by_name = {entry.finding: entry for entry in case.truth}
    assert len(by_name) == len(case.truth)
    assert {lesion.finding for lesion in case.current.lesions} == {e.finding for e in case.truth if e.present}
    before = {lesion.finding for lesion in case.prior.lesions} if case.prior else set()
    assert before == {entry.finding for entry in case.truth if entry.prior_size}
    for lesion in case.current.lesions:
        assert by_name[lesion.finding].size == lesion.size
        assert by_name[lesion.finding].side == lesion.side
        if case.prior is not None and (earlier := case.prior.lesion(lesion.finding)):
            assert replace(earlier, size=lesion.size) == lesion, "the same lesion has the same shape in both films"
    if case.prior is not None and case.prior_time is not None:
        assert case.prior.anatomy == case.current.anatomy
        assert case.prior_time.date() < case.current_time.date()
    else:
        assert case.prior is None and case.prior_time is None and case.transform is None


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_every_change_is_as_large_as_its_word(seed: int) -> None:
    case = sample_case(seed)
    for entry in case.truth:
        before = entry.prior_size
        assert entry.band == (band_of(entry.size) if entry.size else "")
        if before is None:
            assert entry.change == "not compared" and case.prior is None and entry.present
        elif entry.change == "new":
            assert before == 0 and entry.size > 0 and entry.prior_side == ""
        elif entry.change == "resolved":
            assert before > 0 and entry.size == 0
        elif entry.change == "worse":
            assert entry.size - before >= VISIBLE_STEP and before > 0
        elif entry.change == "improved":
            assert before - entry.size >= VISIBLE_STEP and entry.size > 0
        else:
            assert entry.change == "unchanged" and abs(entry.size - before) <= SAME_SIZE


def test_every_finding_band_and_change_is_common(cases: list[Case]) -> None:
    present = Counter(entry.finding for case in cases for entry in case.truth if entry.present)
    for finding, rate in zip(FINDINGS + DEVICES, SITE_A.rates, strict=True):
        assert abs(present[finding] / len(cases) - rate) < 0.09, finding
    bands = Counter(e.band for case in cases for e in case.truth if e.present and e.finding in FINDINGS)
    assert min(bands[band] for band in BANDS) > 0.2 * bands.total()
    changes = Counter(e.change for case in cases for e in case.truth if e.finding in FINDINGS)
    assert min(changes.values()) > 0.08 * changes.total()
    assert 0.68 < np.mean([case.prior is not None for case in cases]) < 0.82


def test_the_test_split_leaves_the_ranges_of_training() -> None:
    def spread(split: str) -> tuple[float, float]:
        films = [sample_case(seed, split=split).current for seed in SEEDS]
        return max(abs(f.pose.rotation) for f in films), max(abs(f.anatomy.habitus - 1) for f in films)

    rotation, habitus = spread("train")
    wider_rotation, wider_habitus = spread("test")
    assert wider_rotation > 1.15 * rotation and wider_habitus > 1.15 * habitus


def test_the_transform_carries_bones_of_one_film_onto_the_other(cases: list[Case]) -> None:
    landmarks = np.array([(0.13, -0.80), (-0.13, -0.80), (0.0, -0.3), (0.9, 0.2), (-0.9, 0.5), (0.0, 0.9)])
    for case in [case for case in cases if case.prior][:20]:
        assert case.prior is not None and case.transform is not None
        places = []
        for film in (case.current, case.prior):
            grid = Grid(film, 200)
            places.append(grid.pixels(landmarks) / [grid.columns, grid.rows])
        matrix = np.array(case.transform)
        assert np.allclose(places[0] @ matrix[:, :2].T + matrix[:, 2], places[1], atol=1e-3)
        back = np.array(transform_between(case.prior, case.current))
        both = np.vstack([matrix, [0, 0, 1]]) @ np.vstack([back, [0, 0, 1]])
        assert np.allclose(both, np.eye(3), atol=1e-9)

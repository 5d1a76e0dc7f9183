"""Intervals and tests: against scipy where it has them, and against what must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.evaluation.statistics import Measure, Patients, f1, holm, mean, nanmean, share


def test_the_interval_of_a_mean_is_the_bootstrap_of_patients() -> None:
    values = np.random.default_rng(3).normal(0.6, 0.2, 300)
    score = Patients([str(i) for i in range(300)]).score(mean(values.tolist(), 1.0))
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert score.value == pytest.approx(values.mean())
    assert score.low == pytest.approx(expected.low, abs=0.004)
    assert score.high == pytest.approx(expected.high, abs=0.004)


def test_studies_of_one_patient_are_drawn_together() -> None:
    values = np.random.default_rng(1).normal(0, 1, 40)
    apart = Patients([str(i) for i in range(400)]).score(mean(np.repeat(values, 10).tolist()))
    together = Patients([str(i // 10) for i in range(400)]).score(mean(np.repeat(values, 10).tolist()))
    assert apart.low is not None and apart.high is not None and together.low is not None and together.high is not None
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_equal_systems_do_not_differ_and_clear_ones_do() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(0.5, 0.1, 80)
    patients = Patients([str(i) for i in range(80)])
    same, better = mean((base + generator.normal(0, 0.05, 80)).tolist()), mean((base + 0.1).tolist())
    found = patients.compare({"a": mean(base.tolist())}, {"a": same})["a"]
    assert found.low < 0 < found.high and found.p > 0.05
    found = patients.compare({"a": mean(base.tolist())}, {"a": better})["a"]
    assert found.value == pytest.approx(10) and found.low > 0 and found.p < 0.01


def test_sign_flip_agrees_with_scipy() -> None:
    generator = np.random.default_rng(5)
    a = generator.normal(0.5, 0.2, 30)
    b = a + generator.normal(0.05, 0.12, 30)
    found = Patients([str(i) for i in range(30)]).compare({"m": mean(a.tolist())}, {"m": mean(b.tolist())})["m"]
    expected = stats.permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(0)
    ).pvalue
    assert found.p == pytest.approx(expected, abs=0.02)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_never_helps(values: list[float]) -> None:
    corrected = holm(values)
    assert all(c >= v or c == pytest.approx(v) for c, v in zip(corrected, values, strict=True))
    assert sorted(range(len(values)), key=lambda i: values[i]) == sorted(
        range(len(values)), key=lambda i: (corrected[i], values[i])
    )


def test_undefined_scores_are_absent_not_zero() -> None:
    patients = Patients(["a", "b"])
    score = patients.score(mean([None, None]))
    assert score.value is None and score.note
    assert np.isnan(f1(np.zeros((2, 3)))).all()
    assert nanmean(np.array([np.nan, 0.5])) == 0.5
    single = Patients(["a", "a"]).score(mean([0.0, 1.0]))
    assert (single.value, single.low) == (50.0, None)


def test_a_corpus_score_is_resampled_through_its_sums() -> None:
    rows = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    score = Patients(list("abcd")).score(Measure(rows, f1, np.ones(4, bool)))
    assert score.value == pytest.approx(2 / 3)
    assert score.low is not None and score.high is not None
    assert score.low < 2 / 3 < score.high == 1.0


def test_only_what_is_said_to_be_a_share_gets_the_bound_of_a_share() -> None:
    """All ten the same: a share leaves 1 - 0.025^(1/10) open (Clopper and Pearson), a mean says nothing."""
    patients = Patients([str(i) for i in range(10)])
    scores = patients.scores({"mean": mean([1.0] * 10), "none": share([False] * 10), "all": share([True] * 10)})
    exact = stats.binomtest(10, 10).proportion_ci(method="exact").low * 100
    assert (scores["all"].low, scores["all"].high) == (pytest.approx(exact), 100)
    assert (scores["none"].low, scores["none"].high) == (0, pytest.approx(100 - exact))
    assert (scores["mean"].value, scores["mean"].low) == (100, None) and "no interval" in scores["mean"].note


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=9))
def test_a_share_is_the_mean_of_yes_and_no(rows: list[bool | None]) -> None:
    counted = [row for row in rows if row is not None]
    score = Patients([str(i) for i in range(len(rows))]).score(share(rows), intervals=False)
    assert score.studies == len(counted)
    assert score.value == (pytest.approx(100 * sum(counted) / len(counted)) if counted else None)

"""A judge's rates: the published table from its counts, both denominators, and agreement with people."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.errors import DatasetError
from engine.evaluation.agreement import kappa, mcnemar, sign_test
from engine.evaluation.judge.human import ENOUGH, Calibration, calibrate, read_grades
from engine.evaluation.judge.summary import KEYS, measures, summarise
from engine.evaluation.judge.verdict import RULINGS, Invalid, Ruling, Verdict
from engine.evaluation.published import published
from engine.evaluation.statistics import Patients, mean

INVALID = Invalid("it is empty")
TOTAL = 451
COUNTS = {"pretrained": (217, 179, 30), "finetuned": (191, 195, 21)}
"""Correct, incorrect and neutral of the published table, one of the whole solutions of its rounded rates."""

PUBLISHED = {"pretrained": (0.51, 0.42, 0.07, 0.06, 4.89), "finetuned": (0.47, 0.48, 0.05, 0.10, 4.76)}
"""Rates of correct, incorrect and neutral, of invalid replies, and the confidence."""


def outcomes(counts: tuple[int, ...], confidence: float = 5.0, total: int = TOTAL) -> list[Verdict | Invalid]:
    """So many of each ruling, the rest invalid; confidences of 5 and 4 with about this mean."""
    valid = sum(counts)
    fours = round(valid * (5 - confidence))
    given_ = iter([4] * fours + [5] * (valid - fours))
    found: list[Verdict | Invalid] = [
        Verdict(ruling, False, next(given_), "")
        for ruling, count in zip(RULINGS, counts, strict=True)
        for _ in range(count)
    ]
    return found + [INVALID] * (total - valid)


@pytest.mark.parametrize("name", COUNTS)
def test_the_published_table_comes_from_its_counts(name: str) -> None:
    rates = PUBLISHED[name]
    found = summarise(outcomes(COUNTS[name], rates[-1]))
    shown = found.correct_rate, found.incorrect_rate, found.neutral_rate, found.invalid_format_rate
    assert [round(rate or 0, 2) for rate in (*shown, found.average_confidence)] == list(rates)
    assert (found.total_responses, found.valid_responses) == (TOTAL, sum(COUNTS[name]))
    assert (found.contradiction_rate, found.confidence_completeness) == (0, 1)
    of_valid = sum(rate or 0 for rate in shown[:3])
    assert of_valid == pytest.approx(1) and round(of_valid + (shown[3] or 0), 2) == {"pretrained": 1.06}.get(name, 1.1)
    table = next(table for table in published().of("vqa") if "VQA-RAD" in table.title)
    row = table.rows[list(COUNTS).index(name)]
    assert [float(cell) for cell in row[1:]] == list(rates)


@pytest.mark.parametrize(("name", "solutions"), [("pretrained", 14), ("finetuned", 12)])
def test_the_published_rates_are_over_valid_replies_and_cannot_be_over_all(name: str, solutions: int) -> None:
    valid = sum(COUNTS[name])
    found = {"valid": 0, "total": 0}
    for whole in (valid, TOTAL):
        for correct, incorrect in itertools.product(range(valid + 1), repeat=2):
            counts = (correct, incorrect, valid - correct - incorrect)
            # cheaper than 200 000 summaries, and the same division
            if counts[2] >= 0 and [round(count / whole, 2) for count in counts] == list(PUBLISHED[name][:3]):
                found["valid" if whole == valid else "total"] += 1
                summary = summarise(outcomes(counts))
                shown = summary.correct_rate, summary.incorrect_rate, summary.neutral_rate
                assert [round(rate or 0, 2) for rate in shown] == list(PUBLISHED[name][:3])
    assert found == {"valid": solutions, "total": 0}


def test_the_published_difference_is_no_more_than_chance_explains() -> None:
    """Over all answers it is another figure than over the valid ones, and neither shows that tuning made it worse."""
    before, after = (summarise(outcomes(counts)) for counts in COUNTS.values())
    assert (round(before.correct_rate_total or 0, 2), round(after.correct_rate_total or 0, 2)) == (0.48, 0.42)

    def p(first: tuple[int, int], second: tuple[int, int]) -> float:
        table = [[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]]
        return float(stats.chi2_contingency(table, correction=False).pvalue)

    assert p((217, 426), (191, 407)) == pytest.approx(0.25, abs=0.01)
    assert p((217, TOTAL), (191, TOTAL)) == pytest.approx(0.08, abs=0.01)
    assert p((25, TOTAL), (44, TOTAL)) == pytest.approx(0.017, abs=0.001)


OUTCOMES = st.lists(
    st.just(INVALID)
    | st.builds(Verdict, st.sampled_from(RULINGS), st.booleans(), st.none() | st.integers(1, 5), st.just("")),
    max_size=30,
)


@settings(deadline=None)
@given(OUTCOMES)
def test_the_score_sheet_says_what_the_table_says(said: list[Verdict | Invalid]) -> None:
    table = summarise(said).plain()
    scores = (
        Patients([str(number) for number in range(len(said))]).scores(measures(said), intervals=False) if said else {}
    )
    for key, name in KEYS.items():
        value, scale = table[name], 1 if name == "average_confidence" else 100
        if value is None:
            assert key not in scores
        else:
            assert scores[key].value == pytest.approx(scale * value, abs=1e-3)


@settings(deadline=None)
@given(OUTCOMES)
def test_rates_add_up(said: list[Verdict | Invalid]) -> None:
    table = summarise(said)
    if table.valid_responses:
        of_valid = (table.correct_rate, table.incorrect_rate, table.neutral_rate)
        assert sum(rate or 0 for rate in of_valid) == pytest.approx(1)
    if said:
        of_all = (
            table.correct_rate_total,
            table.incorrect_rate_total,
            table.neutral_rate_total,
            table.invalid_format_rate,
        )
        assert sum(rate or 0 for rate in of_all) == pytest.approx(1)
    else:
        assert table.correct_rate is None and table.invalid_format_rate is None


def test_answers_that_were_not_judged_count_nowhere() -> None:
    found = measures([None, INVALID, Verdict("correct", False, None, ""), None])
    assert found["judge_correct_rate"].support.tolist() == [False, False, True, False]
    assert found["judge_correct_rate_total"].support.tolist() == [False, True, True, False]
    assert "judge_average_confidence" not in found


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert sign_test(first, second) == pytest.approx(expected)


def test_mcnemar_counts_what_both_have() -> None:
    found = mcnemar(mean([1.0, 1.0, 0.0, 0.0, None, 1.0]), mean([1.0, 0.0, 1.0, 0.0, 1.0, None]))
    assert (found.first, found.second, found.items, found.p) == (1, 1, 4, 1.0)
    assert sign_test(0, 6000) < 1e-300


def test_kappa() -> None:
    assert kappa("aabb", "aabb") == 1
    assert kappa("aabb", "abab") == 0
    assert kappa("aabb", "bbaa") == -1
    # 20 and 15 agreed of 50, as in a textbook's table of two readers: 0.4
    one = ["yes"] * 25 + ["no"] * 25
    two = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(one, two) == pytest.approx(0.4)
    assert kappa("aaa", "aaa") is None and kappa([], []) is None


GRADED = 120


def people_and_judge(wrong: int) -> tuple[dict[tuple[str, str], Ruling], dict[str, dict[str, Verdict | Invalid]]]:
    """People's grades of so many answers, and a judge who is wrong in the first ``wrong``; five replies are invalid."""
    grades: dict[tuple[str, str], Ruling] = {("m", f"q{n}"): RULINGS[n % 3] for n in range(GRADED)}
    said: dict[str, Verdict | Invalid] = {
        f"q{n}": Verdict(RULINGS[(n + (n < wrong)) % 3], False, 5, "") for n in range(GRADED)
    }
    return grades, {"m": said | {f"q{n}": INVALID for n in range(GRADED - 5, GRADED)}}


def test_a_judge_who_grades_as_people_do_may_be_quoted_and_another_may_not() -> None:
    owners = {f"q{n}": f"p{n // 2}" for n in range(GRADED)}
    good = calibrate(*people_and_judge(10), owners)
    assert good.kappa is not None and good.kappa > 0.8 and good.enough and good.low is not None
    assert (good.graded, good.compared, good.invalid) == (120, 115, 5)
    assert "kappa 0.8" in good.sentence and "no headline" not in good.sentence and "5 replies" in good.sentence
    poor = calibrate(*people_and_judge(70), owners)
    assert poor.kappa is not None and poor.kappa < ENOUGH and not poor.enough
    assert "DOES NOT GRADE AS PEOPLE DO" in poor.sentence and "no headline" in poor.sentence
    grades, said = people_and_judge(0)
    few = calibrate(dict(list(grades.items())[:30]), said, owners)
    assert few.kappa == 1 and "Fewer than 100" in few.sentence
    alike = calibrate({("m", "q0"): "correct"}, said, owners)
    assert alike.kappa is None and not alike.enough and "cannot be compared" in alike.sentence


def test_the_interval_of_kappa_is_over_patients() -> None:
    grades, said = people_and_judge(30)
    apart = calibrate(grades, said, {f"q{n}": f"p{n}" for n in range(GRADED)})
    together = calibrate(grades, said, {f"q{n}": f"p{n // 10}" for n in range(GRADED)})
    assert apart.low is not None and apart.high is not None and together.low is not None and together.high is not None
    assert apart.low < (apart.kappa or np.nan) < apart.high
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_grades_are_read_from_either_form(tmp_path: Path) -> None:
    rows = [
        {"question_id": "q1", "model": "a", "verdict": "correct"},
        {"question_id": 2, "model": "b", "verdict": "Neutral"},
    ]
    file = tmp_path / "grades.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = {("a", "q1"): "correct", ("b", "2"): "neutral"}
    assert read_grades(file, ["a", "b"]) == expected
    table = tmp_path / "grades.csv"
    table.write_text("\ufeffquestion_id,model,verdict,note\nq1,a,correct,\n2,b,Neutral,hedged\n")
    assert read_grades(table, ["a", "b"]) == expected
    table.write_text("question_id,verdict\nq1,incorrect\n")
    assert read_grades(table, ["a"]) == {("a", "q1"): "incorrect"}


def test_what_is_no_grade_is_told_row_by_row(tmp_path: Path) -> None:
    file = tmp_path / "grades.jsonl"
    good = {"question_id": "q1", "model": "a", "verdict": "correct"}
    bad = [good, good, good | {"model": "c"}, good | {"verdict": "good"}, {"model": "a"}, [1], "x"]
    file.write_text("".join(json.dumps(row) + "\n" for row in bad) + "{\n")
    with pytest.raises(DatasetError) as caught:
        read_grades(file, ["a", "b"])
    assert [row for row, _ in caught.value.rows] == [2, 3, 4, 5, 6, 7, 8]
    assert "before" in caught.value.rows[0][1] and "a, b" in caught.value.rows[1][1]
    file.write_text("\n")
    with pytest.raises(DatasetError, match="no grades"):
        read_grades(file, ["a"])
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match="UTF-8"):
        read_grades(file, ["a"])


def test_a_kappa_just_below_what_is_enough_is_not_rounded_up_to_it() -> None:
    said = Calibration(100, 100, 0, 0.8, ENOUGH - 0.001, 0.4, 0.7).sentence
    assert "kappa 0.5990 (" in said and "below 0.6" in said
    assert "kappa 0.60 (" in Calibration(100, 100, 0, 0.8, ENOUGH, 0.4, 0.7).sentence

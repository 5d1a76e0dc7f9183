"""Scores of parts of the studies: the figures those studies have alone, and what is too little for an interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.libra import About, Answer, Reference
from engine.evaluation.scoring import Evaluation
from engine.evaluation.statistics import Patients, mean, share
from engine.evaluation.subgroups import AGES, NOT_STATED, Study, age_band, parts

COUNT = 40
TEXTS = ("Left pleural effusion.", "No acute process.", "Stable cardiomegaly.", "New right pneumothorax.")


def about(number: int) -> About:
    return About(
        patient=f"p{number // 2}",
        view="PA" if number % 3 else "AP",
        sex="" if number == 5 else "MF"[number // 2 % 2],
        age=None if number == 6 else number * 2.5,
    )


REFERENCES = {f"s{n}": Reference(TEXTS[n % 4], about(n), has_prior=n % 4 > 1) for n in range(COUNT)}
ANSWERS = {name: Answer(name, "", TEXTS[n * 7 // 3 % 4], "", "") for n, name in enumerate(REFERENCES)}
STUDIES = {name: Study(one.about, one.has_prior) for name, one in REFERENCES.items()}


def test_a_part_has_the_scores_of_its_studies_alone() -> None:
    tally = Evaluation(REFERENCES, {}).tally(ANSWERS)
    found = parts(tally, STUDIES, ("BLEU4", "finding_f1_micro", "missed_comparison_rate"))
    assert [(part.division, part.name) for part in found] == [
        ("sex", "female"), ("sex", "male"), ("sex", NOT_STATED),
        ("age", "under 18"), ("age", "18 to 39"), ("age", "40 to 64"), ("age", "65 to 79"), ("age", "80 and over"),
        ("age", NOT_STATED),
        ("view", "AP"), ("view", "PA"), ("prior", "with a prior"), ("prior", "without a prior"),
    ]  # fmt: skip
    women = {name for name, study in STUDIES.items() if study.about.sex == "F"}
    alone = Evaluation({name: REFERENCES[name] for name in women}, {}).score(ANSWERS).scores
    part = next(part for part in found if part.name == "female")
    assert (part.studies, part.patients) == (len(women), len({REFERENCES[name].about.patient for name in women}))
    for key, score in part.scores.items():
        assert score.value == alone[key].value and score.studies == alone[key].studies
    for division in ("sex", "age", "view", "prior"):
        assert sum(part.studies for part in found if part.division == division) == COUNT


def test_few_patients_have_no_interval() -> None:
    found = parts(Evaluation(REFERENCES, {}).tally(ANSWERS), STUDIES, ("BLEU1",))
    few = next(part for part in found if part.name == "under 18")
    many = next(part for part in found if part.name == "PA")
    assert few.patients < 10 and few.scores["BLEU1"].low is None
    assert "fewer than 10" in few.scores["BLEU1"].note
    assert many.patients >= 10 and many.scores["BLEU1"].low is not None


def test_what_nothing_is_known_of_is_left_out() -> None:
    unknown = {name: Study(About(patient=one.about.patient), None) for name, one in REFERENCES.items()}
    assert parts(Evaluation(REFERENCES, {}).tally(ANSWERS), unknown, ("ROUGE-L",)) == []


@given(st.floats(0, 130))
def test_every_age_has_one_band(years: float) -> None:
    band = age_band(years)
    assert band != NOT_STATED
    ends = [0.0, *map(float, AGES), 1000.0]
    (inside,) = [n for n in range(len(ends) - 1) if ends[n] <= years < ends[n + 1]]
    assert str(AGES[inside] if inside < len(AGES) else AGES[-1]) in band or str(AGES[inside - 1]) in band
    assert age_band(None) == NOT_STATED


def test_a_share_of_none_or_all_has_the_bound_that_its_patients_leave_open() -> None:
    patients = Patients([str(number) for number in range(90)])
    none = patients.score(share([0.0] * 90))
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(100 * (1 - 0.025 ** (1 / 90)))  # Clopper and Pearson: 4.02 %
    assert none.high == pytest.approx(4.016, abs=0.01)
    everyone = patients.score(share([1.0] * 90))
    assert everyone.high == 100 and everyone.low == pytest.approx(100 - none.high)
    repeated = Patients([str(number // 9) for number in range(90)]).score(share([0.0] * 90))
    assert repeated.high is not None and none.high is not None and repeated.high > 3 * none.high
    same = patients.score(mean([0.5] * 90))
    assert (same.low, same.high) == (None, None) and "no interval" in same.note

"""Single cases: what each got wrong, the worst first, and a word diff that is both texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from five_studies import REFERENCES
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.libra import Answer, read_references
from engine.errors import DatasetError
from engine.evaluation.cases import Case, Fault, Slip, cases, chosen, read_cases, word_diff, worst_first
from engine.evaluation.scoring import Evaluation
from engine.evaluation.truth import read_truth

SAID = {
    "s1": "The right pleural effusion has decreased. Small nodule.",
    "s2": "No pleural effusion.",
    "s3": "Large right nodule, unchanged.",
    "s4": "Small pleural effusion, new.",
    "s5": "Moderate cardiomegaly.",
}


@pytest.fixture
def found(truth_file: Path, reference_file: Path) -> list[Case]:
    references = read_references(reference_file)
    evaluation = Evaluation(references, read_truth(truth_file))
    answers = {name: Answer(name, "", text, "", "") for name, text in SAID.items()}
    return list(cases(evaluation, "model", answers, references, evaluation.tally(answers)))


def slips(found: list[Case], name: str) -> set[Slip]:
    return set(next(case for case in found if case.id == name).slips)


def test_faults_are_told_one_by_one(found: list[Case]) -> None:
    assert slips(found, "s1") == {
        Slip(Fault.SIDE, "pleural effusion", "left", "right"),
        Slip(Fault.WRONG_CHANGE, "pleural effusion", "worse", "improved"),
        Slip(Fault.INVENTED, "nodule", "absent", "present"),
    }
    assert slips(found, "s2") == {
        Slip(Fault.MISSED, "pleural effusion", "present", "absent"),
        Slip(Fault.MISSED_CHANGE, "nodule", "resolved", "not compared"),
        Slip(Fault.NOT_COMPARED, ""),
    }
    assert slips(found, "s3") == {Slip(Fault.NO_PRIOR, "")}
    assert slips(found, "s4") == {
        Slip(Fault.INVENTED, "pleural effusion", "absent", "present"), Slip(Fault.NO_PRIOR, ""),
    }  # fmt: skip
    assert slips(found, "s5") == {
        Slip(Fault.MISSED_CHANGE, "cardiomegaly", "unchanged", "not compared"), Slip(Fault.NOT_COMPARED, ""),
    }  # fmt: skip


def test_a_perfect_answer_has_no_fault(truth_file: Path, reference_file: Path) -> None:
    references = read_references(reference_file)
    evaluation = Evaluation(references, read_truth(truth_file))
    answers = {name: Answer(name, "", text, "", "") for name, text in REFERENCES.items()}
    found = list(cases(evaluation, "model", answers, references, evaluation.tally(answers)))
    assert [case.slips for case in found] == [()] * 5
    assert all(case.scores["ROUGE-L"] == 100 and {tag for tag, *_ in case.diff} == {"equal"} for case in found)


def test_scores_are_those_of_the_study_alone(found: list[Case]) -> None:
    case = next(case for case in found if case.id == "s1")
    assert case.scores["finding_f1_micro"] == pytest.approx(100 * 2 / 3, abs=0.01)
    assert case.scores["Temporal_entity_score"] == pytest.approx(0, abs=0.01)
    assert "finding_f1_micro" in next(case for case in found if case.id == "s4").scores


def test_the_worst_come_first_and_can_be_chosen(found: list[Case]) -> None:
    ordered = worst_first(found)
    assert [case.id for case in ordered][:2] == ["s2", "s4"]  # nothing right, three faults and two
    values = [case.scores["finding_f1_micro"] for case in ordered if "finding_f1_micro" in case.scores]
    assert values == sorted(values)
    assert [case.id for case in chosen(found, faults=[Fault.INVENTED])] == ["s1", "s4"]
    assert [case.id for case in chosen(found, faults=[Fault.INVENTED], finding="nodule")] == ["s1"]
    assert [case.id for case in chosen(found, finding="cardiomegaly")] == ["s5"]
    assert chosen(found) == found and chosen(found, systems=["other"]) == []


def test_cases_are_read_back_as_they_were_written(found: list[Case], tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(case.to_line() for case in found), encoding="utf-8")
    assert read_cases(file) == found
    file.write_text(file.read_text() + '{"id": "x"}\n')
    with pytest.raises(DatasetError) as caught:
        read_cases(file)
    assert [number for number, _ in caught.value.rows] == [6]


texts = st.lists(
    st.sampled_from("No no effusion effusion, left Left \n new\u2028 stable. ß".split(" ")), max_size=9
).map(" ".join)


@given(texts, texts)
def test_a_word_diff_is_both_texts(reference: str, prediction: str) -> None:
    diff = word_diff(reference, prediction)
    assert " ".join(a for _, a, _ in diff if a).split() == reference.split()
    assert " ".join(b for _, _, b in diff if b).split() == prediction.split()
    for tag, a, b in diff:
        bare = [[word.lower().rstrip(".,") for word in text.split()] for text in (a, b)]
        assert (tag == "equal") == (bare[0] == bare[1])
        assert bool(a) == (tag != "insert") and bool(b) == (tag != "delete")

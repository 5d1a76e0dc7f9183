"""Scores: the published recipes to 1e-4, and the figures of meaning counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from five_studies import REFERENCES, write_answers

from engine.datasets.libra import Answer, Reference, read_answers, read_references
from engine.errors import DatasetError, InputError
from engine.evaluation import wording
from engine.evaluation.keys import LIBRA_KEYS
from engine.evaluation.scoring import Evaluation, ScoreSheet
from engine.evaluation.statistics import Patients
from engine.evaluation.truth import read_text, read_truth
from engine.reports.findings import Change, Finding


def answers(texts: dict[str, str], **metadata: object) -> dict[str, Answer]:
    return {name: Answer(name, "", text, "", "", metadata) for name, text in texts.items()}


def test_words_agree_with_the_original_implementations(shared: Path) -> None:
    golden = json.loads((shared / "reference" / "metrics_golden.json").read_text())
    pairs = [(pair["reference"], pair["prediction"]) for pair in golden["pairs"]]
    names = ("BLEU1", "BLEU2", "BLEU3", "BLEU4", "ROUGE-L", "Temporal_entity_score")
    everyone = Patients([str(index) for index in range(len(pairs))])
    measures = wording.measures(*zip(*pairs, strict=True))
    for name in names:
        assert everyone.score(measures[name], intervals=False).value == pytest.approx(golden["corpus"][name], abs=1e-4)
    for (reference, prediction), expected in zip(pairs, golden["each"], strict=True):
        single = wording.measures([reference], [prediction])
        for name in names:
            value = Patients(["x"]).score(single[name], intervals=False).value
            assert value == pytest.approx(expected[name], abs=1e-4)


def test_bleu_of_nothing_is_zero_and_of_itself_a_hundred() -> None:
    def bleu(reference: str, prediction: str) -> float | None:
        return Patients(["x"]).score(wording.measures([reference], [prediction])["BLEU4"], intervals=False).value

    assert bleu("No effusion is seen here.", "") == 0
    assert bleu("No effusion is seen here.", "No effusion is seen here.") == pytest.approx(100)


@pytest.fixture
def perfect(truth_file: Path, reference_file: Path) -> ScoreSheet:
    return Evaluation(read_references(reference_file), read_truth(truth_file)).score(answers(REFERENCES))


def test_perfect_answers(perfect: ScoreSheet) -> None:
    values = {name: score.value for name, score in perfect.scores.items()}
    for name in ("BLEU4", "ROUGE-L", "finding_f1_micro", "finding_f1_macro", "progression_accuracy", "side_accuracy"):
        assert values[name] == pytest.approx(100), name
    for name in ("prior_hallucination_rate", "missed_comparison_rate", "laterality_conflict_rate", "duplicate_rate"):
        assert values[name] == 0, name
    assert values["length_ratio"] == 1
    assert (perfect.studies, perfect.patients) == (5, 4)


def test_libras_keys_come_first_and_what_is_missing_says_why(perfect: ScoreSheet) -> None:
    assert tuple(perfect.scores)[:8] == LIBRA_KEYS
    assert perfect.scores["Bert_score"].value is None
    assert perfect.scores["Bert_score"].note.startswith("n/a, because")


def test_faults_are_counted_by_hand(truth_file: Path) -> None:
    said = {
        "s1": "The right pleural effusion has decreased.",  # wrong side, wrong change
        "s2": "No pleural effusion. The nodule has resolved.",  # subtle effusion missed; nodule right
        "s3": "Large right nodule, unchanged.",  # comparison without a prior
        "s4": "Small nodule. Small nodule.",  # false alarm, said twice
        "s5": "Moderate cardiomegaly.",  # comparison missed
    }
    scores = Evaluation({}, read_truth(truth_file)).score(answers(said)).scores

    def value(name: str) -> float:
        found = scores[name].value
        assert found is not None
        return found

    assert value("finding_f1[pleural effusion]") == pytest.approx(100 * 2 / 3)  # one found, one missed
    assert value("finding_f1[nodule]") == pytest.approx(100 * 2 / 3)  # one found, one false alarm
    assert value("finding_f1[cardiomegaly]") == 100
    assert value("finding_f1_micro") == pytest.approx(100 * 6 / 8)
    assert value("finding_f1_macro") == pytest.approx(100 * (2 / 3 + 2 / 3 + 1) / 3)
    assert value("finding_recall[subtle]") == 0
    assert value("finding_recall[moderate]") == 100
    assert value("finding_recall[plain]") == 100
    assert value("finding_f1[plain]") == pytest.approx(100 * 2 / (2 + 0.25))  # a quarter of the one false alarm
    assert value("laterality_conflict_rate") == 50  # s1 of s1 and s3
    assert value("side_accuracy") == 50
    assert value("progression_accuracy") == pytest.approx(100 / 3)  # s1 wrong, nodule of s2 right, s5 not said
    assert value("progression_recall") == pytest.approx(100 / 4)  # and the missed effusion of s2
    assert value("progression_accuracy[resolved]") == 100
    assert value("progression_accuracy[worse]") == 0
    assert value("prior_hallucination_rate") == 50  # s3 of s3 and s4
    assert value("missed_comparison_rate") == pytest.approx(100 / 3)  # s5 of s1, s2, s5
    assert value("duplicate_rate") == pytest.approx(100 / 7)
    assert "BLEU1" not in scores


def test_what_the_model_was_shown_decides_what_it_may_compare(truth_file: Path) -> None:
    evaluation = Evaluation({}, read_truth(truth_file))
    alone = evaluation.score(answers(REFERENCES, prior="none")).scores
    assert alone["prior_hallucination_rate"].value == pytest.approx(60)  # s1, s2 and s5 of all five
    assert alone["progression_accuracy"].value is None
    assert alone["missed_comparison_rate"].value is None
    dummy = evaluation.score(answers({"s1": "No pneumothorax.", "s5": "Stable cardiomegaly."}, prior="dummy")).scores
    assert dummy["missed_comparison_rate"].value == 50
    assert dummy["prior_hallucination_rate"].value is None


def test_scores_from_reference_texts_alone(reference_file: Path) -> None:
    sheet = Evaluation(read_references(reference_file), {}).score(answers(REFERENCES))
    assert sheet.scores["finding_f1_micro"].value == pytest.approx(100)
    assert sheet.scores["finding_f1_macro_5"].value == pytest.approx(100)
    assert sheet.scores["finding_f1[Lung Lesion]"].value == pytest.approx(100)
    assert sheet.scores["finding_f1[Fracture]"].value is None
    assert "not CheXbert" in sheet.notes[0]
    assert sheet.patients == 4


def test_ids_are_matched_not_ordered(truth_file: Path) -> None:
    evaluation = Evaluation({}, read_truth(truth_file))
    backwards = dict(reversed(answers(REFERENCES).items()))
    assert evaluation.score(backwards).scores == evaluation.score(answers(REFERENCES)).scores
    partial = evaluation.score(answers({"s1": "x", "unknown": "y"}))
    assert partial.missing == ("s2", "s3", "s4", "s5")
    assert partial.unknown == ("unknown",)
    assert any("4 of 5" in note for note in partial.notes)
    with pytest.raises(InputError, match="ids do not match"):
        evaluation.score(answers({"zz": "y"}))


def test_comparing_two_models(truth_file: Path) -> None:
    evaluation = Evaluation({}, read_truth(truth_file))
    silent = answers(dict.fromkeys(REFERENCES, "No pneumothorax."))
    found = evaluation.compare(silent, answers(REFERENCES))
    assert found["finding_f1_micro"].value == pytest.approx(100)
    assert all(entry.p_holm >= entry.p for entry in found.values())
    assert all(entry.value == 0 and entry.p == 1 for entry in evaluation.compare(silent, silent).values())
    with pytest.raises(InputError):
        evaluation.compare(answers({"s1": "x"}), answers({"s2": "x"}))


def test_nothing_to_score_against() -> None:
    with pytest.raises(InputError):
        Evaluation({}, {})


def test_a_reference_without_a_known_patient_is_its_own() -> None:
    sheet = Evaluation({"a": Reference("No effusion."), "b": Reference("Edema.")}, {}).score(
        answers({"a": "x", "b": "y"})
    )
    assert sheet.patients == 2
    assert any("Patients are not known" in note for note in sheet.notes)


@pytest.mark.parametrize(
    "row",
    ["{", "[]", "{}", '{"id": "a"}', '{"id": "a", "has_prior": true, "findings": [{"finding": "ghost"}]}', "null"],
)
def test_broken_truth_rows_are_named(tmp_path: Path, row: str) -> None:
    file = tmp_path / "truth.jsonl"
    file.write_text('{"id": "ok", "has_prior": false, "findings": []}\n' + row + "\n")
    with pytest.raises(DatasetError) as caught:
        read_truth(file)
    assert [number for number, _ in caught.value.rows] == [2]


def test_written_answers_are_read_back(tmp_path: Path) -> None:
    file = write_answers(tmp_path / "a.jsonl", REFERENCES, prior="dummy")
    read = read_answers(file)
    assert {name: answer.text for name, answer in read.items()} == REFERENCES
    assert read["s1"].metadata == {"prior": "dummy"}


def test_a_class_of_several_findings_reads_the_same_in_whatever_order_they_are_given() -> None:
    text = "Stable nodule. The mass has increased."
    members = (Finding.NODULE, Finding.MASS)
    forward, backward = (read_text(text, {"Lung Lesion": order}) for order in (members, members[::-1]))
    assert forward == backward
    assert forward["Lung Lesion"].change is Change.UNCHANGED

"""Scores of Chinese texts: words by sacrebleu's own Chinese tokens, and nothing of what is for English."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.libra import Answer, Reference
from engine.evaluation import wording
from engine.evaluation.cases import cases
from engine.evaluation.scoring import MEANING, NOT_ENGLISH, Evaluation
from engine.evaluation.statistics import Patients

PAIRS = (
    ("双肺纹理清晰，未见明显实变影。", "双肺纹理增多，未见实变影。"),
    ("右侧PICC尖端位于T6水平，较前未变。", "右侧PICC尖端位于T7水平。"),
    ("心影大小正常（心胸比0.48）。", "心影增大。"),
    ("左侧胸腔少量积液：较前增多；余同前。", "左侧胸腔积液较前增多；余同前。"),
)
GOLD, SAID = ([pair[side] for pair in PAIRS] for side in (0, 1))
ENGLISH = {
    "e1": ("Small left effusion, increased.", "Small left effusion, unchanged."),
    "e2": ("No pneumothorax. The heart is enlarged.", "The heart is enlarged."),
}


def sheet_of(pairs: dict[str, tuple[str, str]], **more: object) -> Evaluation:
    return Evaluation({key: Reference(gold, **more) for key, (gold, _) in pairs.items()}, {}, task="report")  # type: ignore[arg-type]


def answers(pairs: dict[str, tuple[str, str]]) -> dict[str, Answer]:
    return {key: Answer(key, "", said, "", "m") for key, (_, said) in pairs.items()}


def chinese() -> dict[str, tuple[str, str]]:
    return {f"c{number}": pair for number, pair in enumerate(PAIRS)}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_sacrebleus_with_its_chinese_tokens(order: int) -> None:
    found = wording.measures(GOLD, SAID)[f"BLEU{order}"]
    metric = sacrebleu.BLEU(max_ngram_order=order, smooth_method="none", tokenize="zh", lowercase=True)
    expected = metric.corpus_score(SAID, [GOLD]).score
    assert Patients(list(map(str, range(len(GOLD))))).score(found, intervals=False).value == pytest.approx(expected)
    assert 20 < expected < 90


def test_rouge_l_is_the_longest_common_sequence_of_characters() -> None:
    measure = wording.measures(["左侧胸腔积液。"], ["左侧积液，气胸。"])["ROUGE-L"]
    # 左侧积液 in common: 4 of 6 characters of each
    assert Patients(["p"]).score(measure, intervals=False).value == pytest.approx(100 * 4 / 6)


def test_length_and_repeats_count_characters_and_chinese_sentences() -> None:
    found = wording.shape(["双肺清晰。双肺清晰。"], ["双肺清晰，PICC。"])
    values = {name: Patients(["p"]).score(measure, intervals=False).value for name, measure in found.items()}
    assert values == {"length_ratio": pytest.approx(8 / 5), "duplicate_rate": 50.0}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text("ab .,双肺。，1-", max_size=20), st.text("ab .,1-", max_size=20)), min_size=1))
def test_english_pairs_are_scored_as_ever_whatever_stands_beside_them(pairs: list[tuple[str, str]]) -> None:
    gold, said = zip(*pairs, strict=True)
    together = wording.measures(gold, said)
    for place, (one, other) in enumerate(pairs):
        alone = wording.measures([one], [other])
        for key in ("BLEU4", "ROUGE-L", "length_ratio"):
            assert (together[key].rows[place] == alone[key].rows[0]).all()


def test_what_is_for_english_is_absent_with_the_reason() -> None:
    evaluation = sheet_of(chinese())
    sheet = evaluation.score(answers(chinese()))
    for key in ("BLEU1", "BLEU4", "ROUGE-L", "length_ratio", "duplicate_rate"):
        assert sheet.scores[key].value is not None and sheet.scores[key].studies == len(PAIRS)
    absent = {key: score.note for key, score in sheet.scores.items() if score.value is None}
    assert {"Temporal_entity_score", *MEANING} <= set(absent)
    assert {absent[key] for key in ("Temporal_entity_score", *MEANING)} == {NOT_ENGLISH}
    assert sheet.scores["METEOR"].value is None
    assert any(note.startswith("4 of 4 studies are not in English") for note in sheet.notes)
    assert not any(key.startswith("finding_f1[") for key in sheet.scores)


def test_of_a_mixed_file_the_english_studies_are_counted_and_the_number_is_said() -> None:
    both = ENGLISH | chinese()
    mixed, alone = sheet_of(both).score(answers(both)), sheet_of(ENGLISH).score(answers(ENGLISH))
    names = [key for key, score in alone.scores.items() if score.value is not None and not key.startswith("BLEU")]
    for key in set(names) - {"ROUGE-L", "length_ratio", "duplicate_rate"}:
        assert mixed.scores[key].value == pytest.approx(alone.scores[key].value), key
        assert mixed.scores[key].studies == alone.scores[key].studies, key
    assert mixed.scores["BLEU4"].studies == 6
    assert any(note.startswith("4 of 6 studies are not in English: findings") for note in mixed.notes)
    assert any(note.startswith("4 of 6 studies are not in English alone: METEOR") for note in mixed.notes)
    assert not any("English" in note for note in alone.notes)


def test_of_bilingual_reports_the_english_is_read() -> None:
    pair = {
        "b": (
            "The left effusion has increased. 左侧胸腔积液较前增多。",
            "There is a left effusion, increased. 左侧胸腔积液增多。",
        )
    }
    sheet = sheet_of(pair).score(answers(pair))
    assert sheet.scores["finding_f1[Pleural Effusion]"].value == 100
    assert sheet.scores["Temporal_entity_score"].value == pytest.approx(100)
    assert sheet.scores["METEOR"].value is None


def test_an_answer_in_another_language_finds_nothing_and_is_not_praised_for_what_nobody_can_read() -> None:
    pair = {"e": ("No pneumothorax. Lungs are clear.", "双肺清晰，未见气胸。")}
    evaluation = sheet_of(pair, has_prior=False)
    sheet = evaluation.score(answers(pair))
    assert sheet.scores["finding_f1[No Finding]"].value == 0
    assert sheet.scores["prior_hallucination_rate"].value is None
    assert sheet.scores["Temporal_entity_score"].value is None if "Temporal_entity_score" in sheet.scores else True
    assert any(note.startswith("1 answers to studies in English are in another language") for note in sheet.notes)
    short = Evaluation({"e": Reference("No.")}, {}, task="vqa").score({"e": Answer("e", "", "没有。", "", "m")})
    assert not any("another language" in note for note in short.notes)  # nothing is looked for in short answers


def test_of_answers_in_another_language_it_is_said_what_leaves_them_out() -> None:
    pairs = {"a": ("The effusion is worse.", "积液增多。"), "b": ("Stable edema.", "Stable edema.")}
    sheet = sheet_of(pairs, has_prior=True).score(answers(pairs))
    assert sheet.scores["finding_f1_micro"].studies == 2
    for key in ("Temporal_entity_score", "missed_comparison_rate"):
        assert sheet.scores[key].studies == 1, key
    (said,) = [note for note in sheet.notes if "another language" in note]
    assert "Temporal Entity F1 and the rates of comparisons leave them out" in said


def test_cases_in_chinese_have_scores_of_their_words_and_no_faults() -> None:
    evaluation = sheet_of(chinese())
    given_answers = answers(chinese())
    found = list(
        cases(evaluation, "m", given_answers, {k: Reference(g) for k, (g, _) in chinese().items()},
              evaluation.tally(given_answers))
    )  # fmt: skip
    assert all(set(case.scores) == {"BLEU4", "ROUGE-L"} and not case.slips for case in found)


def test_two_systems_are_compared_on_what_both_have() -> None:
    both = ENGLISH | chinese()
    evaluation = sheet_of(both)
    other = {key: Answer(key, "", gold, "", "n") for key, (gold, _) in both.items()}
    found = evaluation.compare(answers(both), other)
    assert found["BLEU4"].value > 0 and found["finding_f1_micro"].value >= 0
    assert "finding_f1_micro" not in sheet_of(chinese()).compare(answers(chinese()), answers(chinese()))

"""A score as a function that chooses the best checkpoint: the same figures as the table, and a user's own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from five_studies import REFERENCES
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.libra import About, Answer, Reference
from engine.errors import InputError, UsageError
from engine.evaluation.keys import HEADLINE, JUDGED, KEYS, LIBRA_KEYS, VQA_HEADLINE, describe
from engine.evaluation.scoring import Evaluation
from engine.evaluation.validation import known, metric

STUDIES = {
    name: Reference(text, About(patient=name), has_prior=name not in ("s3", "s4")) for name, text in REFERENCES.items()
}
SAID = {
    "s1": "The left pleural effusion has decreased.",
    "s2": "New right pleural effusion.",
    "s3": "Large right nodule, unchanged.",
    "s4": "No acute process.",
    "s5": "Moderate cardiomegaly. Moderate cardiomegaly.",
}


def test_every_score_of_the_table_is_a_metric_and_gives_the_tables_figure() -> None:
    written = {name: Answer(name, "", text, "", "") for name, text in SAID.items()}
    sheet = Evaluation(STUDIES, {}).score(written, intervals=False)
    compared = 0
    for name, score in sheet.scores.items():
        if score.value is not None and describe(name).higher_is_better is not None:
            assert metric(name)(STUDIES, SAID) == score.value
            compared += 1
    assert compared > 15


def test_the_direction_is_known() -> None:
    assert metric("BLEU4").higher_is_better
    assert not metric("prior_hallucination_rate").higher_is_better
    worse, better = metric("prior_hallucination_rate"), metric("BLEU4")
    assert worse.better(1, 2) and not worse.better(2, 1) and not worse.better(1, 1)
    assert better.better(2, 1) and not better.better(1, 2) and not better.better(1, 1)


@given(st.floats(allow_nan=True), st.one_of(st.none(), st.floats(allow_nan=True)))
def test_never_both_are_better(one: float, two: float | None) -> None:
    chooser = metric("ROUGE-L")
    assert not (chooser.better(one, two) and two is not None and chooser.better(two, one))
    assert chooser.better(one, None) is not math.isnan(one)


def test_a_score_without_studies_to_count_is_not_a_number() -> None:
    assert math.isnan(metric("finding_f1[Fracture]")(STUDIES, SAID))
    with pytest.raises(InputError, match="ids do not match"):
        metric("BLEU1")(STUDIES, {"other": "text"})


@pytest.mark.parametrize(
    ("name", "words"),
    [("beauty", "BLEU4"), ("length_ratio", "no better way"), ("finding_f1[...]", "no score"), ("none.py:f", "none.py")],
)
def test_what_is_no_metric_is_refused_with_the_known_names(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        metric(name)


def test_what_cannot_be_computed_here_says_why() -> None:
    with pytest.raises(UsageError, match="checkpoint"):
        metric("Bert_score")


def test_a_function_of_ones_own_is_run_and_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def words(references, answers):\n    return sum(len(a.split()) for a in answers)\n"
        "def few(references, answers):\n    return len(references)\nfew.higher_is_better = False\n"
        "def broken(references, answers):\n    raise ValueError('private')\nnumber = 3\n"
    )
    words = metric(f"{file}:words")
    assert words(STUDIES, {"s1": "one two", "s4": "three", "zz": "not counted"}) == 3
    assert words.higher_is_better and "is run" in words.warning and not metric("BLEU1").warning
    assert not metric(f"{file}:few").higher_is_better
    with pytest.raises(InputError, match="ValueError") as caught:
        metric(f"{file}:broken")(STUDIES, SAID)
    assert "private" not in str(caught.value)
    with pytest.raises(InputError, match="ids do not match"):
        words(STUDIES, {"zz": "nothing"})
    for name in ("number", "absent"):
        with pytest.raises(UsageError, match=name):
            metric(f"{file}:{name}")
    file.write_text("import nothing_of_that_name\n")
    with pytest.raises(UsageError, match="ModuleNotFoundError"):
        metric(f"{file}:words")


def test_keys_are_described_once() -> None:
    assert {*LIBRA_KEYS, *HEADLINE, *VQA_HEADLINE, *JUDGED} <= set(KEYS)
    neither = {name for name in KEYS if name.startswith(("judge_neutral", "judge_invalid", "judge_average"))}
    assert set(known()) == set(KEYS) - {"length_ratio", "judge_confidence_completeness"} - neither
    assert describe("finding_f1[Edema]").title == "Finding F1: Edema"
    assert all(key.title and key.says.endswith(".") for key in KEYS.values())
    with pytest.raises(KeyError):
        describe("beauty[Edema]")

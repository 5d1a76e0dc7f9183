"""The answers anybody could give: the prior's report where it is known, and one normal report for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.datasets.libra import Reference, read_references
from engine.evaluation.naive import COPY, NORMAL, WRITTEN, _normal, always_normal, copy_prior, naive, rows_of
from engine.evaluation.scoring import Evaluation


def row(name: str, *images: str, **more: Any) -> dict[str, Any]:
    image = list(images) if len(images) > 1 else images[0]
    return {"question_id": name, "image": image, "text": "Describe.", "reference": f"Report {name}."} | more


ROWS = [
    row("a1", "a1.png", patient="a"),
    row("a2", "a2.png", "a1.png", patient="a"),
    row("a3", "a3.png", "a1.png", patient="a", prior_report="Told so."),
    row("b1", "b1.png", "b0.png", patient="b"),  # the prior study is not in the file
    row("b2", "b2.png", "b9.png", patient="b"),  # nor is its image, but the patient's row before is
    row("c1", "c1.png", patient="c"),
    row("c2", "c2.png", patient="c"),  # no prior shown
    row("d1", "d1.png", patient="d", study="s"),
    row("d2", "d2.png", "d1.png", patient="d", study="s"),  # two images of one study: its own report
    row("e1", "e1.png", "e1.png", patient="c"),  # the current image as its own prior
]
IDS = [str(entry["question_id"]) for entry in ROWS]


def test_the_prior_report_is_the_one_of_the_prior_image() -> None:
    found = copy_prior(ROWS, IDS)
    texts = {name: answer.text for name, answer in found.answers.items()}
    assert texts == {"a2": "Report a1.", "a3": "Told so.", "b2": "Report b1."}
    assert "3 of 10" in found.note and "For 1 of them" in found.note
    none = copy_prior(ROWS[5:7], IDS)
    assert not none.answers and none.note.startswith("n/a, because")


def test_a_prior_study_that_is_not_asked_about_is_known_all_the_same() -> None:
    found = copy_prior(ROWS, ["a2", "c1"])
    assert list(found.answers) == ["a2"] and "1 of 2" in found.note and "For" not in found.note


def test_an_unknown_patient_is_nobody() -> None:
    rows = [row("x", "x.png", "w.png"), row("y", "y.png", "z.png"), row("z", "z.png")]
    assert {name: answer.text for name, answer in copy_prior(rows, "xyz").answers.items()} == {"y": "Report z."}


USUAL = "The lungs are clear. No effusion."


@pytest.mark.parametrize(
    ("training", "references", "text", "words"),
    [
        ([USUAL, "the lungs are clear. no effusion", "Left effusion."], [], USUAL, "2 times in the training file"),
        (["Left effusion."] * 5 + [USUAL] * 2, [], USUAL, "2 times in the training"),
        (["Left effusion."] * 5, [USUAL, "Edema.", USUAL], USUAL, "2 times in the reference"),
        ([USUAL], ["Normal heart size."], WRITTEN, "our own"),
        (["Unchanged. No effusion."] * 3 + ["Pacemaker in place. Clear lungs."] * 3, [], WRITTEN, "our own"),
        ([], [], WRITTEN, "our own"),
    ],
)
def test_the_normal_report_is_the_usual_one(training: list[str], references: list[str], text: str, words: str) -> None:
    found = always_normal(["a", "b"], training, references)
    assert {name: answer.text for name, answer in found.answers.items()} == {"a": text, "b": text}
    assert words in found.note


def test_our_own_normal_report_has_no_finding() -> None:
    assert _normal(WRITTEN)
    assert not _normal("Small left effusion.")


def test_both_are_scored_like_any_answers(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [
        row("a1", "a1.png", patient="a") | {"reference": "Left pleural effusion."},
        row("a2", "a2.png", "a1.png", patient="a") | {"reference": "The left pleural effusion has increased."},
        row("b1", "b1.png", patient="b") | {"reference": "No acute process."},
    ]
    file.write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    evaluation = Evaluation(read_references(file), {})
    assert rows_of(file, {"a1": Reference("Other.")})[0]["reference"] == "Other."
    copied, normal = naive(rows_of(file), evaluation.ids)
    assert (copied.name, normal.name) == (COPY, NORMAL)
    scores = evaluation.score(copied.answers).scores
    assert scores["finding_f1_micro"].value == 100 and scores["finding_f1_micro"].studies == 1
    assert scores["progression_recall"].value == 0
    scores = evaluation.score(normal.answers).scores
    assert scores["finding_f1[Pleural Effusion]"].value == 0
    assert scores["missed_comparison_rate"].value == 100

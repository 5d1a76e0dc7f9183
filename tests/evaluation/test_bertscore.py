"""BERTScore on a tiny random checkpoint: the formula by hand, empty texts, folders that cannot be used."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from tiny_encoders import distilbert
from transformers import AutoTokenizer, DistilBertForMaskedLM

from engine.cli import main
from engine.errors import ModelError
from engine.evaluation.bertscore import LAYER, BertScore
from engine.evaluation.statistics import Patients

PAIRS = [
    ("The heart is normal. No effusion.", "No pleural effusion, the heart is large."),
    ("New left pleural effusion.", "new left pleural effusion"),
    ("Small nodule.", "Stable cardiomegaly and edema, unchanged. " * 12),
    ("increased", "something unknown"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distilbert(tmp_path_factory.mktemp("distilbert"))


def by_hand(folder: Path, reference: str, prediction: str) -> float:
    """Equations 1 to 3 of the paper, token by token, on the layer's hidden states as transformers gives them."""
    model, words = DistilBertForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def vectors(text: str) -> tuple[list[list[float]], list[int]]:
        ids = words(text, truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            states = model(**ids, output_hidden_states=True).hidden_states[LAYER][0]
        rows = [[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in states.tolist()]
        return rows, list(range(1, len(rows) - 1))  # [CLS] and [SEP] at the ends

    (gold, of_gold), (said, of_said) = vectors(reference), vectors(prediction)

    def best(row: list[float], others: list[list[float]]) -> float:
        return max(sum(a * b for a, b in zip(row, other, strict=True)) for other in others)

    precision = sum(best(said[at], gold) for at in of_said) / len(of_said)
    recall = sum(best(gold[at], said) for at in of_gold) / len(of_gold)
    return 2 * precision * recall / (precision + recall)


def test_it_is_the_formula(folder: Path) -> None:
    scorer = BertScore(folder)
    found = scorer.f1(*zip(*PAIRS, strict=True))
    assert found == pytest.approx([by_hand(folder, a.lower(), b.lower()) for a, b in PAIRS], abs=1e-5)
    assert found[1] > found[0]
    measure = scorer.measures(*zip(*PAIRS, strict=True))["Bert_score"]
    expected = 100 * sum(found) / len(found)
    assert Patients(list("abcd")).score(measure, intervals=False).value == pytest.approx(expected)


def test_a_text_and_itself_score_one(folder: Path) -> None:
    text = "The heart is normal. No effusion."
    assert BertScore(folder).f1([text], [text]) == pytest.approx([1.0], abs=1e-6)


def test_empty_texts_score_nothing(folder: Path) -> None:
    assert BertScore(folder).f1(["", "Edema.", "", "  \n"], ["Edema.", "", "", "'"]) == [0, 0, 0, 0]
    assert BertScore(folder).f1([], []) == []


def test_a_text_alone_and_among_others_scores_the_same(folder: Path) -> None:
    scorer = BertScore(folder)
    together = scorer.f1(*zip(*PAIRS, strict=True))
    assert [scorer.f1([a], [b])[0] for a, b in PAIRS] == pytest.approx(together, abs=1e-5)


def test_folders_that_cannot_be_used(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        BertScore(tmp_path)
    other = distilbert(tmp_path / "few", layers=3)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"n_layers": 6}))
    with pytest.raises(ModelError, match="missing"):
        BertScore(other)
    (other / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(ModelError, match="distilbert"):
        BertScore(other)
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="5 layers"):
        BertScore(other)


def test_score_takes_the_folder(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], reference_file: Path
) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"question_id": "s1", "text": "The left effusion has increased."}) + "\n")
    command = ["score", "--references", str(reference_file), "--predictions", str(answers), "--json"]
    assert main([*command, "--bertscore", str(folder), "--metrics", "Bert_score"]) == 0
    assert -100 < json.loads(capsys.readouterr().out)["scores"]["Bert_score"]["value"] < 100
    assert main([*command, "--bertscore", str(tmp_path)]) == 4

"""The card: three conditions asked, every figure stated as measured, an interrupted measurement goes on."""

import json
from types import SimpleNamespace

import pytest

from engine.datasets.phantoms import write_training
from engine.evaluation.card import PRIORS, measure, render_card


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_training(folder / "test", 10, seed=9, size=64, split="test", workers=1)
    write_training(folder / "train", 16, seed=8, size=64, workers=1)
    return folder


class Oracle:
    """Knows the reference of every question by its current image; compares only when shown a real prior."""

    def __init__(self, folder):
        self.info = SimpleNamespace(
            served="", sha256="0" * 64, name="oracle", demonstration=True, dtype="float32", quantization="none"
        )
        self.asked = 0
        self.texts = {}
        for line in (folder / "eval.jsonl").read_text().splitlines():
            row = json.loads(line)
            image = row["image"] if isinstance(row["image"], str) else row["image"][0]
            self.texts[image.removeprefix("images/")] = row["reference"]

    def draft_many(self, items, *, decoding, batch_size):
        return enumerate(self.draft(comparison) for comparison, _ in items)

    def draft(self, comparison):
        self.asked += 1
        prior = comparison.prior
        alone = prior is None or prior.sha256 == comparison.current.sha256
        reference = self.texts[comparison.current.source]
        paired = comparison.current.source.replace(".png", "-prior.png")
        has_prior = (self.folder / "images" / paired).exists()
        text = "There is no pleural effusion." if alone and has_prior else reference
        timings = SimpleNamespace(total_s=0.0, together=1)
        return SimpleNamespace(text=text, finished="stop", token_ids=(1,), checks=(), timings=timings, model=self.info)


@pytest.fixture
def oracle(phantoms):
    oracle = Oracle(phantoms / "test")
    oracle.folder = phantoms / "test"
    return oracle


def test_the_true_prior_is_told_from_the_dummy(phantoms, oracle, tmp_path):
    figures = measure(oracle, phantoms / "test", phantoms / "train", tmp_path)
    assert figures["cases"] == 10
    assert oracle.asked == 10 * len(PRIORS)
    scores = figures["priors"]
    assert scores["true"]["finding_f1_micro"]["value"] == 100
    assert scores["true"]["progression_recall"]["value"] == 100
    assert scores["dummy"]["progression_recall"]["value"] == 0
    assert scores["none"]["prior_hallucination_rate"]["value"] == 0
    assert 0 <= figures["thumbnails"]["finding_f1_micro"]["value"] <= 100


def test_what_was_answered_is_not_asked_again(phantoms, oracle, tmp_path):
    first = measure(oracle, phantoms / "test", None, tmp_path)
    asked = oracle.asked
    (tmp_path / "none.jsonl").unlink()
    assert measure(oracle, phantoms / "test", None, tmp_path) == first
    assert oracle.asked == asked + 10
    assert first["thumbnails"] is None


def test_the_card_states_the_figures(phantoms, oracle, tmp_path):
    figures = measure(oracle, phantoms / "test", None, tmp_path)
    made = {
        "recipe": {"seed": 77},
        "data": {"train.json": "abc123"},
        "stages": {"whole": {"step": 12.0, "seconds": 90.0, "text_loss": 0.25}},
        "versions": {"torch": "9.9"},
    }
    card = render_card(figures, name="oracle", parameters=1234567, sha256="f" * 64, made=made)
    for said in ("1 234 567", "f" * 64, "abc123", "Seed 77", "torch 9.9", "| whole | 12 | 2 min |  |  | 0.250 |"):
        assert said in card
    assert "| Finding F1 (7 findings, micro) | 100.0 % |" in card
    assert "--count 10 --seed 2 --split test" in card
    assert "knows nothing of real patients" in card
    assert "earlier run" not in card
    made["recipe"]["start"] = "elsewhere"
    assert "earlier run" in render_card(figures, name="oracle", parameters=1, sha256="f" * 64, made=made)
    assert "How it was made" not in render_card(figures, name="oracle", parameters=1, sha256="f" * 64, made=None)

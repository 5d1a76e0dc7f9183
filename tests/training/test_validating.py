"""What a validation shows besides the score that decides: only what is looked for in such texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.datasets.ct_phantoms import write_slices
from engine.datasets.splitting import Shares
from engine.training.recipe import Validation
from engine.training.validating import SHOWN_OF_ANSWERS, Validator


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CT slices with captions and questions."""
    folder = tmp_path_factory.mktemp("ct")
    write_slices(folder, 8, size=56, seed=5, shares=Shares(0.3, 0.3))
    return folder


def scores(validator: Validator, text: str) -> set[str]:
    return set(validator.scores(dict.fromkeys(validator.references, text)))


def test_findings_are_looked_for_in_texts_about_radiographs_alone(slices: Path) -> None:
    """What reads them finds none in a caption of CT, nor in nonsense, and would call the two alike."""
    wanted = Validation(slices / "validation.jsonl")
    assert {"finding_f1_micro", "Temporal_entity_score"} < scores(Validator(wanted), "Nonsense.")
    assert scores(Validator(wanted, ("CT",)), "Nonsense.") == {"BLEU4", "ROUGE-L"}
    assert "finding_f1_micro" in scores(Validator(wanted, ("CT", "dx")), "Nonsense.")


def test_what_decides_is_shown_whatever_it_is(slices: Path) -> None:
    wanted = Validation(slices / "validation.jsonl", metric="finding_f1_micro")
    assert scores(Validator(wanted, ("CT",)), "Nonsense.") == {"BLEU4", "ROUGE-L", "finding_f1_micro"}


def test_short_answers_are_scored_as_answers(slices: Path) -> None:
    wanted = Validation(slices / "questions-validation.jsonl", metric="vqa_score")
    assert scores(Validator(wanted), "Yes.") == set(SHOWN_OF_ANSWERS)

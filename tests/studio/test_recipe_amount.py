"""The work that a recipe says it is: its samples, those of a step, its steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer_ui.services import recipes

TEXT = """
name: tiny
start: {folder}
samples: {folder}/train.json
llamafactory: {{processes: {processes}}}
stages:
  - {{name: captions, train: [language_model], lora: {{rank: 4}}, epochs: 6, batch_size: 2, accumulate: 3,
     learning_rate: 0.001}}
"""


@pytest.mark.parametrize(("processes", "per_step", "steps"), [(1, 6, 12), (2, 12, 6), (4, 24, 6)])
def test_processes_share_the_samples_of_an_epoch(tmp_path: Path, processes: int, per_step: int, steps: int) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A slice."}]
    rows = [{"id": f"r{n}", "image": f"{n}.png", "conversations": turns} for n in range(12)]
    (tmp_path / "train.json").write_text(json.dumps(rows))
    (amount,) = recipes.amount(recipes.read(TEXT.format(folder=tmp_path, processes=processes)))
    assert (amount.samples, amount.per_step, amount.steps) == (12, per_step, steps)

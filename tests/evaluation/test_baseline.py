"""The thumbnail baseline: sees what brightness shows, and nothing that is not in the image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from engine.errors import DatasetError, UnreadableFile
from engine.evaluation import baseline


def make(folder: Path, count: int, seed: int) -> Path:
    """Images with a bright lower left corner where there is an "effusion"; the "nodule" is drawn nowhere."""
    generator = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    questions, truths = [], []
    for index in range(count):
        effusion, nodule = generator.random(2) < 0.4
        pixels = generator.normal(90, 12, (64, 64))
        pixels[40:, :24] += 50 * effusion
        Picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{index}.png")
        facts = [
            {"finding": name, "side": "left", "size": 0.5, "band": "moderate", "change": "not compared"}
            for name, there in (("pleural effusion", effusion), ("nodule", nodule))
            if there
        ]
        questions.append({"question_id": f"{index}", "image": f"images/{index}.png", "text": "Describe."})
        truths.append({"id": f"{index}", "patient": f"p{index}", "has_prior": False, "findings": facts})
    (folder / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    (folder / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in truths))
    return folder


def test_it_learns_what_a_thumbnail_shows(tmp_path: Path) -> None:
    training, test = (baseline.load(make(tmp_path / name, 120, seed)) for name, seed in (("train", 1), ("test", 2)))
    assert training.values.shape == (120, 256)
    scores = baseline.evaluate(training, test)
    effusion = scores["finding_f1[pleural effusion]"].value
    assert effusion is not None and effusion > 90
    nodule = scores["finding_f1[nodule]"].value
    assert nodule is not None and nodule < 75
    assert scores["finding_f1_micro"].low is not None
    assert baseline.evaluate(training, test) == scores


def test_limits_and_faults(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", 5, 0)
    assert len(baseline.load(folder, 3).studies) == 3
    (folder / "images" / "1.png").write_bytes(b"x")
    with pytest.raises(UnreadableFile, match=r"1\.png"):
        baseline.load(folder)
    (folder / "truth.jsonl").write_text('{"id": "0", "has_prior": false, "findings": []}\n')
    with pytest.raises(DatasetError, match="study 1"):
        baseline.load(folder)

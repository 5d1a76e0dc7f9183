"""A tiny training run, made once for a session and copied into the data folder of a test; recipes like its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.datasets.phantoms import SITES, write_training

PROJECT = Path(__file__).resolve().parents[2]
NAME = "tiny-20260101-120000"

_made: dict[str, Path] = {}


def phantoms(factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train/train.json`` of eight patients and ``held-out/eval.jsonl`` of four others."""
    if "phantoms" not in _made:
        folder = factory.mktemp("phantoms")
        write_training(folder / "train", 8, seed=11, site=SITES["b"], size=96, workers=1)
        write_training(folder / "held-out", 4, seed=12, site=SITES["b"], size=96, workers=1)
        _made["phantoms"] = folder
    return _made["phantoms"]


def document(folder: Path, **changes: Any) -> dict[str, Any]:
    """A recipe over those phantoms: four steps with two validations."""
    stage = {
        "name": "adapt",
        "train": ["connector", "language_model"],
        "lora": {"rank": 4, "alpha": 8},
        "epochs": 2,
        "batch_size": 2,
        "accumulate": 2,
        "learning_rate": 0.002,
        "checkpoint_every": 2,
    }
    stage |= changes.pop("stage", {})
    validation = {
        "questions": str(folder / "held-out" / "eval.jsonl"),
        "metric": "ROUGE-L",
        "every": 2,
        "limit": 2,
        "max_new_tokens": 12,
    }
    return {
        "name": "tiny",
        "start": str(PROJECT / "models" / "demo-tac"),
        "samples": str(folder / "train" / "train.json"),
        "validation": validation | changes.pop("validation", {}),
        "seed": 3,
        "threads": 1,
        "stages": [stage],
        **changes,
    }


def text(folder: Path, **changes: Any) -> str:
    """The recipe's text."""
    return yaml.safe_dump(document(folder, **changes), sort_keys=False)


def run(factory: pytest.TempPathFactory, home: Path, name: str = NAME) -> Path:
    """A finished run below ``home``, with all that training leaves."""
    if "run" not in _made:
        from engine.training.run import run as train

        folder = factory.mktemp("run")
        (folder / "recipe.yaml").write_text(text(phantoms(factory)), encoding="utf-8")
        train(folder / "recipe.yaml", folder / "run")
        _made["run"] = folder / "run"
    place = home / "runs" / name
    shutil.copytree(_made["run"], place)
    return place

"""Recipes that adapt the demonstration model to a few phantoms of another site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from engine.datasets.phantoms import SITES, write_training

PROJECT = Path(__file__).resolve().parents[2]


def make_phantoms(folder: Path, count: int = 20, held_out: int = 6) -> Path:
    """Training files and, of other patients, a validation file; the folder."""
    write_training(folder / "train", count, seed=11, site=SITES["b"], size=96, workers=1)
    write_training(folder / "held-out", held_out, seed=12, site=SITES["b"], size=96, workers=1)
    return folder


def lora_recipe(phantoms: Path, **changes: Any) -> dict[str, Any]:
    """LoRA on the language model, the connector with it, validated by what is written."""
    stage = {
        "name": "adapt",
        "train": ["connector", "language_model"],
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        "epochs": 2,
        "batch_size": 2,
        "accumulate": 2,
        "learning_rate": 0.002,
        "connector_learning_rate": 0.0005,
        "checkpoint_every": 4,
    }
    stage |= changes.pop("stage", {})
    return {
        "name": "site-b",
        "start": str(PROJECT / "models" / "demo-tac"),
        "samples": str(phantoms / "train" / "train.json"),
        "validation": {
            "questions": str(phantoms / "held-out" / "eval.jsonl"),
            "metric": "ROUGE-L",
            "every": 4,
            "limit": 4,
            "max_new_tokens": 24,
        },
        "stages": [stage],
        "seed": 3,
        "threads": 1,
        **changes,
    }


def write_recipe(folder: Path, document: dict[str, Any]) -> Path:
    """The recipe as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def read_lines(file: Path) -> list[dict[str, Any]]:
    """A JSON Lines file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

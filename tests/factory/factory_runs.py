"""Tiny models, phantom CT slices and recipes for training through LLaMA-Factory."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from engine.datasets.ct_phantoms import write_slices
from engine.datasets.splitting import Shares

TESTS = Path(__file__).resolve().parents[1]
PROJECT = TESTS.parent
sys.path[:0] = [str(TESTS / "models"), str(TESTS / "models" / "golden")]

import tiny_multimodal  # noqa: E402


def qwen2vl(folder: Path) -> Path:
    """A tiny random Qwen2-VL that may be given CT."""
    tiny_multimodal.qwen2vl(folder)
    about = {"name": folder.name, "demonstration": True, "modalities": ["CT"], "languages": ["en", "zh"]}
    (folder / "interval.json").write_text(json.dumps(about))
    return folder


def llava(folder: Path) -> Path:
    """A tiny random LLaVA."""
    tiny_multimodal.llava(folder)
    about = {"name": folder.name, "demonstration": True, "modalities": ["CT"]}
    (folder / "interval.json").write_text(json.dumps(about))
    return folder


def slices(folder: Path, patients: int = 16, size: int = 84) -> Path:
    """CT slices with captions (train.json, validation.jsonl, test.jsonl) and questions (questions-...); the folder."""
    write_slices(folder, patients, size=size, seed=5, shares=Shares(0.2, 0.2))
    return folder


def project(folder: Path) -> Path:
    """The program once more, with a folder of installed models of its own that holds none."""
    for part in ("app", "engine", "serving", "trainer_ui"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (PROJECT / "launch.py", *PROJECT.glob("requirements*.txt")):
        shutil.copy2(file, folder / file.name)
    (folder / "models").mkdir()
    return folder


def recipe(model: Path, data: Path, questions: str = "", **changes: Any) -> dict[str, Any]:
    """LoRA through LLaMA-Factory on the captions, or with ``questions`` = "questions-" on the questions."""
    stage = {
        "name": "adapter",
        "train": ["language_model"],
        "lora": {"rank": 8, "alpha": 16},
        "epochs": 1,
        "batch_size": 2,
        "accumulate": 2,
        "learning_rate": 0.004,
        "checkpoint_every": 3,
    } | changes.pop("stage", {})
    validation = {
        "questions": str(data / f"{questions}validation.jsonl"),
        "metric": "ROUGE-L",
        "every": 4,
        "limit": 3,
        "max_new_tokens": 24,
    } | changes.pop("validation", {})
    return {
        "name": "tiny",
        "start": str(model),
        "samples": str(data / f"{questions}train.json"),
        "validation": validation,
        "seed": 3,
        "threads": 1,
        "max_length": 1024,
        "llamafactory": {},
        "stages": [stage],
        **changes,
    }


def write(folder: Path, document: dict[str, Any]) -> Path:
    """The recipe as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path

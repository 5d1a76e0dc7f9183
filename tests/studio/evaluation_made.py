"""A small evaluation as the commands make it: the demonstration model, one that knows the references, and an echo.

Six phantoms of 96 pixels. It is made once for all tests that ask for it; each gets a copy in its own data folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
CASES, SIZE = 6, 96
NAME, SHORT = "small", "short"


@lru_cache(maxsize=1)
def stand_ins() -> ModuleType:
    """tests/evaluation/echo.py."""
    place = PROJECT / "tests" / "evaluation" / "echo.py"
    spec = importlib.util.spec_from_file_location("echo_of_evaluations", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Told:
    """Answers with the reference of the same question about the same image."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.info = stand_ins().Echo("tuned").info
        self._rows = {
            (row["image"] if isinstance(row["image"], str) else row["image"][0], row["text"]): row for row in rows
        }

    def draft_many(self, items: Sequence[Any], **settings: Any) -> Iterator[Any]:
        from dataclasses import replace

        for place, (comparison, asking) in enumerate(items):
            text = next(
                row["reference"]
                for (image, asked), row in self._rows.items()
                if Path(image).name == Path(comparison.current.source).name and asking.prompt in asked
            )
            ((_, draft),) = stand_ins().Echo("tuned").draft_many([(comparison, asking)], decoding=None, batch_size=1)
            yield place, replace(draft, text=text)


def rows(questions: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]


@contextmanager
def models_stood_in(questions: Path) -> Iterator[None]:
    """In the block ``evaluate`` loads the stand-ins for the folders of their names, and real models for all others."""
    from engine.cli import _loading

    real = _loading.load

    def load(args: argparse.Namespace) -> Any:
        name = Path(args.model).name
        if name == "tuned":
            return Told(rows(questions))
        return stand_ins().Echo(name) if name == "echo" else real(args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loading, "load", load)
        yield


@lru_cache(maxsize=1)
def made(root: Path) -> Path:
    """The folder that holds ``data/phantoms``, ``models/tuned``, ``models/echo`` and ``evaluations/small``."""
    from engine.cli import main
    from engine.datasets.phantoms import write_training

    write_training(root / "data" / "phantoms", CASES, seed=20, size=SIZE, workers=1)
    questions = root / "data" / "phantoms" / "eval.jsonl"
    for name in ("tuned", "echo"):
        stand_ins().model_folder(root / "models" / name)
    base = PROJECT / "models" / "demo-tac"
    (root / "models" / "tuned" / "training.json").write_text(json.dumps({"base": {"name": str(base)}}))
    words = ["evaluate", "--questions", str(questions), "--output", str(root / "evaluations" / NAME), "--score"]
    words += ["--training", str(root / "data" / "phantoms" / "train.json"), "--max-new-tokens", "60"]
    words += ["--model", str(root / "models" / "tuned"), "--model", str(root / "models" / "echo")]
    with models_stood_in(questions):
        assert main(words) == 0
    return root


@lru_cache(maxsize=1)
def short(root: Path) -> Path:
    """A folder that holds ``evaluations/short``: questions that are answered by a word or two."""
    from engine.cli import main

    picture = {"image": "a.png", "patient": "p", "sex": "F"}
    asked = [
        {"text": f"Is there {finding}?", "reference": said, "question_type": "presence"}
        for finding, said in (("edema", "yes"), ("a fracture", "no"), ("a nodule", "yes"))
    ]
    asked += [
        {"text": "Is this a PA or an AP film?", "reference": "PA", "question_type": "view"},
        {"text": "Which side is the effusion on?", "reference": "the left", "question_type": "location"},
    ]
    stand_ins().question_file(root / "data")
    lines = [picture | {"question_id": f"v{number}", "patient": f"p{number}"} | row for number, row in enumerate(asked)]
    questions = root / "data" / "questions.jsonl"
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("tuned", "echo"):
        stand_ins().model_folder(root / "models" / name)
    (root / "models" / "tuned" / "training.json").write_text(
        json.dumps({"base": {"name": str(root / "models" / "echo")}})
    )
    words = ["evaluate", "--questions", str(questions), "--output", str(root / "evaluations" / SHORT), "--score"]
    with models_stood_in(questions):
        assert main([*words, "--model", str(root / "models" / "tuned")]) == 0
    return root


def put(root: Path, home: Path, *, data: bool = False, name: str = NAME) -> Path:
    """A copy of an evaluation in a data folder, with ``data`` also of its phantoms; the evaluation's folder."""
    folder = home / "evaluations" / name
    shutil.copytree(root / "evaluations" / name, folder)
    if data:
        shutil.copytree(root / "data" / "phantoms", home / "data" / "phantoms")
    return folder

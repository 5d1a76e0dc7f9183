"""A model that answers at once: with its name and its question. Drives evaluation without weights.

``python echo.py FOLDER ARGUMENTS`` runs launch.py's command ARGUMENTS with such models in place of real ones; while
there is a file ``FOLDER/hold-RANK``, the process of that rank waits after some answers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image as Picture

from engine.drafting import Decoding, Draft, ModelInfo, Timings
from engine.drafting.batches import BatchSize, Item, Result
from engine.errors import IntervalError


class Echo:
    """Answers "NAME: QUESTION"; after so many answers ``fails`` is raised, or it waits while ``hold`` exists."""

    def __init__(
        self, name: str, *, fails: IntervalError | None = None, after: int = 0, hold: Path | None = None, **info: Any
    ) -> None:
        values = dict.fromkeys(ModelInfo.__dataclass_fields__, "x") | {"dtype": "float32", "quantization": "none"}
        said = {"sha256": name * 4, "name": name, "parameters": 1, "demonstration": False, "served": ""}
        self.info = ModelInfo(**(values | said | info))
        self.answered = 0
        self._fails, self._after, self._hold = fails, after, hold

    def draft_many(
        self, items: Sequence[Item], *, decoding: Decoding | None, batch_size: BatchSize
    ) -> Iterator[Result]:
        for place, (comparison, asking) in enumerate(items):
            if self._fails is not None and self.answered >= self._after:
                yield place, self._fails
                continue
            while self._hold is not None and self._hold.exists() and self.answered >= self._after:
                time.sleep(0.01)
            self.answered += 1
            yield place, Draft(
                text=f"{self.info.name}: {asking.prompt}", token_ids=(1,), prompt_token_ids=(), sequences=(),
                model=self.info, decoding=decoding or Decoding(), prompt=asking.prompt or "", images=(), checks=(),
                timings=Timings(0, 0, 0, 0, 0, 0, 1, 0), has_prior=comparison.prior is not None, finished="stop",
            )  # fmt: skip


def question_file(folder: Path, count: int = 4, **more: Any) -> Path:
    """``count`` questions about one small picture, with references and patients."""
    folder.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24), np.uint8)).save(folder / "a.png")
    rows = [
        {
            "question_id": f"q{number}",
            "image": "a.png",
            "text": "<image>\nDescribe. Following clinical context: Cough.",
            "reference": "No effusion." if number % 2 else "Left pleural effusion.",
            "patient": f"p{number // 2}",
        }
        | more
        for number in range(count)
    ]
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def model_folder(folder: Path, base: str = "") -> Path:
    """A folder that looks like a model, or like an adapter that names its base."""
    folder.mkdir(parents=True)
    if base:
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "peft_type": "LORA"}))
    else:
        (folder / "config.json").write_text("{}")
    return folder


def main(folder: Path, arguments: list[str]) -> int:
    """Run the evaluation's command with these engines in the place of real ones; after it everything is as before."""
    from engine import cli
    from engine.cli import _loading

    def load(args: argparse.Namespace) -> Echo:
        hold = folder / f"hold-{os.environ.get('RANK', '0')}"
        return Echo(Path(args.adapter or args.model).name, hold=hold, after=3)

    with patch.object(_loading, "load", load):
        return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

"""Small data sets on disk: pictures that differ, and the rows about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FINDINGS = "Small left pleural effusion has increased. No pneumothorax."


def picture(path: Path, seed: int, size: int = 24, **save: Any) -> Path:
    """A grey picture that is the same for the same ``seed``, whatever it is saved as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def row(name: str, *images: str, answer: str = FINDINGS, **more: Any) -> dict[str, Any]:
    """A training row."""
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": answer}]
    return {"id": name, "image": list(images) if len(images) > 1 else images[0], "conversations": turns} | more


def write_rows(file: Path, rows: list[Any]) -> Path:
    """A JSON file of rows, or a JSON Lines file where its name says so."""
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    else:
        file.write_text(json.dumps(rows), encoding="utf-8")
    return file

"""Exports of the tiny run, made once for a session and copied: merged, merged in nf4, and what may go wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_runs

from engine import paths

_made: dict[str, Path] = {}


def models(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A folder of installed models of the test's own, with the demonstration model in it."""
    shutil.copytree(tiny_runs.PROJECT / "models" / "demo-tac", folder / "demo-tac")
    patch.setattr(paths, "models", lambda: folder)
    return folder


def export(factory: pytest.TempPathFactory, home: Path, name: str, quantization: str = "none") -> Path:
    """A merged model of this name below ``home``, certified on two cases."""
    if quantization not in _made:
        from engine.datasets.libra import read_questions
        from engine.training.exporting import export as merge

        place = factory.mktemp("export")
        run = tiny_runs.run(factory, place)
        questions = read_questions(tiny_runs.phantoms(factory) / "held-out" / "eval.jsonl")[:2]
        made = merge(None, run / "model", place / "made", name="tiny", quantization=quantization, questions=questions)
        _made[quantization] = made.merged.folder
    folder = home / "exports" / name
    shutil.copytree(_made[quantization], folder)
    return folder


def certificate(folder: Path, **changes: object) -> dict[str, object]:
    """Its certificate, changed on the disk as well."""
    file = folder / "certificate.json"
    said: dict[str, object] = json.loads(file.read_text()) | changes
    file.write_text(json.dumps(said))
    return said

"""The whole loop from signed and corrected reports, by commands: a data set, a tuned model, its scores, the viewer."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from adaptation_runs import PROJECT
from PIL import Image

from engine import paths
from engine.cli import main
from engine.datasets.libra import read_questions
from engine.datasets.phantoms import SITES, write_training
from engine.records import Records
from engine.reports.sentences import split

sys.path.insert(0, str(PROJECT / "tests" / "data_sets"))
from signed_desk import Desk, edit

PATIENTS = 14


@pytest.fixture
def history(home: Path, tmp_path: Path) -> None:
    """Signed reports of phantoms of a third site: drafts whose first sentence was wrong and was rewritten."""
    phantoms = tmp_path / "phantoms"
    write_training(phantoms, PATIENTS, seed=21, site=SITES["c"], size=160, workers=1)
    (tmp_path / "dropped").mkdir()
    with Records.open(home, who="tester", application="Interval test") as records:
        desk = Desk(records, tmp_path / "dropped")
        for number, question in enumerate(read_questions(phantoms / "eval.jsonl")):
            who = {"PatientID": f"PAT-{number:04}", "PatientName": f"Phantom^Nr{number}", "PatientSex": "M"}
            films = [
                desk.film(
                    100 * number + place, pixels=np.asarray(Image.open(image).convert("L")), StudyDate=date,
                    StudyInstanceUID=f"1.2.840.99999.{number}.{place}", **who,
                )
                for place, (image, date) in enumerate(zip(question.images, ("20240301", "20230201"), strict=False))
            ]  # fmt: skip
            said = split(question.reference or "")
            drafted = ["The heart is enlarged beyond measure.", *said[1:]]
            desk.signed(*films[:1], films[1] if len(films) > 1 else None, *drafted, review=edit(0, said[0]))


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_from_signed_reports_to_the_viewer(
    history: None, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    shutil.copytree(PROJECT / "models" / "demo-tac", models / "demo-tac")
    monkeypatch.setattr(paths, "models", lambda: models)

    made = home / "data" / "signed"
    assert main(["data", "from-signed", "--output", str(made), "--images-looked-at", "--json"]) == 0
    told(capsys)
    text = (made / "train.json").read_text()
    assert "Phantom" not in text and "PAT-" not in text and "beyond measure" not in text
    words = ["data", "split", str(made / "train.json"), "--output", str(made), "--validation", "0.2", "--test", "0.3"]
    parts = made.parent / "parts"
    words[words.index("--output") + 1] = str(parts)
    assert main([*words, "--images", str(made), "--json"]) == 0
    told(capsys)

    recipe = {
        "name": "corrected", "start": str(models / "demo-tac"), "samples": str(parts / "train.json"),
        "images": str(made), "threads": 1,
        "stages": [{"name": "corrections", "train": ["language_model"], "lora": {"rank": 4, "alpha": 8}, "epochs": 2,
                    "batch_size": 4, "learning_rate": 0.002}],
    }  # fmt: skip
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    assert main(["train", str(file), "--output", str(home / "runs" / "corrected"), "--json"]) == 0
    adapter = Path(told(capsys)["model"])

    evaluation = home / "evaluations" / "corrected"
    asked = ["--questions", str(parts / "test.jsonl"), "--images", str(made), "--output", str(evaluation)]
    assert main(["evaluate", "--model", f"tuned={adapter}", *asked, "--max-new-tokens", "40"]) == 0
    assert main(["score", str(evaluation)]) == 0
    capsys.readouterr()
    scores = json.loads((evaluation / "scores.json").read_text())
    assert set(scores["models"]) == {"tuned", "demo-tac"}, "its base answers as well"
    assert scores["models"]["tuned"]["comparison"]["differences"]

    merged = home / "exports" / "corrected"
    assert main(["merge", "--adapter", str(adapter), "--output", str(merged), "--json"]) == 0
    assert told(capsys)["certificate"]["passed"]
    assert main(["promote", str(merged), "--evaluation", str(evaluation), "--json"]) == 0
    assert Path(told(capsys)["model"]) == models / "corrected"
    assert (models / "corrected" / "evaluation.json").is_file()

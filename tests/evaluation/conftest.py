"""A handful of studies with truth and answers, written as the files the commands read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from five_studies import REFERENCES, STUDIES


@pytest.fixture
def truth_file(tmp_path: Path) -> Path:
    file = tmp_path / "truth.jsonl"
    rows = [
        {"id": name, "patient": patient, "has_prior": prior, "findings": facts}
        for name, patient, prior, facts in STUDIES
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def reference_file(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    rows = []
    for name, patient, prior, _ in STUDIES:
        image = [f"{name}.png", f"{name}-prior.png"] if prior else f"{name}.png"
        rows.append(
            {
                "question_id": name,
                "image": image,
                "text": "Describe.",
                "reference": REFERENCES[name],
                "patient": patient,
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file

"""Five studies with their truth and reference texts, and answers about them."""

from __future__ import annotations

from pathlib import Path

from engine.datasets.libra import Answer


def fact(finding: str, side: str, size: float, band: str, change: str) -> dict[str, object]:
    return {"finding": finding, "side": side, "size": size, "band": band, "change": change}


STUDIES = [
    ("s1", "p1", True, [fact("pleural effusion", "left", 0.5, "moderate", "worse")]),
    (
        "s2",
        "p1",
        True,
        [fact("pleural effusion", "right", 0.2, "subtle", "new"), fact("nodule", "left", 0.0, "", "resolved")],
    ),
    ("s3", "p2", False, [fact("nodule", "right", 0.8, "plain", "not compared")]),
    ("s4", "p3", False, []),
    ("s5", "p4", True, [fact("cardiomegaly", "", 0.5, "moderate", "unchanged")]),
]
REFERENCES = {
    "s1": "The left pleural effusion has increased.",
    "s2": "New small right pleural effusion. Left nodule is no longer seen.",
    "s3": "Large right nodule.",
    "s4": "No acute cardiopulmonary process.",
    "s5": "Stable moderate cardiomegaly.",
}


def write_answers(file: Path, texts: dict[str, str], **metadata: object) -> Path:
    answers = [Answer(name, "Describe.", text, f"a-{name}", "fake", metadata) for name, text in texts.items()]
    file.write_text("".join(answer.to_line() for answer in answers), encoding="utf-8")
    return file

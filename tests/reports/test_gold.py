"""Sentences as hospitals write them, read by hand, against the extractor."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.reports.findings import Change, Finding, Side, Status, extract

FINDINGS = {
    "effusion": Finding.EFFUSION,
    "consolidation": Finding.CONSOLIDATION,
    "pneumothorax": Finding.PNEUMOTHORAX,
    "cardiomegaly": Finding.CARDIOMEGALY,
    "edema": Finding.EDEMA,
    "atelectasis": Finding.ATELECTASIS,
    "nodule": Finding.NODULE,
    "mass": Finding.MASS,
    "pneumonia": Finding.PNEUMONIA,
    "opacity": Finding.OPACITY,
    "mediastinum": Finding.MEDIASTINUM,
    "thickening": Finding.PLEURAL_OTHER,
    "fracture": Finding.FRACTURE,
    "none": Finding.NO_FINDING,
    "tube": Finding.TUBE,
    "trach": Finding.TRACHEOSTOMY,
    "line": Finding.LINE,
    "pacemaker": Finding.PACEMAKER,
    "enteric": Finding.ENTERIC_TUBE,
    "chesttube": Finding.CHEST_TUBE,
    "device": Finding.OTHER_DEVICE,
}
STATUSES = {"+": Status.PRESENT, "-": Status.ABSENT, "?": Status.UNCERTAIN}
SIDES = {"L": Side.LEFT, "R": Side.RIGHT, "B": Side.BILATERAL, ".": Side.UNSPECIFIED}
CHANGES = {
    "N": Change.NEW,
    "W": Change.WORSE,
    "=": Change.UNCHANGED,
    "I": Change.IMPROVED,
    "X": Change.RESOLVED,
    ".": Change.NOT_COMPARED,
}
GOLD = [
    tuple(part.strip() for part in line.split("->"))
    for line in Path(__file__).with_name("gold.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_the_gold_set_is_large_enough() -> None:
    assert len(GOLD) >= 120
    assert len({text for text, _ in GOLD}) == len(GOLD)


@pytest.mark.parametrize(("text", "expected"), GOLD, ids=[text[:60] for text, _ in GOLD])
def test_gold(text: str, expected: str) -> None:
    wanted = []
    for entry in filter(None, (part.strip() for part in expected.split(";"))):
        finding, status, side, change = entry.split()
        wanted.append((FINDINGS[finding], STATUSES[status], SIDES[side], CHANGES[change]))
    found = [(m.finding, m.status, m.side, m.change) for m in extract(text)]
    assert sorted(found) == sorted(wanted)

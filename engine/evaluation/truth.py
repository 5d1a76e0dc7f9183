"""What is true of each study, from a truth file or read out of a reference text, in one form.

A truth file (phantoms write one) has a JSON object a line: ``id``, ``patient``, ``has_prior`` and ``findings``, each
with ``finding``, ``side``, ``size`` (0: not in the current image), ``band`` and ``change``; other keys are not read.
Reference texts go through the rule-based extractor and are grouped into the 14 CheXpert classes: labelled so wherever
shown. The extractor reads English: of a text without any nothing is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DatasetError
from engine.reports.findings import CHEXPERT, Change, Finding, FindingState, Side, Status, compares, summary
from engine.reports.language import in_english

NO_FINDING = "No Finding"
BANDS = ("subtle", "moderate", "plain")


@dataclass(frozen=True)
class Fact:
    """One finding or device that is in the current image, or was in the prior. ``band`` "": no size is known."""

    name: str
    present: bool
    side: Side
    change: Change
    band: str = ""


@dataclass(frozen=True)
class StudyTruth:
    """All that is true of one study. ``has_prior`` and ``comparable`` are None where that is not known.

    ``comparable`` says that there is something to compare: a prior, and a finding whose change is stated.
    """

    id: str
    patient: str
    has_prior: bool | None
    comparable: bool | None
    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class Said:
    """What a text claims of one class of findings."""

    present: bool
    side: Side
    change: Change


def read_truth(file: Path) -> dict[str, StudyTruth]:
    """Study id -> truth.

    Raises:
        DatasetError: lines that are no such objects, or an id given twice; all faults are listed.
    """
    found: dict[str, StudyTruth] = {}
    faults: list[tuple[int, str]] = []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as cause:
        raise DatasetError(f"'{file.name}' is not a text file in UTF-8.") from cause
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            study = _study(json.loads(line))
            if study.id in found:
                raise ValueError("this id was given before")
            found[study.id] = study
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            missing = isinstance(fault, KeyError)
            faults.append((number, f"{fault} is missing" if missing else str(fault) or "not a truth row"))
    if faults:
        raise DatasetError(f"{len(faults)} rows of the truth file '{file.name}' cannot be used.", tuple(faults))
    if not found:
        raise DatasetError(f"'{file.name}' holds no rows.")
    return found


def _study(row: Mapping[str, Any]) -> StudyTruth:
    facts = {}
    for entry in row["findings"]:
        side = str(entry.get("side") or "")
        fact = Fact(
            name=str(Finding(entry["finding"])),
            present=float(entry["size"]) > 0,
            side=Side(side) if side else Side.UNSPECIFIED,
            change=Change(entry["change"]),
            band=str(entry.get("band") or ""),
        )
        facts[fact.name] = fact
    has_prior = bool(row["has_prior"])
    comparable = has_prior and any(fact.change is not Change.NOT_COMPARED for fact in facts.values())
    return StudyTruth(str(row["id"]), str(row.get("patient") or row["id"]), has_prior, comparable, facts)


def from_reference(identity: str, text: str, *, patient: str, has_prior: bool | None) -> StudyTruth:
    """The truth as a reference text states it, in CheXpert's classes."""
    facts = {
        name: Fact(name, said.present, said.side, said.change)
        for name, said in read_text(text, CHEXPERT).items()
        if said.present or said.change is Change.RESOLVED
    }
    comparable = (bool(compares(text)) if in_english(text) else None) if has_prior is not False else False
    return StudyTruth(identity, patient or identity, has_prior, comparable, facts)


def read_text(text: str, classes: Mapping[str, Iterable[Finding]]) -> dict[str, Said]:
    """What a text claims of each class it names. "Possible" counts as claimed, as in published label scores.

    Nothing of a text in another language than English, not even that it finds nothing.
    """
    if not in_english(text):
        return {}
    states = summary(text)
    found = {}
    for name, members in classes.items():
        inside = frozenset(members)
        named = [state for member, state in states.items() if member in inside]
        if named:
            found[name] = _joined(named)
    if NO_FINDING in classes:  # CheXpert's rule: nothing else is there, devices aside
        others = {name for name, said in found.items() if said.present} - {NO_FINDING, "Support Devices"}
        found[NO_FINDING] = Said(not others, Side.UNSPECIFIED, Change.NOT_COMPARED)
    return found


def _joined(states: list[FindingState]) -> Said:
    claimed = [state for state in states if state.status is not Status.ABSENT]
    telling = claimed or states
    named = {state.side for state in telling if state.side is not Side.UNSPECIFIED}
    side = named.pop() if len(named) == 1 else Side.BILATERAL if named else Side.UNSPECIFIED
    change = next((state.change for state in telling if state.change is not Change.NOT_COMPARED), Change.NOT_COMPARED)
    return Said(bool(claimed), side, change)


def own_classes(studies: Iterable[StudyTruth]) -> dict[str, frozenset[Finding]]:
    """The classes of a truth file: each finding it names is its own."""
    names = {name for study in studies for name in study.facts}
    return {str(finding): frozenset({finding}) for finding in Finding if str(finding) in names}

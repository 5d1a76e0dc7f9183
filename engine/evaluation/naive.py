"""What anybody could answer without a look at the images: the least a model must beat, always in the table.

Two of them: the prior's report copied (what a model without a sense of change comes to), and the same normal report for
everybody (what most studies of a screening population call for). Both are answers like any others, scored by the same
code. One for short answers to questions is in naive_vqa.py, one that looks at the images, but coarsely, in baseline.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.datasets.libra import Answer, Reference
from engine.evaluation.truth import NO_FINDING, read_text
from engine.reports.findings import CHEXPERT, compares

COPY, NORMAL = "copy-the-prior", "always-normal"
TITLES = {
    COPY: "Copy of the prior report",
    NORMAL: "Always the same normal report",
    "usual-answer": "Always the usual answer",
}

WRITTEN = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax. No acute fracture."
"""The normal report where no file has one."""


@dataclass(frozen=True)
class Naive:
    """Answers and where they come from. ``answers`` is empty, with the reason as ``note``, where there are none."""

    name: str
    answers: Mapping[str, Answer]
    note: str

    @property
    def title(self) -> str:
        """For a table."""
        return TITLES[self.name]


def rows_of(questions: Path, references: Mapping[str, Reference] = MappingProxyType({})) -> list[dict[str, Any]]:
    """The rows of a question file that has been read before, with their reference texts from elsewhere if given."""
    rows = [json.loads(line) for line in questions.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    for row in rows:
        if str(row["question_id"]) in references:
            row["reference"] = references[str(row["question_id"])].text
    return rows


def naive(rows: Sequence[Mapping[str, Any]], ids: Collection[str], training: Sequence[str] = ()) -> tuple[Naive, Naive]:
    """Both, for the questions ``ids`` of a file.

    Args:
        rows: all rows of the file, with their references: a prior study may be among those not asked about.
        ids: what is evaluated.
        training: the reports a model was trained on; the normal report is taken from them where there are any.
    """
    return copy_prior(rows, ids), always_normal(ids, training, _references(rows))


def copy_prior(rows: Sequence[Mapping[str, Any]], ids: Collection[str]) -> Naive:
    """The prior's report, where it is known, for the questions ``ids``.

    It is the row's "prior_report"; else the report of the row whose current image is this row's prior image; else, for
    a row with a prior, the report of the same patient's row before it in the file. Never one of the same study.
    """
    by_image = {_images(row)[0]: row for row in rows if _images(row)}
    said: dict[str, str] = {}
    before: dict[str, Mapping[str, Any]] = {}
    guessed: set[str] = set()
    for row in rows:
        given = row.get("prior_report")
        images = _images(row)
        paired = len(images) == 2 and images[0] != images[1]
        linked = by_image.get(images[1]) if paired else None
        earlier = before.get(_patient(row)) if paired and _patient(row) else None
        name = str(row["question_id"])
        if isinstance(given, str) and given.strip():
            said[name] = given
        elif (source := _other(row, linked) or _other(row, earlier)) is not None:
            said[name] = str(source["reference"])
            guessed |= {name} if source is not linked else set()
        if _patient(row):
            before[_patient(row)] = row
    said = {name: text for name, text in said.items() if name in ids}
    if not said:
        return Naive(COPY, {}, "n/a, because no row's prior report is known: 'prior_report', or the prior study's row")
    note = f"The prior report is known of {len(said)} of {len(ids)} studies; the others are not scored."
    if guessed & said.keys():
        note += (
            f" For {len(guessed & said.keys())} of them it is the patient's row before, taken to be the study before."
        )
    return Naive(COPY, _answers(COPY, said), note)


def always_normal(ids: Iterable[str], training: Sequence[str], references: Sequence[str]) -> Naive:
    """The most frequent report without a finding among the training reports, else among the references, else our own.

    One that was written a single time is nobody's habit and does not count.
    """
    for texts, source in ((training, "the training file"), (references, "the reference reports")):
        found = _usual(texts)
        if found:
            return Naive(NORMAL, _answers(NORMAL, dict.fromkeys(ids, found[0])), f"{found[1]} times in {source}.")
    note = "Neither the training file nor the references have a normal report twice: one of our own is taken."
    return Naive(NORMAL, _answers(NORMAL, dict.fromkeys(ids, WRITTEN)), note)


def _usual(texts: Sequence[str]) -> tuple[str, int] | None:
    """The most frequent normal report and how often it was written, up to case and marks."""
    forms: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for text in texts:
        key = " ".join(re.findall(r"\w+", text.lower()))
        counts[key] += 1
        forms.setdefault(key, text.strip())
    for key, count in counts.most_common():
        if count < 2:
            return None
        if key and _normal(forms[key]):
            return forms[key], count
    return None


def _normal(text: str) -> bool:
    said = read_text(text, CHEXPERT)
    devices = said.get("Support Devices")
    return NO_FINDING in said and said[NO_FINDING].present and not (devices and devices.present) and not compares(text)


def _answers(name: str, texts: Mapping[str, str]) -> dict[str, Answer]:
    return {identity: Answer(identity, "", text, "", name) for identity, text in texts.items()}


def _references(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["reference"] for row in rows if isinstance(row.get("reference"), str)]


def _images(row: Mapping[str, Any]) -> list[str]:
    value = row.get("image")
    return [value] if isinstance(value, str) else [str(name) for name in value or ()]


def _patient(row: Mapping[str, Any]) -> str:
    return str(row.get("patient") or row.get("subject_id") or "")


def _other(row: Mapping[str, Any], found: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """``found`` if it has a report and is not of the same study as ``row``."""
    if found is None or found is row or not str(found.get("reference") or "").strip():
        return None
    studies = [str(one.get("study") or one.get("study_id") or "") for one in (row, found)]
    return None if studies[0] and studies[0] == studies[1] else found

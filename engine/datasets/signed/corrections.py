"""What clinicians changed between a draft and their signature: sentences, and what the two texts say.

Findings are read by rules on both sides (``engine.reports.findings``), not by CheXbert. A finding that a text does not
name counts as not there; of a text without English none is counted. Counts only; nothing of a text is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.datasets.signed.questions import drafted
from engine.records import ReportDetail, Revision
from engine.reports import labels
from engine.reports.findings import FindingState, Side, Status, summary
from engine.reports.language import in_english

WITHOUT_MODEL = "written without a model"


@dataclass(frozen=True)
class Sentences:
    """Sentences of a report by what became of them; ``added`` ones are a person's own."""

    kept: int = 0
    edited: int = 0
    deleted: int = 0
    added: int = 0

    @property
    def changes(self) -> int:
        """How many are not the model's as they were."""
        return self.edited + self.deleted + self.added

    def __add__(self, other: Sentences) -> Sentences:
        return Sentences(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Correction:
    """What was changed in one report.

    Attributes:
        model, sha256: of the draft; "" for a report without one.
        findings: (finding, what was done): "added", "removed", "doubted", "confirmed" or "other side".
        changes: (finding, change in the draft, change that was signed).
    """

    model: str
    sha256: str
    sentences: Sentences
    findings: tuple[tuple[str, str], ...]
    changes: tuple[tuple[str, str, str], ...]


def correction(detail: ReportDetail, signed: Revision) -> Correction:
    """The changes of a signed report; those of one without a draft are sentences that were added."""
    sentences = counted(signed)
    draft = drafted(detail)
    if draft is None:
        return Correction("", "", sentences, (), ())
    drafted_text = " ".join(sentence.text for sentence in draft.sentences)
    if not (in_english(drafted_text) and in_english(signed.text)):
        return Correction(draft.model_name, draft.model_sha256, sentences, (), ())  # a translation adds no finding
    before, after = summary(drafted_text), summary(signed.text)
    findings: list[tuple[str, str]] = []
    changes: list[tuple[str, str, str]] = []
    for finding in dict.fromkeys((*before, *after)):
        first, last = before.get(finding), after.get(finding)
        done = _done(first, last)
        if done:
            findings.append((str(finding), done))
        if first is not None and last is not None and first.change is not last.change:
            changes.append((str(finding), str(first.change), str(last.change)))
    return Correction(draft.model_name, draft.model_sha256, sentences, tuple(findings), tuple(changes))


def counted(revision: Revision) -> Sentences:
    """The sentences of a decided revision by what became of them."""
    kinds = Counter(
        "deleted"
        if sentence.status == "rejected"
        else {"ai": "kept", "edited": "edited", "human": "added"}[sentence.origin]
        for sentence in revision.sentences
        if sentence.origin != "human" or sentence.status == "accepted"
    )
    return Sentences(**kinds)


def _done(first: FindingState | None, last: FindingState | None) -> str:
    before, after = (state.status if state is not None else Status.ABSENT for state in (first, last))
    claimed, stands = before is not Status.ABSENT, after is not Status.ABSENT
    if claimed != stands:
        return "added" if stands else "removed"
    if not claimed:
        return ""
    if before is not after:
        return "doubted" if after is Status.UNCERTAIN else "confirmed"
    sides = {state.side for state in (first, last) if state is not None} - {Side.UNSPECIFIED}
    return "other side" if len(sides) > 1 else ""


@dataclass
class Tally:
    """Corrections of many reports of one model, summed.

    Attributes:
        untouched: reports signed as they were drafted.
        findings: finding -> what was done -> reports.
        changes: "worse -> unchanged" -> finding -> reports.
    """

    model: str
    sha256: str = ""
    reports: int = 0
    untouched: int = 0
    sentences: Sentences = field(default_factory=Sentences)
    findings: dict[str, dict[str, int]] = field(default_factory=dict)
    changes: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, one: Correction) -> None:
        """Count one report."""
        self.reports += 1
        self.untouched += not one.sentences.changes
        self.sentences += one.sentences
        for finding, done in one.findings:
            _bump(self.findings.setdefault(finding, {}), done)
        for finding, before, after in one.changes:
            _bump(self.changes.setdefault(f"{before} -> {after}", {}), finding)


def _bump(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def tallied(corrections: Iterable[Correction]) -> dict[str, Any]:
    """All corrections together and model by model, as plain values.

    A model is told by the hash of its weights; one that a server ran has none, and is told by its name.
    """
    everything = Tally("all")
    models: dict[tuple[str, str], Tally] = {}
    for one in corrections:
        everything.add(one)
        models.setdefault(
            (one.sha256, "" if one.sha256 else one.model), Tally(one.model or WITHOUT_MODEL, one.sha256)
        ).add(one)
    ranked = sorted(models.values(), key=lambda tally: -tally.reports)
    return {"reading": labels.EXTRACTOR_LINE, "all": asdict(everything), "models": [asdict(t) for t in ranked]}

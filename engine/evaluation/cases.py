"""One answer to one study at a time: its scores, what it got wrong, and how its words differ from the reference.

For looking at single cases, the worst first. Findings and changes are read by the same rules as for the tables and are
just as fallible: a case that looks wrong here may be a text the rules misread. Cases hold patients' texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.datasets.libra import Answer, Reference
from engine.errors import DatasetError
from engine.evaluation import vqa
from engine.evaluation.judge.verdict import Invalid, Verdict
from engine.evaluation.meaning import STATED, Reading
from engine.evaluation.truth import NO_FINDING
from engine.reports.findings import Change, Side, compares

if TYPE_CHECKING:
    # Not at run time: it brings NLTK, and a screen that shows cases must not wait for that.
    from engine.evaluation.scoring import Evaluation, Tally

SCORES = ("BLEU4", "ROUGE-L", "Temporal_entity_score", "finding_f1_micro")
"""The scores of a single case. BLEU-4 is 0 without four equal words in a row."""

VQA_SCORES = ("vqa_score", "vqa_closed_accuracy", "vqa_open_recall", "vqa_open_f1", "ROUGE-L", "judge_correct_rate")
"""The same of a short answer to a question."""


class Fault(StrEnum):
    """What can be wrong with an answer, to filter by."""

    MISSED = "missed finding"
    INVENTED = "invented finding"
    SIDE = "wrong side"
    WRONG_CHANGE = "wrong change"
    MISSED_CHANGE = "missed change"
    INVENTED_CHANGE = "invented change"
    NO_PRIOR = "compares without a prior"
    NOT_COMPARED = "does not compare"


class ShortFault(StrEnum):
    """What can be wrong with a short answer to a question."""

    WRONG = "wrong answer"
    NEITHER = "neither yes nor no"
    NOTHING = "no word of the reference"
    INCOMPLETE = "incomplete answer"


@dataclass(frozen=True)
class Slip:
    """One fault: which finding, what is true of it and what was said; "" where it is about no single finding."""

    fault: str
    finding: str
    true: str = ""
    said: str = ""


UNREADABLE = "cannot be read"
"""In place of a verdict, where a judge's reply is none."""


@dataclass(frozen=True)
class Judgement:
    """What a judge said of an answer.

    Attributes:
        verdict: "correct", "incorrect", "neutral", or UNREADABLE.
        contradiction: whether the answer contradicts itself.
        confidence: the judge's in its verdict, 1 to 5; None where it gave none.
        reason: its own, or why its reply cannot be read.
    """

    verdict: str
    contradiction: bool = False
    confidence: int | None = None
    reason: str = ""

    @classmethod
    def of(cls, outcome: Verdict | Invalid) -> Judgement:
        """From a reply that was read."""
        if isinstance(outcome, Invalid):
            return cls(UNREADABLE, reason=outcome.why)
        return cls(outcome.ruling, outcome.contradiction, outcome.confidence, outcome.reason)


@dataclass(frozen=True)
class Case:
    """An answer to a study.

    Attributes:
        id, system: the study and who answered.
        scores: of SCORES, or VQA_SCORES, those that are defined.
        slips: everything that is wrong with it, as far as the rules can tell.
        reference, prediction: the texts; the reference is "" where there is truth alone.
        diff: (difflib's tag, words of the reference, words of the prediction), which together are both texts.
        judged: what a judge said of it; None where it was not asked.
    """

    id: str
    system: str
    scores: Mapping[str, float]
    slips: tuple[Slip, ...]
    reference: str
    prediction: str
    diff: tuple[tuple[str, str, str], ...]
    judged: Judgement | None = None

    def faults(self) -> frozenset[str]:
        """The kinds of its slips."""
        return frozenset(slip.fault for slip in self.slips)

    def to_line(self) -> str:
        """The case as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def cases(
    evaluation: Evaluation,
    system: str,
    answers: Mapping[str, Answer],
    references: Mapping[str, Reference],
    tally: Tally,
    judged: Mapping[str, Verdict | Invalid] = MappingProxyType({}),
) -> Iterator[Case]:
    """Every study that ``system`` has answered, in the order of the tally that was made of its answers.

    ``judged``: what a judge said of them, by the study.
    """
    short = evaluation.task == "vqa"
    each = {name: tally.each(name) for name in (VQA_SCORES if short else SCORES) if name in tally.measures}
    for place, identity in enumerate(tally.ids):
        text = answers[identity].text
        reference = references[identity].text if identity in references else ""
        if short:
            slips = tuple(_short_slips(references[identity], text))
        else:
            slips = tuple(_slips(evaluation.reading(identity, answers[identity])))
        yield Case(
            id=identity,
            system=system,
            scores={name: round(float(v[place]), 2) for name, v in each.items() if np.isfinite(v[place])},
            slips=slips,
            reference=reference,
            prediction=text,
            diff=word_diff(reference, text) if reference else (),
            judged=Judgement.of(judged[identity]) if identity in judged else None,
        )


def word_diff(reference: str, prediction: str) -> tuple[tuple[str, str, str], ...]:
    """The words of both texts in runs: "equal", "replace", "delete" (said too little) or "insert" (too much).

    Words are compared without regard to case and to marks at their ends; joined by spaces, the second parts are the
    reference and the third the prediction, up to white space.
    """
    gold, said = reference.split(), prediction.split()
    matcher = SequenceMatcher(None, list(map(_bare, gold)), list(map(_bare, said)), autojunk=False)
    return tuple((tag, " ".join(gold[a:b]), " ".join(said[c:d])) for tag, a, b, c, d in matcher.get_opcodes())


def _bare(word: str) -> str:
    lowered = word.lower()
    return lowered.rstrip(".,;:!?") or lowered


def worst_first(found: Iterable[Case], key: str = "finding_f1_micro") -> list[Case]:
    """Cases by a score, the lowest first; of equal ones the one with more slips. Those without the score come last."""
    return sorted(found, key=lambda case: (key not in case.scores, case.scores.get(key, 0.0), -len(case.slips)))


def chosen(
    found: Iterable[Case], *, systems: Sequence[str] = (), faults: Sequence[str] = (), finding: str = ""
) -> list[Case]:
    """The cases of these systems that have one of these faults, about this finding; all where nothing is named."""
    return [
        case
        for case in found
        if (not systems or case.system in systems)
        and (
            not (faults or finding)
            or any((not faults or slip.fault in faults) and finding in ("", slip.finding) for slip in case.slips)
        )
    ]


def read_cases(file: Path) -> list[Case]:
    """The cases of a cases.jsonl.

    Raises:
        DatasetError: lines that are no cases.
    """
    names = {field.name for field in fields(Case)} - {"slips", "diff", "judged"}
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if not line:
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            slips = tuple(Slip(**slip) for slip in row.pop("slips"))
            diff = tuple((str(tag), str(a), str(b)) for tag, a, b in row.pop("diff"))
            said = row.get("judged")
            judged = Judgement(**said) if said is not None else None
            found.append(Case(slips=slips, diff=diff, judged=judged, **{name: row[name] for name in names}))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
            reason = ((number, "not a case as 'score' writes it"),)
            raise DatasetError(f"'{file.name}' cannot be read; 'score' writes it anew.", reason) from cause
    return found


def _short_slips(reference: Reference, text: str) -> Iterator[Slip]:
    form = vqa.form_of(reference)
    if form == "closed" and not vqa.closed_right(reference.text, text):
        said = vqa.chosen(reference.text, text)
        silent = vqa.by_yes_or_no(reference.text) and not said
        yield Slip(ShortFault.NEITHER if silent else ShortFault.WRONG, "", true=reference.text, said=said)
    if form == "open":
        found = vqa.overlap(reference.text, text)
        if not found.recall:
            yield Slip(ShortFault.NOTHING, "", true=reference.text)
        elif found.recall < 1:
            yield Slip(ShortFault.INCOMPLETE, "", true=reference.text)


def _slips(reading: Reading) -> Iterator[Slip]:
    for name in dict.fromkeys((*reading.truth.facts, *reading.said)):
        if name != NO_FINDING:
            yield from _of_finding(reading, name)
    if reading.compared is False and compares(reading.text):
        yield Slip(Fault.NO_PRIOR, "")
    if reading.compared and reading.truth.comparable and not compares(reading.text):
        yield Slip(Fault.NOT_COMPARED, "")


def _of_finding(reading: Reading, name: str) -> Iterator[Slip]:
    fact, said = reading.truth.facts.get(name), reading.said.get(name)
    there, claimed = bool(fact and fact.present), bool(said and said.present)
    if there and not claimed:
        yield Slip(Fault.MISSED, name, true="present", said="absent" if said else "not mentioned")
    if claimed and not there:
        yield Slip(Fault.INVENTED, name, true="absent", said="present")
    sides = {fact.side, said.side} - {Side.UNSPECIFIED} if fact and said and there and claimed else set()
    if fact and said and len(sides) == 2:
        yield Slip(Fault.SIDE, name, true=str(fact.side), said=str(said.side))
    if reading.compared is False:
        return  # whatever it says of a change, it cannot have seen one
    true = fact.change if fact and fact.change in STATED else Change.NOT_COMPARED
    told = said.change if said and said.change in STATED else Change.NOT_COMPARED
    if true is told or (there != claimed and told is Change.NOT_COMPARED):
        return  # right, or a finding that is missed as such
    if told is Change.NOT_COMPARED:
        yield Slip(Fault.MISSED_CHANGE, name, true=str(true), said=str(told))
    elif true is Change.NOT_COMPARED:
        yield Slip(Fault.INVENTED_CHANGE, name, true=str(true), said=str(told))
    else:
        yield Slip(Fault.WRONG_CHANGE, name, true=str(true), said=str(told))

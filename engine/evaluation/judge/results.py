"""What a judge said of every system of an evaluation, for its score sheet, and as one file for each system.

    evaluation_NAME.json    {"model", "judge", "prompt_sha256", the names of summary.py, "denominators", "intervals",
                             "not_judged", "calibration", "note"}

NAME is what the system is called; where exactly a model and what was made of it were judged, "pretrained" and
"finetuned". Its figures have a section of their own and tests of their own; they stand among the headline scores only
where people's grades say that the judge grades as they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.datasets.libra import IMAGE_TEXT, Answer, Reference
from engine.drafting.question import CONTEXT
from engine.errors import UsageError
from engine.evaluation.comparing import Compared, compared
from engine.evaluation.judge import kept
from engine.evaluation.judge.human import Calibration, Grades, calibrate, kept_grades, read_grades
from engine.evaluation.judge.kept import Item
from engine.evaluation.judge.summary import KEYS, Outcome, Summary, measures, summarise
from engine.evaluation.judge.verdict import PROMPT_SHA256
from engine.evaluation.keys import JUDGED
from engine.evaluation.report_figures import p
from engine.evaluation.scoring import Evaluation, Tally
from engine.evaluation.statistics import Score

LEVEL = 0.05

UNCALIBRATED = "Nobody has graded answers to hold this judge against: its figures are an opinion and no headline."
NOTE = (
    "Rates are over the replies of the judge that can be read; those ending in _total, and invalid_format_rate, are "
    "over all answers. Confidence and invalid replies are the judge's, not the model's. Research use only."
)


@dataclass(frozen=True)
class Results:
    """A judge's figures.

    Attributes:
        judge: its id.
        summaries: name of the system -> its table.
        not_judged: name -> answers that the judge was not asked about, or declined.
        compared: systems against the chosen one; None where there is nobody to compare.
        calibration: with people's grades; None where there are none.
    """

    judge: str
    summaries: Mapping[str, Summary]
    not_judged: Mapping[str, int]
    compared: Compared | None
    calibration: Calibration | None

    @property
    def headline(self) -> bool:
        """Whether its figures may stand among the headline scores."""
        return self.calibration is not None and self.calibration.enough

    @property
    def caution(self) -> str:
        """What must be said beside its figures."""
        return UNCALIBRATED if self.calibration is None else self.calibration.sentence


@dataclass(frozen=True)
class Said:
    """What a judge has said so far: its id, "" for nobody; what it said ``of`` every system's answers, by question id.

    ``asked`` counts the answers that there are of each; ``grades`` are those of people that the folder keeps.
    """

    judge: str
    of: Mapping[str, Mapping[str, Outcome]]
    asked: Mapping[str, int]
    grades: Grades

    @classmethod
    def read(cls, folder: Path, asked: Mapping[str, Sequence[Item]]) -> Said:
        """What lies in an evaluation's folder of whoever judged last, about the answers as they are now."""
        judge = kept.last_judge(folder)
        of = {name: _outcomes(folder, judge, name, some) for name, some in asked.items() if judge}
        spoken = {name: said for name, said in of.items() if said}
        return cls(judge, spoken, {name: len(asked[name]) for name in asked}, kept_grades(folder) if spoken else {})

    def added_to(self, tally: Tally, name: str) -> Tally:
        """The tally of a system with the judge's scores."""
        if name not in self.of:
            return tally
        found = measures([self.of[name].get(identity) for identity in tally.ids])
        return replace(tally, measures={**tally.measures, **found})

    def results(
        self, evaluation: Evaluation, tallies: Mapping[str, Tally], against: str, grades: Path | None
    ) -> Results | None:
        """Its figures; None where it has said nothing. ``grades`` stand in for those that the folder keeps.

        Raises:
            UsageError: there are grades and nothing to hold them against. DatasetError: rows that are no grades.
        """
        if not self.of:
            if grades is not None:
                raise UsageError("Grades are held against a judge's, and nobody has judged here: give --judge.")
            return None
        judged = {name: tallies[name] for name in self.of}
        owners = {identity: evaluation.owner(identity) for identity in evaluation.ids}
        given = read_grades(grades, list(self.of)) if grades is not None else self.grades
        return Results(
            judge=self.judge,
            summaries={name: summarise(list(said.values())) for name, said in self.of.items()},
            not_judged={name: self.asked[name] - len(said) for name, said in self.of.items()},
            compared=compared(evaluation, judged, against, JUDGED) if against in judged else None,
            calibration=calibrate(given, self.of, owners) if given else None,
        )


def items(references: Mapping[str, Reference], answers: Mapping[str, Answer]) -> list[Item]:
    """What a judge is shown of the answers that have a reference: no image, no clinical context, nobody's name."""
    return [
        Item(identity, _bare(reference.question), reference.text, answers[identity].text)
        for identity, reference in references.items()
        if identity in answers and reference.text.strip()
    ]


def _outcomes(folder: Path, judge: str, name: str, asked: Sequence[Item]) -> dict[str, Outcome]:
    known = kept.records(kept.file_of(folder, name))
    found = ((item.id, known.get((item.id, kept.key(judge, item)))) for item in asked)
    return {identity: record.outcome for identity, record in found if record is not None}


PRETRAINED, FINETUNED = "pretrained", "finetuned"


def file_names(results: Results, tuned_from: Mapping[str, str]) -> dict[str, str]:
    """Name of every system judged -> the name of its file.

    Args:
        results: of the judge.
        tuned_from: name of a system -> that of the one it was made from, "" for none.
    """
    names = list(results.summaries)
    labels = dict(zip(names, names, strict=True))
    for base, tuned in (names, names[::-1]) if len(names) == 2 else ():
        if tuned_from.get(tuned) == base and not {PRETRAINED, FINETUNED}.intersection(names):
            labels = {base: PRETRAINED, tuned: FINETUNED}
    return {name: f"evaluation_{label}.json" for name, label in labels.items()}


def sentence(results: Results, name: str, against: str) -> str:
    """Whether a system's share of correct answers differs from the chosen one's, or may do so by chance."""
    comparison = results.compared.found.get(name) if results.compared is not None else None
    gain = comparison.differences.get("judge_correct_rate") if comparison else None
    if comparison is None or gain is None:
        return ""
    table = comparison.discordances["judge_correct_rate"]
    chance = gain.p_holm >= LEVEL
    said = "may be chance: nothing shows that one is better" if chance else "is more than chance explains"
    return (
        f"{name} against {against}, judged correct of the valid replies: {gain.value:+.1f} percentage points (95 % "
        f"interval {gain.low:+.1f} to {gain.high:+.1f}, p {p(gain.p_holm)} after Holm). Both have a valid reply for "
        f"{table.items} questions: {table.first} are judged correct only for {against}, {table.second} only for {name} "
        f"(McNemar, p {p(table.p)}). The difference {said}."
    )


def plain(results: Results, name: str, scores: Mapping[str, Score]) -> dict[str, Any]:
    """evaluation_NAME.json."""
    summary = results.summaries[name]
    intervals = {
        published: [round(score.low * scale, 6), round(score.high * scale, 6)]
        for key, published in KEYS.items()
        if (score := scores.get(key)) is not None and score.low is not None and score.high is not None
        for scale in (1.0 if published == "average_confidence" else 0.01,)
    }
    return {
        "model": name,
        "judge": results.judge,
        "prompt_sha256": PROMPT_SHA256,
        **summary.plain(),
        "denominators": {"valid": summary.valid_responses, "total": summary.total_responses},
        "intervals": intervals,
        "not_judged": results.not_judged[name],
        "calibration": None if results.calibration is None else asdict(results.calibration),
        "note": f"{results.caution} {NOTE}",
    }


def _bare(question: str) -> str:
    return question.replace(IMAGE_TEXT, "").partition(CONTEXT)[0].strip()

"""What a judge's verdicts come to: rates over the replies that can be read, and over all answers.

    total_responses         answers that were put to the judge
    valid_responses         its replies that can be read
    correct_rate, incorrect_rate, neutral_rate, contradiction_rate      of the valid ones
    correct_rate_total, incorrect_rate_total, neutral_rate_total        of all
    invalid_format_rate     of all: a property of the judge, not of the model that answered
    average_confidence      mean of the confidences it gave (1 to 5): the judge's in itself
    confidence_completeness of the valid ones, those with a confidence

The names are those of a published table for VQA-RAD, whose rates of verdicts leave the invalid ones out. A rate
over valid replies is flattered where the judge fails on answers that are hard to grade, so both stand side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from engine.evaluation.judge.verdict import RULINGS, Invalid, Verdict
from engine.evaluation.statistics import Measure, mean, share

Outcome = Verdict | Invalid

KEYS = {
    "judge_correct_rate": "correct_rate",
    "judge_correct_rate_total": "correct_rate_total",
    "judge_incorrect_rate": "incorrect_rate",
    "judge_incorrect_rate_total": "incorrect_rate_total",
    "judge_neutral_rate": "neutral_rate",
    "judge_neutral_rate_total": "neutral_rate_total",
    "judge_contradiction_rate": "contradiction_rate",
    "judge_invalid_format_rate": "invalid_format_rate",
    "judge_average_confidence": "average_confidence",
    "judge_confidence_completeness": "confidence_completeness",
}
"""Key of a score sheet -> name in the published table. Score sheets are in percent, the table is in shares."""


@dataclass(frozen=True)
class Summary:
    """The table of one system; rates from 0 to 1, None where there is nothing to divide by."""

    total_responses: int
    valid_responses: int
    correct_rate: float | None
    incorrect_rate: float | None
    neutral_rate: float | None
    contradiction_rate: float | None
    invalid_format_rate: float | None
    average_confidence: float | None
    confidence_completeness: float | None
    correct_rate_total: float | None
    incorrect_rate_total: float | None
    neutral_rate_total: float | None

    def plain(self) -> dict[str, float | int | None]:
        """By name, rounded."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """The table of the outcomes of one system."""
    valid = [one for one in outcomes if isinstance(one, Verdict)]
    counted = Counter(one.ruling for one in valid)
    given = [one.confidence for one in valid if one.confidence is not None]
    correct, incorrect, neutral = (counted[ruling] for ruling in RULINGS)
    return Summary(
        total_responses=len(outcomes),
        valid_responses=len(valid),
        correct_rate=_share(correct, valid),
        incorrect_rate=_share(incorrect, valid),
        neutral_rate=_share(neutral, valid),
        contradiction_rate=_share(sum(one.contradiction for one in valid), valid),
        invalid_format_rate=_share(len(outcomes) - len(valid), outcomes),
        average_confidence=_share(sum(given), given),
        confidence_completeness=_share(len(given), valid),
        correct_rate_total=_share(correct, outcomes),
        incorrect_rate_total=_share(incorrect, outcomes),
        neutral_rate_total=_share(neutral, outcomes),
    )


def measures(outcomes: Sequence[Outcome | None]) -> dict[str, Measure]:
    """The same as scores of a sheet, for every study; None where an answer was not judged."""

    def of_valid(says: Callable[[Verdict], bool | float | None]) -> list[float | None]:
        return [_number(says(one)) if isinstance(one, Verdict) else None for one in outcomes]

    found = {}
    for ruling in RULINGS:
        said = [isinstance(one, Verdict) and one.ruling == ruling for one in outcomes]
        rows = [None if one is None else float(yes) for one, yes in zip(outcomes, said, strict=True)]
        found[f"judge_{ruling}_rate_total"] = share(rows)
        found[f"judge_{ruling}_rate"] = share(
            [row if isinstance(one, Verdict) else None for one, row in zip(outcomes, rows, strict=True)]
        )
    found["judge_contradiction_rate"] = share(of_valid(lambda one: one.contradiction))
    found["judge_invalid_format_rate"] = share(
        [None if one is None else float(isinstance(one, Invalid)) for one in outcomes]
    )
    found["judge_average_confidence"] = mean(of_valid(lambda one: one.confidence), scale=1.0)
    found["judge_confidence_completeness"] = share(of_valid(lambda one: one.confidence is not None))
    return {key: found[key] for key in KEYS if found[key].support.any()}


def _share(part: float, whole: Sequence[object]) -> float | None:
    return part / len(whole) if whole else None


def _number(value: bool | float | None) -> float | None:
    return None if value is None else float(value)

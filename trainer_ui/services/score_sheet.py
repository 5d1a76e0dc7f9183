"""The scores of an evaluation as scores.json has them, and what they allow to be said.

Everything said of a difference rests on its p value after the correction, as in the report: below LEVEL it is called
better or worse, else the two cannot be told apart. Baselines are not tested; of them only the interval speaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import Any, Literal

from engine.errors import DatasetError
from engine.evaluation.keys import KEYS, Key, describe, headline, named
from engine.evaluation.meaning import STATED
from engine.evaluation.statistics import Difference, Score
from engine.evaluation.subgroups import FEWEST, Part
from trainer_ui.services import judge_sheet
from trainer_ui.services.evaluations import SCORES
from trainer_ui.services.judge_sheet import Discordance, Judge

LEVEL = 0.05
"""Of p values after the correction."""

Verdict = Literal["better", "worse", "unclear", "same", "ahead", "behind", "even"]

VERDICTS: Mapping[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "may be chance",
    "same": "no difference",
    "ahead": "ahead, not tested",
    "behind": "behind, not tested",
    "even": "not told apart, not tested",
}

GROUPS: Mapping[str, tuple[str, str]] = {
    "findings": ("finding_f1", "Findings"),
    "sizes": ("finding_recall", "Findings by size"),
    "changing": ("progression_accuracy", "Change by finding"),
    "changes": ("progression_accuracy", "Change by kind of change"),
    "chexbert": ("chexbert_f1", "Findings by CheXbert"),
    "closed": ("vqa_closed_accuracy", "Closed questions"),
    "recall": ("vqa_open_recall", "Open questions, recall"),
    "open": ("vqa_open_f1", "Open questions, F1"),
    "exact": ("vqa_open_exact_match", "Open questions, exact match"),
    "all": ("vqa_accuracy", "All questions"),
}
"""Scores that there are one of for each class, size, change or type of question: what stands before the bracket of
their keys, and what they are called together."""

_CHANGES = frozenset(map(str, STATED))
_JUDGED, _AS_LLAVA_MED = "judge_", "vqa_llava_med"

_NEEDS = {
    "chexbert_f1": "n/a, because no CheXbert checkpoint was given",
    "radgraph_f1": "n/a, because no environment with RadEval was given",
    "RG_ER": "n/a, because no environment with RadEval was given",
    "radcliq_v1": "n/a, because no environment with RadEval was given",
    "ratescore": "n/a, because no environment with RadEval was given",
}
"""Scores that are not even mentioned where what they need was not given, and that."""


@dataclass(frozen=True)
class System:
    """One that answered, or a baseline. ``differences`` are to the chosen system; p is nan where nothing was tested.

    ``discordances`` are of scores that are right or wrong question by question. The others are as in
    `engine.evaluation.assessment.System`.
    """

    name: str
    title: str
    baseline: bool
    about: Mapping[str, Any]
    note: str
    studies: int
    patients: int
    left_out: int
    cut_off: int
    seconds: float | None
    precisions: tuple[str, ...]
    notes: tuple[str, ...]
    scores: Mapping[str, Score]
    differences: Mapping[str, Difference]
    compared: tuple[int, int]
    parts: tuple[Part, ...]
    discordances: Mapping[str, Discordance] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """Its own wording of the question; "" for that of the file."""
        return str((self.about.get("prompt") or {}).get("text") or "")

    def verdict(self, key: str) -> Verdict | None:
        """What its difference in a score allows to be said; None where there is no difference."""
        gain = self.differences.get(key)
        better = describe(key).higher_is_better
        if gain is None or better is None:
            return None
        if gain.value == gain.low == gain.high == 0:
            return "same"
        if self.baseline:
            unsure = gain.low == gain.high and self.compared[1] < FEWEST  # of so few, equal draws say nothing
            if unsure or isnan(gain.low) or gain.low <= 0 <= gain.high:
                return "even"
            return "ahead" if (gain.low > 0) == better else "behind"
        if not gain.p_holm < LEVEL or not gain.value:
            return "unclear"
        return "better" if (gain.value > 0) == better else "worse"

    def keys(self, verdict: Verdict) -> list[str]:
        """The scores of which that can be said."""
        return [key for key in self.differences if self.verdict(key) == verdict]


@dataclass(frozen=True)
class Sheet:
    """The scores of an evaluation; the fields are those of scores.json, ``leading`` its "headline"."""

    made: str
    asked: Mapping[str, Any]
    studies: int
    patients: int
    with_prior: int | None
    against: str
    tests: int
    positives: Mapping[str, int]
    notes: tuple[str, ...]
    systems: tuple[System, ...]
    task: str = "report"
    judge: Judge | None = None
    leading: tuple[str, ...] = ()

    @property
    def short(self) -> bool:
        """Whether questions were answered shortly; else reports were written."""
        return self.task == "vqa"

    @property
    def item(self) -> tuple[str, str]:
        """What is answered one by one, one of them and several."""
        return ("question", "questions") if self.short else ("study", "studies")

    @property
    def scored(self) -> tuple[System, ...]:
        """Those that have scores."""
        return tuple(one for one in self.systems if one.scores)

    @property
    def models(self) -> tuple[System, ...]:
        """Those that are no baselines and have scores."""
        return tuple(one for one in self.scored if not one.baseline)

    @property
    def chosen(self) -> System | None:
        """The one that the others are compared with."""
        return next((one for one in self.scored if one.name == self.against), None)

    @property
    def compared(self) -> tuple[System, ...]:
        """The models that are compared with the chosen one."""
        return tuple(one for one in self.models if one.name != self.against and one.differences)

    @property
    def tuned(self) -> System | None:
        """The model the evaluation is most likely about: the first that was made from another, else the last one."""
        made = [one for one in self.models if one.about.get("tuned_from")]
        return next(iter(made), None) or next(reversed(self.compared), None) or next(iter(self.models), None)

    def headline(self) -> list[str]:
        """The headline scores that anybody has a value of, in the order in which the file names them."""
        return [key for key in self.leading or headline(self.task) if self._has(key)]

    def rest(self) -> list[str]:
        """All other scores of the whole, in their order; those of the judge and LLaVA-Med's way of counting aside."""
        apart = (*self.headline(), *headline(self.task), *self.judged(), *self.as_llava_med())
        return [key for key in self.keys() if key not in apart and "[" not in key and self._has(key)]

    def judged(self) -> list[str]:
        """The scores that the judge gave."""
        return [key for key in self.keys() if key.startswith(_JUDGED) and self._has(key)]

    def as_llava_med(self) -> list[str]:
        """Scores that are there for comparison with figures which others have computed so."""
        return [key for key in self.keys() if key.startswith(_AS_LLAVA_MED) and self._has(key)]

    def by_judge(self) -> list[System]:
        """The systems that were judged, with the judge's differences in the place of their own."""
        said = self.judge.systems if self.judge is not None else {}
        return [
            replace(one, differences=said[one.name].differences, discordances=said[one.name].discordances)
            for one in self.scored
            if one.name in said
        ]

    def types(self) -> list[str]:
        """The types of question that scores are given for."""
        return list(dict.fromkeys(inside(key) for key in self.keys() if key.startswith("vqa_") and "[" in key))

    def of_type(self, kind: str) -> list[str]:
        """The headline scores of a type of question."""
        return [key for key in (f"{stem}[{kind}]" for stem in self.headline()) if self._has(key)]

    def inner(self, group: str) -> list[str]:
        """The keys of one of GROUPS that anybody has a value of."""
        stem, _ = GROUPS[group]
        found = [key for key in self.keys() if key.startswith(f"{stem}[") and self._has(key)]
        if group in ("changing", "changes"):
            found = [key for key in found if (inside(key) in _CHANGES) == (group == "changes")]
        return found

    def absent(self) -> dict[str, str]:
        """Scores that nobody has a value of, with the reason."""
        reasons = {key: score.note for one in self.scored for key, score in one.scores.items() if score.value is None}
        if self.task == "report":
            known = [key for key in headline(self.task) if key not in self.keys()]
            reasons |= {key: note for key in known for stem, note in _NEEDS.items() if key.startswith(stem)}
        return {key: note for key, note in reasons.items() if note and "[" not in key and not self._has(key)}

    def keys(self) -> list[str]:
        """All keys, in the order of `engine.evaluation.keys`."""
        order = {name: place for place, name in enumerate(KEYS)}
        names = dict.fromkeys(name for one in self.scored for name in one.scores if named(name))
        return sorted(names, key=lambda name: order.get(name, order.get(f"{name.partition('[')[0]}[...]", len(order))))

    def _has(self, key: str) -> bool:
        return any((score := one.scores.get(key)) is not None and score.value is not None for one in self.scored)


def read(folder: Path) -> Sheet:
    """The scores in an evaluation's folder. Raises DatasetError where they cannot be read."""
    file = folder / SCORES
    try:
        status = file.stat()
        return _read(file, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise DatasetError(f"The scores of '{folder.name}' cannot be read; score it again.") from cause


def inside(key: str) -> str:
    """The class, size, change or type of question in the brackets of a key."""
    return key[key.index("[") + 1 : -1]


def says(group: str, key: str) -> str:
    """What the scores of one of GROUPS are, of which ``key`` is one."""
    stem, _ = GROUPS[group]
    return describe(stem if named(stem) else key).says


def about(key: str) -> Key:
    """What a score is."""
    return describe(key)


@lru_cache(maxsize=4)
def _read(file: Path, size: int, changed: int) -> Sheet:
    content = json.loads(file.read_text(encoding="utf-8"))
    systems = [_system(name, entry, False) for name, entry in content["models"].items()]
    systems += [_system(name, entry, True) for name, entry in content["baselines"].items()]
    return Sheet(
        made=str(content["made"]),
        asked=content["asked"],
        studies=int(content["studies"]),
        patients=int(content["patients"]),
        with_prior=content["with_prior"],
        against=str(content["against"]),
        tests=int(content["tests"]),
        positives=content.get("positives") or {},
        notes=tuple(content["notes"]),
        systems=tuple(systems),
        task=str(content.get("task") or "report"),
        judge=judge_sheet.read(content.get("judge")),
        leading=tuple(str(key) for key in content.get("headline") or () if named(str(key))),
    )


def _system(name: str, entry: Mapping[str, Any], baseline: bool) -> System:
    comparison = entry["comparison"]
    gains = {key: one for key, one in comparison["differences"].items() if named(key)}
    return System(
        name=name,
        title=str(entry["title"]),
        baseline=baseline,
        about=entry["about"],
        note=str(entry["note"]),
        studies=int(entry["studies"]),
        patients=int(entry["patients"]),
        left_out=int(entry["left_out"]),
        cut_off=int(entry["cut_off"]),
        seconds=entry["seconds"],
        precisions=tuple(entry["precisions"]),
        notes=tuple(entry["notes"]),
        scores={key: _score(one) for key, one in entry["scores"].items() if named(key)},
        differences={key: judge_sheet.difference(one) for key, one in gains.items()},
        discordances={key: judge_sheet.discordance(one["mcnemar"]) for key, one in gains.items() if one.get("mcnemar")},
        compared=(int(comparison["studies"]), int(comparison["patients"])),
        parts=tuple(
            Part(
                str(part["division"]),
                str(part["name"]),
                int(part["studies"]),
                int(part["patients"]),
                {key: _score(one) for key, one in part["scores"].items() if named(key)},
            )
            for part in entry["parts"]
        ),
    )


def _score(entry: Mapping[str, Any]) -> Score:
    low, high = entry.get("interval") or (None, None)
    return Score(entry["value"], low, high, int(entry.get("studies") or 0), str(entry.get("note") or ""))

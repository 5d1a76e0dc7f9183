"""What lies beside a model that was promoted, for whoever shows it: when and from where, its certificate, its scores.

    interval.json       "promoted": {"when", "from", "certificate", "evaluation": {"name", "of", "basis"}}
    certificate.json    of a merged model: what the comparison with base and adapter gave
    evaluation.json     the scores of an evaluation in which the model answered (engine.evaluation's scores.json)

Files may be damaged or come from elsewhere: what cannot be read is not there. Needs no torch, so that a page may look
at any time; knows the form of scores.json and no score by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine import paths

PROMOTED, CERTIFICATE, EVALUATION = "promoted", "certificate.json", "evaluation.json"
OF_MERGED = "merged_from"

FIRST = (
    "finding_f1_micro", "progression_f1_macro_3", "radgraph_f1", "chexbert_f1_micro_14", "Temporal_entity_score",
    "prior_hallucination_rate", "ROUGE-L", "BLEU4",
)  # fmt: skip
"""Scores in the order in which they are chosen for the few that are shown at first: content before wording."""

FEW = 4
LEVEL = 0.05
"""Below this a difference is not taken for chance."""

Basis = Literal["weights", "adapter"]
"""Whether the evaluation was of these weights, or of the adapter they were merged from."""


@dataclass(frozen=True)
class Figure:
    """A score with its interval, and the same of the model it is compared with; None for what there is not.

    Attributes:
        unit: "%" for scores from 0 to 100.
        better: which way is better; None where neither is.
        gain, p: the difference to the base and how likely chance alone makes one as large, corrected for all tests.
    """

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"] | None
    value: float
    interval: tuple[float, float] | None
    base: float | None = None
    base_interval: tuple[float, float] | None = None
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    p: float | None = None

    @property
    def verdict(self) -> Literal["better", "worse", "unclear", ""]:
        """What the test allows to be said of the difference; "" where there was none."""
        if self.p is None or self.gain is None or self.better is None:
            return ""
        if self.p >= LEVEL or not self.gain:
            return "unclear"
        return "better" if (self.gain > 0) == (self.better == "higher") else "worse"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation as far as one of its models is concerned.

    Attributes:
        name: the evaluation's, "" where it does not say.
        made: when it was scored.
        of: what the model is called there.
        basis: see Basis.
        against: the model it is compared with, "" for none; in the figures, ``base`` is its score.
        studies, patients: that were scored.
        precisions: in which the model wrote.
        figures: its scores, the few for a first look before the others.
        notes: sentences that hold for all of them.
    """

    name: str
    made: str
    of: str
    basis: Basis
    against: str
    studies: int
    patients: int
    precisions: tuple[str, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]

    @property
    def few(self) -> tuple[Figure, ...]:
        """The figures for a first look."""
        return self.figures[:FEW]


@dataclass(frozen=True)
class Promotion:
    """One promoted model.

    Attributes:
        folder, name: where, and what it is called in the viewer.
        when: ISO 8601.
        source: the folder it was copied from, as text.
        certificate: what it says in one line, "" where there is none.
        demonstration: made to show the program, not to read radiographs.
        evaluated: None where it was promoted without an evaluation.
    """

    folder: Path
    name: str
    when: str
    source: str
    certificate: str
    demonstration: bool
    evaluated: Evaluated | None


def read(folder: Path) -> Promotion | None:
    """The promotion of the model in ``folder``; None for one that was not promoted."""
    record = content(folder / "interval.json")
    said = record.get(PROMOTED)
    if not isinstance(said, Mapping):
        return None
    about = said.get("evaluation")
    scores = content(folder / EVALUATION) if isinstance(about, Mapping) else {}
    return Promotion(
        folder=folder,
        name=folder.name,
        when=_text(said.get("when")),
        source=_text(said.get("from")),
        certificate=certified(content(folder / CERTIFICATE)) or _text(said.get("certificate")),
        demonstration=record.get("demonstration") is True,
        evaluated=evaluated(scores, about) if isinstance(about, Mapping) else None,
    )


def certified(said: Mapping[str, Any]) -> str:
    """A certificate in one plain line; "" for one that does not say enough."""
    same, cases, stored = _number(said, "same_texts"), _number(said, "cases"), _text(said.get("dtype"))
    if same is None or cases is None or not stored or said.get("passed") is not True:
        return ""
    texts = f"{same:.0f} of {cases:.0f} texts the same"
    quantised = _text(said.get("quantization"))
    if quantised not in ("", "none"):
        return f"Stored in {quantised}: near to base and adapter, not the same; {texts}."
    return f"Certified to be base and adapter in one: {texts}, stored in {stored}."


def promoted() -> tuple[Promotion, ...]:
    """All promoted models in ``models/``, newest first."""
    root = paths.models()
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = (read(folder) for folder in folders if not folder.name.startswith("."))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.when, reverse=True))


def contender(
    scores: Mapping[str, Any], sha256: str, made_of: str = "", quantization: str = "none"
) -> tuple[str, Basis] | None:
    """Which of the models in ``scores`` has these weights, in the questions' own wording where it has answered in more.

    Args:
        scores: of scores.json.
        sha256: of the model, as drafts and evaluations name it.
        made_of: the same of the base and adapter it was merged from: what these wrote, the merged model would write.
        quantization: in which it is stored. Quantised, it is another model than base and adapter, unless these were
            evaluated in the same quantisation.
    """
    known = [(name, _part(system, "about")) for name, system in _systems(scores).items()]
    known = sorted(known, key=lambda one: one[1].get("prompt") is not None)
    for name, about in known:
        if sha256 and about.get("sha256") == sha256:
            return name, "weights"
    for name, about in known:
        same = quantization == "none" or about.get("quantization") == quantization
        if made_of and about.get("sha256") == made_of and same:
            return name, "adapter"
    return None


def evaluated(scores: Mapping[str, Any], about: Mapping[str, Any]) -> Evaluated | None:
    """What ``scores`` say of the model that ``about`` names ("of"); None where they say nothing of it."""
    systems, of = _systems(scores), _text(about.get("of"))
    if of not in systems:
        return None
    own = systems[of]
    base = _text(_part(own, "about").get("tuned_from")) or _text(scores.get("against"))
    against = base if base in systems and base != of else ""
    gains = _part(_part(own, "comparison"), "differences") if scores.get("against") == against else {}
    keys = _part(scores, "keys")
    other = _part(systems[against], "scores") if against else {}
    figures = []
    for key, score in _part(own, "scores").items():
        value = _number(score, "value")
        if value is not None:
            figures.append(_figure(key, value, score, other.get(key), gains.get(key), keys))
    places = {key: place for place, key in enumerate(FIRST)}
    return Evaluated(
        name=_text(about.get("name")),
        made=_text(scores.get("made")),
        of=of,
        basis="adapter" if about.get("basis") == "adapter" else "weights",
        against=against,
        studies=int(_number(own, "studies") or 0),
        patients=int(_number(own, "patients") or 0),
        precisions=tuple(_texts(own.get("precisions"))),
        figures=tuple(sorted(figures, key=lambda one: places.get(one.key, len(places)))),
        notes=tuple(_texts(scores.get("notes"))),
    )


def content(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _figure(key: str, value: float, score: Any, other: Any, gain: Any, keys: Mapping[str, Any]) -> Figure:
    stem, bracket, rest = key.partition("[")
    known = _part(keys, key) or _part(keys, f"{stem}[...]")
    title = _text(known.get("title")) or stem
    higher = known.get("higher_is_better")
    return Figure(
        key=key,
        title=f"{title}: {rest.rstrip(']')}" if bracket else title,
        unit=_text(known.get("unit")),
        better=("higher" if higher else "lower") if isinstance(higher, bool) else None,
        value=value,
        interval=_interval(score),
        base=_number(other, "value"),
        base_interval=_interval(other),
        gain=_number(gain, "value"),
        gain_interval=_interval(gain),
        p=_number(gain, "p_holm"),
    )


def _systems(scores: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    models = scores.get("models")
    return {name: one for name, one in models.items() if isinstance(one, Mapping)} if isinstance(models, dict) else {}


def _part(said: Any, key: str) -> Mapping[str, Any]:
    found = said.get(key) if isinstance(said, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(said: Any, key: str) -> float | None:
    found = said.get(key) if isinstance(said, Mapping) else None
    if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
        return None
    return float(found)


def _interval(said: Any) -> tuple[float, float] | None:
    found = said.get("interval") if isinstance(said, Mapping) else None
    if not isinstance(found, list) or len(found) != 2:
        return None
    low, high = (_number({"value": end}, "value") for end in found)
    return (low, high) if low is not None and high is not None else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> Iterator[str]:
    return (one for one in value if isinstance(one, str)) if isinstance(value, list) else iter(())

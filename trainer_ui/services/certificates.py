"""The certificate of a merged model in words and figures a reader without mathematics can use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.models.promotion import CERTIFICATE, content

Verdict = Literal["same", "other", "quantised", "broken"]


@dataclass(frozen=True)
class Figure:
    """One figure of the comparison, and what it means."""

    label: str
    value: str
    means: str


@dataclass(frozen=True)
class Certificate:
    """What the comparison gave.

    Attributes:
        verdict: "same" or "other"; of a model that is stored quantised "quantised", or "broken".
        words: the engine's own sentence.
        explained: what was done and what it means, a sentence each.
        sha256, made_of: of the weights compared, as evaluations name them.
    """

    verdict: Verdict
    words: str
    explained: tuple[str, ...]
    figures: tuple[Figure, ...]
    quantization: str
    when: str
    sha256: str
    made_of: str

    @property
    def passed(self) -> bool:
        """Whether it may be promoted."""
        return self.verdict in ("same", "quantised")


def read(folder: Path) -> Certificate | None:
    """The certificate beside a merged model; None where there is none that can be read."""
    said = content(folder / CERTIFICATE)
    try:
        return _read(said) if said else None
    except (KeyError, TypeError, ValueError):
        return None


def _read(said: Mapping[str, Any]) -> Certificate:
    quantization, passed = str(said.get("quantization") or "none"), said["passed"] is True
    cases, positions, same = int(said["cases"]), int(said["positions"]), int(said["same_texts"])
    largest = float(said["largest_logit"])
    relative = float(said["largest_difference"]) / largest if largest else 0.0
    figures = (
        Figure(
            "Largest difference",
            _small(relative),
            "Of the scores that the two models gave to all possible next words: the largest difference, as a share of "
            f"the largest score ({relative:.1e}). Rounding makes about a millionth in 32 bits, a hundredth in 16.",
        ),
        Figure(
            "Same next word",
            f"{100 * float(said['top_agreement']):.2f} %",
            f"At how many of {positions:,} places both models put the same next word first.",
        ),
        Figure("Same texts", f"{same} of {cases}", "Drafts that are the same to the last word."),
        Figure(
            "Divergence",
            f"{float(said['divergence']):.4f} nats",
            "How far the models' opinions about the next word are apart on average; 0 is not at all.",
        ),
        Figure(
            "Stored in",
            str(said["dtype"]) if quantization == "none" else f"{quantization}, the rest {said['dtype']}",
            "The numbers in the file.",
        ),
    )
    quantised = quantization != "none"
    verdict: Verdict = ("quantised" if passed else "broken") if quantised else ("same" if passed else "other")
    return Certificate(
        verdict=verdict,
        words=str(said.get("words", "")),
        explained=_explained(verdict, str(said["dtype"]), cases, positions),
        figures=figures,
        quantization=quantization,
        when=str(said.get("when", "")),
        sha256=str(said.get("sha256", "")),
        made_of=str(said.get("made_of", "")),
    )


def _small(share: float) -> str:
    """A share in per cent, with as many figures as somebody wants to see."""
    if share >= 0.001:
        return f"{100 * share:.1f} %"
    return f"{100 * share:.3f} %" if share >= 0.00001 else "< 0.001 %"


def _explained(verdict: Verdict, dtype: str, cases: int, positions: int) -> tuple[str, ...]:
    done = (
        f"Base with adapter, and the new model, were shown the same {cases} studies. Before each word a "
        f"model gives a score to every word it could write next; these were compared at {positions:,} places."
    )
    exact = "exact" if verdict == "same" and dtype == "float32" else verdict
    return done, _MEANS[exact]


_MEANS = {
    "exact": "They agree but for rounding, and all drafts are the same: whatever was found out about the base with the "
    "adapter, by an evaluation for example, holds for this model.",
    "same": "They agree as nearly as numbers of 16 bits allow: the same word comes first at 98 % of the places at "
    "least, and the models' opinions hardly differ. Single drafts may differ in a word.",
    "quantised": "Fewer bits make it another model: near to the first, and not the same. There is no verdict of "
    "sameness here, only how near it is. What it writes has to be evaluated by itself before anybody relies on it.",
    "broken": "It is so far from base and adapter that something went wrong when it was written. It cannot be "
    "promoted. Delete it and make it again.",
    "other": "They do not agree. Something went wrong in merging: this is not the model that was trained. It cannot be "
    "promoted. Delete it and merge again; if that happens again, use the adapter with its base instead.",
}

"""The cases by name, and what one process is to measure. Imports nothing heavy: the command's help reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUANTISED = ("int8", "nf4")
PRECISIONS = ("float32", "bfloat16", *QUANTISED)
PRECISIONS_OF = {"cpu": PRECISIONS, "gpu": ("bfloat16", *QUANTISED)}
"""Measured by each suite unless told otherwise."""

OURS, PEER = "engine", "peer"
TOGETHER, SINGLY = "together", "one by one"
"""What stands on the two sides of a case: the ratio is the second's figure over the first's."""


@dataclass(frozen=True)
class Kind:
    """A kind of draft both sides are measured on.

    Attributes:
        words: what it is, for people.
        beams: 1 is greedy.
        prior: whether the prior is shown.
        second: whether a second question about the same images is what is measured.
        new_tokens: at most so many a draft; the size's number unless given.
        precisions: it is measured in.
    """

    words: str
    beams: int = 1
    prior: bool = True
    second: bool = False
    new_tokens: int | None = None
    precisions: tuple[str, ...] = ("float32", "bfloat16")


DRAFTS = {
    "greedy": Kind("greedy, one pair", precisions=PRECISIONS),
    "beams-4": Kind("4 beams", beams=4),
    "beams-10": Kind("10 beams", beams=10),
    "no-prior": Kind("greedy, one image without a prior", prior=False, precisions=("float32",)),
    "second": Kind("a second question about the same pair", second=True, new_tokens=8),
}
LOOKUP, AGREEMENT, BATCH, LAYERS = "lookup", "agreement", "batch-16", "layers"
TOGETHER_KIND = Kind("16 pairs at once and one by one, both by the engine, a draft's share of the time")
BATCHED = 16
"""Pairs of BATCH."""

CASES = (*DRAFTS, LOOKUP, AGREEMENT, BATCH, LAYERS)


@dataclass(frozen=True)
class Task:
    """Drafts of one kind by one model.

    Attributes:
        model: its folder.
        precision: one of PRECISIONS.
        device: "cpu" or "cuda".
        patches: image tokens of a pair.
        new_tokens: at most so many a draft.
        kind: of what kind.
    """

    model: Path
    precision: str
    device: str
    patches: int
    new_tokens: int
    kind: Kind


def sides(case: str) -> tuple[str, str]:
    """The names of a case's two sides."""
    return (TOGETHER, SINGLY) if case == BATCH else (OURS, PEER)


def precision_options(precision: str) -> dict[str, Any]:
    """A precision as ``Engine.load`` and ``load_model`` take it. Quantised models compute in bfloat16."""
    if precision in QUANTISED:
        return {"dtype": "bfloat16", "quantization": precision}
    return {"dtype": precision, "quantization": "none"}


def plan(cases: tuple[str, ...], precisions: tuple[str, ...]) -> list[tuple[str, str]]:
    """Which case is measured in which precision, in the order of the table."""
    chosen: list[tuple[str, str]] = []
    for precision in precisions:
        chosen += [(case, precision) for case, kind in DRAFTS.items() if precision in kind.precisions]
    chosen += [(LOOKUP, "float32"), *((AGREEMENT, one) for one in precisions if one != "float32")]
    chosen += [(BATCH, precisions[0]), (LAYERS, "bfloat16")]
    return [one for one in chosen if one[0] in cases]

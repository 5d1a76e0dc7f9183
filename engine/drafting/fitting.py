"""What is done where the memory does not suffice: which precision, device and number of beams a model is run with.

The rungs, from what was asked for downwards: fewer beams, int8, nf4, the CPU. A rung is taken by the plan before
anything is loaded, or when memory runs out all the same; whoever asked is told, and the draft records it. On the CPU
bfloat16 takes the place of int8, which bitsandbytes computes there more slowly and with more memory at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.errors import ResourceError
from engine.models.plan import Plan

PRECISIONS = {
    "cpu": (("bfloat16", "none"), ("bfloat16", "nf4")),
    "cuda": (("bfloat16", "int8"), ("bfloat16", "nf4")),
}
"""Dtypes and quantisations a model is tried in instead, best first."""

Planner = Callable[["Rung"], Plan | None]
"""The plan of a rung; None where nothing can be said."""


@dataclass(frozen=True)
class Rung:
    """A way of running a model.

    Attributes:
        device: "cpu" or "cuda".
        dtype: what is computed with.
        quantization: "none", "int8" or "nf4".
        beams: at most.
    """

    device: str
    dtype: str
    quantization: str
    beams: int

    @property
    def precision(self) -> str:
        """As a plan calls it."""
        return self.dtype if self.quantization == "none" else self.quantization

    def words(self) -> str:
        """For a person."""
        place = " on the processor" if self.device == "cpu" else ""
        return f"{self.precision}{place} with {self.beams} beams" if self.beams > 1 else f"{self.precision}{place}"


@dataclass(frozen=True)
class Choice:
    """The rung that was chosen.

    Attributes:
        rung: how the model is run.
        plan: what it takes; None where nothing could be said.
        note: a sentence where it is not what was asked for, else "".
    """

    rung: Rung
    plan: Plan | None
    note: str = ""


def below(wished: Rung) -> Iterator[Rung]:
    """``wished`` and all rungs below it, best first."""
    first = (wished.dtype, wished.quantization)
    for device in dict.fromkeys((wished.device, "cpu")):
        smaller = [one for one in PRECISIONS[device] if _bits(*one) < _bits(*first)]
        for dtype, quantization in (first, *smaller):
            beams = wished.beams
            while beams >= 1:
                yield Rung(device, dtype, quantization, beams)
                beams //= 2


def _bits(dtype: str, quantization: str) -> int:
    """Bits of a weight."""
    return {"int8": 8, "nf4": 4}.get(quantization, 32 if dtype == "float32" else 16)


def choose(wished: Rung, planner: Planner, name: str) -> Choice:
    """The best rung that fits. ``planner`` looks at the memory there is; ``name`` is the model's.

    Raises ResourceError where not even the lowest one fits.
    """
    first = planner(wished)
    if first is None:
        return Choice(wished, None)
    least = first
    for rung in below(wished):
        found = planner(rung)
        if found is None:
            continue
        if found.fits:
            note = "" if rung == wished else f"{_lack(first, wished)} It is run in {rung.words()}."
            return Choice(rung, found, note)
        least = min(least, found, key=lambda one: one.needed)
    raise ResourceError(
        f"The model {name} needs {size(least.needed)} of memory at least, and {size(least.free)} are free. "
        "Close other programs, or use a smaller model."
    )


def ran_out(rung: Rung, instead: Rung) -> str:
    """The sentence for a draft that was begun on one rung and made on another, because memory ran out."""
    return f"The memory did not suffice for {rung.words()}; this was drafted in {instead.words()}."


def size(count: int) -> str:
    """Bytes for a person."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def _lack(plan: Plan, rung: Rung) -> str:
    words = rung.words()
    return f"{words[0].upper()}{words[1:]} would need {size(plan.needed)} of memory, and {size(plan.free)} are free."

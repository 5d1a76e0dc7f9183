"""The memory a draft will take, before anything is loaded, from the headers of a model's files.

    weights     everything that is loaded (footprint.py)
    loading     what more there is for a moment while a model is being quantised
    cache       keys and values: of the prompt once, and of each beam's continuation
    workspace   activations of the tower and of the prompt's pass, logits, what the kernels keep

Weights and cache are exact. The workspace is counted in tensors that are alive at the same time; on the CPU it is the
sum of the stages, because the allocator keeps what one of them has freed for the next, on a GPU the largest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from engine.models import families, footprint, stored
from engine.models.demand import Demand
from engine.models.survey import Survey

QUANTISED = ("int8", "nf4")
VALUE = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 2, "nf4": 2}
"""Bytes of a value that is computed with."""

TEXT = 300
"""Positions of a prompt without its images: the template, the question, some clinical context."""

ROOM = 64
"""Positions by which the room for continuations grows (engine.decoding.cache)."""

KERNELS = {4: 15_000_000, 2: 60_000_000}
"""Bytes oneDNN's kernels and the allocator keep on the CPU, as measured, by the bytes of a value."""

SPARE = 0.05
"""Share of the free memory that is left alone."""


@dataclass(frozen=True)
class Plan:
    """What a draft takes, in bytes.

    Attributes:
        device: "cpu" or "cuda".
        precision: "float32", "bfloat16", "float16", "int8" or "nf4".
        beams, new_tokens: for which it is.
        weights, loading, cache, workspace: see the module.
        free: what there was when it was made.
    """

    device: str
    precision: str
    beams: int
    new_tokens: int
    weights: int
    loading: int
    cache: int
    workspace: int
    free: int

    @property
    def needed(self) -> int:
        """At most, at one time."""
        return self.weights + max(self.loading, self.cache + self.workspace)

    @property
    def fits(self) -> bool:
        """Whether it can be tried."""
        return self.needed <= self.free * (1 - SPARE)


def plan(found: Survey, *, device: str, precision: str, beams: int, new_tokens: int, free: int) -> Plan | None:
    """The plan for a surveyed model; None for what could not draft, or is stored in another quantisation.

    Args:
        found: without problems.
        device: "cpu" or "cuda".
        precision: as Plan's; int8 and nf4 compute in 16 bits.
        beams, new_tokens: of the draft.
        free: bytes there are on that device.
    """
    folder = found.model
    family = None if folder is None or found.problems or found.missing else families.of(folder.config, folder.weights)
    if folder is None or family is None:
        return None
    if precision in QUANTISED and stored.method(folder.weights) not in ("none", precision):
        return None
    demand = family.demand(folder)
    there = footprint.footprint(found)["bfloat16" if precision == "float16" else precision]
    value = VALUE[precision]
    # a packed head is a copy of the embeddings it is tied to
    weights = there + (demand.tied and device == "cpu") * demand.vocabulary * demand.width * value
    positions = demand.images + TEXT + beams * -(-new_tokens // ROOM) * ROOM
    return Plan(
        device=device,
        precision=precision,
        beams=beams,
        new_tokens=new_tokens,
        weights=weights,
        loading=_loading(found, precision) if device == "cpu" else 0,
        cache=2 * demand.layers * demand.key_heads * demand.head_width * positions * value,
        workspace=_workspace(demand, device, beams, value),
        free=free,
    )


def _loading(found: Survey, precision: str) -> int:
    """Matrices that are there in 16 bits until it is their turn to be quantised; files in 16 bits are only mapped."""
    if precision not in QUANTISED or stored.method(found.weights) != "none":
        return 0
    entries = [(name, entry) for name, entry in found.weights.entries.items() if footprint.is_quantised(name, entry)]
    return sum(2 * prod(entry.shape) for _, entry in entries if entry.dtype != "bfloat16")


def _workspace(demand: Demand, device: str, beams: int, value: int) -> int:
    seen = demand.patches * demand.tower_width * ((demand.tower_blocks + 1) * value + 6 * value)
    seen += demand.patches * demand.tower_inner * 2 * value
    seen += demand.patches * demand.tower_width * demand.mixed * (value + 4)
    read = (demand.images + TEXT) * (3 * demand.inner + 6 * demand.width) * value
    chosen = beams * demand.vocabulary * 4 * 6  # logits, their logarithms, what is banned, what is compared
    if device == "cpu":
        return seen + read + chosen + KERNELS[value]
    return max(seen, read) + chosen

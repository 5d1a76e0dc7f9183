"""Measures the cases: each side of each in a fresh process, the two sides of a case right after each other.

A case is measured, or it is absent with a reason. What fails for want of memory is such a reason; everything else that
fails ends the bench.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import paths
from engine.bench import demo, layers, machine, ours, peer, side_by_side
from engine.bench.demo import Agreement, Guessing
from engine.bench.layers import Forms
from engine.bench.material import Pair, Study
from engine.bench.measure import Measured
from engine.bench.processes import fresh
from engine.bench.sizes import Size
from engine.bench.task import BATCH, BATCHED, DRAFTS, LAYERS, LOOKUP, OURS, PEER, TOGETHER_KIND, Task
from engine.errors import ResourceError

NO_DEMO = "models/demo-tac is not installed"
"""A reason."""


@dataclass(frozen=True)
class Compared:
    """A kind of draft in one precision: both sides, or the reason why not.

    Attributes:
        ours, peer: the sides; of BATCH the drafts written together and those written one by one.
        step_bytes: that a decode step must read at least, divided by the drafts it is for.
        peer_step_bytes: those of the peer, where they are others.
    """

    case: str
    precision: str
    ours: Measured | None = None
    peer: Measured | None = None
    step_bytes: float = 0.0
    peer_step_bytes: float | None = None
    reason: str = ""

    @property
    def same_tokens(self) -> bool | None:
        """Whether both sides wrote the same in every run; None where they were not measured."""
        if self.ours is None or self.peer is None:
            return None
        return [run.tokens for run in self.ours.runs] == [run.tokens for run in self.peer.runs]


@dataclass(frozen=True)
class Learnt:
    """What was measured on the demonstration model, or of a single layer, or the reason why not."""

    case: str
    precision: str
    found: Guessing | Agreement | Forms | None = None
    reason: str = ""


@dataclass(frozen=True)
class Bench:
    """Everything the cases need.

    Attributes:
        size, model, pairs: the checkpoint and the images; the first pair is for getting warm.
        repeats: pairs that are drafted from after it; BATCH takes BATCHED.
        studies: phantoms for the demonstration model.
        device, threads: where.
        say: takes progress in words.
    """

    size: Size
    model: Path
    pairs: Sequence[Pair]
    repeats: int
    studies: Sequence[Study]
    device: str
    threads: int
    say: Callable[[str], None]

    def run(self, planned: Sequence[tuple[str, str]]) -> Iterator[Compared | Learnt]:
        """Measure these cases in these precisions, one after the other."""
        for case, precision in planned:
            if case in DRAFTS:
                yield self._compare(case, precision)
            elif case == BATCH:
                yield self._side_by_side(case, precision)
            elif case == LAYERS:
                self.say("a linear layer in all its forms")
                yield Learnt(case, precision, fresh(layers.measure, self.size, self.device, threads=self.threads))
            else:
                yield self._learnt(case, precision)

    def _compare(self, case: str, precision: str) -> Compared:
        kind = DRAFTS[case]
        new_tokens = kind.new_tokens or self.size.new_tokens
        task = Task(self.model, precision, self.device, self.size.patches, new_tokens, kind)
        found = {}
        for side in (OURS, PEER):
            self.say(f"{case}, {precision}: {side}")
            try:
                found[side] = fresh(_measure, side, task, self.pairs[: self.repeats + 1], threads=self.threads)
            except ResourceError as error:
                return Compared(case, precision, reason=f"of the {side}: {error}")
        step_bytes = machine.step_bytes(self.size, precision, found[OURS].runs[0].positions, kind.beams, new_tokens)
        return Compared(case, precision, found[OURS], found[PEER], step_bytes)

    def _side_by_side(self, case: str, precision: str) -> Compared:
        new_tokens = self.size.new_tokens
        task = Task(self.model, precision, self.device, self.size.patches, new_tokens, TOGETHER_KIND)
        self.say(f"{case}, {precision}: the engine, one by one and together")
        try:
            together, singly = fresh(side_by_side.measure, task, self.pairs[: BATCHED + 1], threads=self.threads)
        except ResourceError as error:
            return Compared(case, precision, reason=str(error))
        one = machine.step_bytes(self.size, precision, singly.runs[0].positions, 1, new_tokens)
        weights = machine.step_bytes(self.size, precision, 0, 0, 0)
        return Compared(case, precision, together, singly, one - weights + weights / BATCHED, one)

    def _learnt(self, case: str, precision: str) -> Learnt:
        model = paths.models() / "demo-tac"
        if not model.is_dir():
            return Learnt(case, precision, reason=NO_DEMO)
        self.say(f"{case}, {precision}: the demonstration model on {len(self.studies)} phantom cases")
        if case == LOOKUP:
            return Learnt(case, precision, fresh(demo.guessing, model, self.studies, threads=self.threads))
        return Learnt(case, precision, fresh(demo.agreement, model, self.studies, precision, threads=self.threads))


def _measure(side: str, task: Task, pairs: Sequence[Pair]) -> Measured:
    """In the fresh process; it is here so that both sides begin with the same modules in memory."""
    return ours.measure(task, pairs) if side == OURS else peer.measure(task, pairs)

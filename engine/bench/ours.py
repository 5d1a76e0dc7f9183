"""The engine's side of a case: ``Engine`` through its public door, its events timed from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.bench.material import CONTEXT, Pair
from engine.bench.measure import Measured, Run, elsewhere, now, watched
from engine.bench.task import Task, precision_options
from engine.drafting import Asking, Comparison, Decoding, Draft, Engine, Token
from engine.imaging.reader import Reader


def measure(task: Task, pairs: Sequence[Pair]) -> Measured:
    """Load, draft once to get warm, then draft from each further pair.

    A pair is used once, for the engine keeps what it has seen. Where the kind is a second question, each pair is asked
    about twice and the second answer counts.
    """
    comparisons = open_all(pairs, prior=task.kind.prior)
    with watched(task.device) as watch:
        engine = Engine.load(task.model, device=task.device, **precision_options(task.precision))
        watch.mark_loaded()
        draft(engine, comparisons[0], task, "findings", Decoding(max_new_tokens=2))
        runs = [_one(engine, comparison, task) for comparison in comparisons[1:]]
    return Measured(tuple(runs), watch.memory())


def open_all(pairs: Sequence[Pair], *, prior: bool = True) -> list[Comparison]:
    """The pairs as comparisons; without their priors if so wished."""
    with Reader() as reader:
        return [Comparison.open(current, before if prior else None, reader=reader) for current, before in pairs]


def _one(engine: Engine, comparison: Comparison, task: Task) -> Run:
    decoding = Decoding(num_beams=task.kind.beams, max_new_tokens=task.new_tokens)
    run = draft(engine, comparison, task, "findings", decoding)
    return draft(engine, comparison, task, "impression", decoding) if task.kind.second else run


def draft(engine: Engine, comparison: Comparison, task: Task, section: str, decoding: Decoding) -> Run:
    """One draft with its times."""
    busy, began = elsewhere(), now(task.device)
    arrived: list[float] = []
    for event in engine.stream(comparison, Asking(section=section, context=CONTEXT), decoding=decoding):
        if isinstance(event, Token):
            arrived.append(time.perf_counter() - began)
        elif isinstance(event, Draft):
            written = event
    total = now(task.device) - began
    return Run(
        encode_s=written.timings.encode_s,
        prefill_s=written.timings.prefill_s,
        first_token_s=arrived[0],
        step_s=(arrived[-1] - arrived[0]) / max(1, len(arrived) - 1),
        total_s=total,
        tokens=written.token_ids,
        positions=len(written.prompt_token_ids) - 1 + task.patches,
        passes=written.timings.passes,
        others=(elsewhere() - busy) / total,
    )

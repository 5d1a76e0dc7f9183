"""Sixteen pairs drafted side by side, and the same sixteen one after the other, by the same engine."""

from __future__ import annotations

from collections.abc import Sequence

from engine.bench import ours
from engine.bench.material import CONTEXT, Pair
from engine.bench.measure import Measured, Run, elsewhere, now, watched
from engine.bench.task import Task, precision_options
from engine.drafting import Asking, Comparison, Decoding, Draft, Engine
from engine.errors import IntervalError, ResourceError


def measure(task: Task, pairs: Sequence[Pair]) -> tuple[Measured, Measured]:
    """Together, and one by one; a run for each pair but the first, which gets the engine warm.

    The times of a draft that was written together are its share (``Timings``), so that those of all of them add up to
    the time that passed.

    Raises:
        ResourceError: not all of them could be written at once.
    """
    comparisons = ours.open_all(pairs)
    decoding = Decoding(max_new_tokens=task.new_tokens)
    with watched(task.device) as alone:
        engine = Engine.load(task.model, device=task.device, **precision_options(task.precision))
        alone.mark_loaded()
        ours.draft(engine, comparisons[0], task, "findings", Decoding(max_new_tokens=2))
        singly = [ours.draft(engine, comparison, task, "findings", decoding) for comparison in comparisons[1:]]
    with watched(task.device) as watch:
        watch.start, watch.loaded = alone.start, alone.loaded
        together = _together(engine, comparisons[1:], task, decoding)
    return Measured(together, watch.memory()), Measured(tuple(singly), alone.memory())


def _together(engine: Engine, comparisons: Sequence[Comparison], task: Task, decoding: Decoding) -> tuple[Run, ...]:
    items = [(comparison, Asking(context=CONTEXT)) for comparison in comparisons]
    busy, began = elsewhere(), now(task.device)
    results = dict(engine.draft_many(items, decoding=decoding, batch_size=len(items)))
    others = (elsewhere() - busy) / (now(task.device) - began)
    return tuple(_run(results[place], task, len(items), others) for place in range(len(items)))


def _run(draft: Draft | IntervalError, task: Task, count: int, others: float) -> Run:
    if isinstance(draft, IntervalError):
        raise draft
    times = draft.timings
    if times.together != count:
        raise ResourceError(f"There is not enough memory for {count} drafts at once.")
    return Run(
        encode_s=times.encode_s,
        prefill_s=times.prefill_s,
        first_token_s=times.first_token_s,
        step_s=times.decode_s / max(1, times.tokens - 1),
        total_s=times.total_s,
        tokens=draft.token_ids,
        positions=len(draft.prompt_token_ids) - 1 + task.patches,
        passes=times.passes,
        others=others,
    )

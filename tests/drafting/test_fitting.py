"""Where the memory does not suffice: what is planned, what is done instead, and what the draft says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine import Asking, Comparison, Decoding, Draft, Engine, Progress
from engine.drafting import engine as engine_module
from engine.drafting.fitting import Rung, below, choose
from engine.errors import ResourceError
from engine.models.plan import Plan

SHORT = Decoding(max_new_tokens=4)
COST = {"float32": 400, "bfloat16": 200, "int8": 100, "nf4": 60}

rungs = st.builds(
    Rung,
    st.sampled_from(["cpu", "cuda"]),
    st.sampled_from(["float32", "bfloat16", "float16"]),
    st.sampled_from(["none", "int8", "nf4"]),
    st.integers(1, 32),
)


def planner(free: dict[str, int]) -> Callable[[Rung], Plan]:
    def plan(rung: Rung) -> Plan:
        weights = COST.get(rung.precision, 200)
        return Plan(rung.device, rung.precision, rung.beams, 512, weights, 0, 5 * rung.beams, 0, free[rung.device])

    return plan


@given(rungs)
def test_the_rungs_go_down(wished: Rung) -> None:
    found = list(below(wished))
    assert found[0] == wished
    assert len(set(found)) == len(found)
    assert found[-1].device == "cpu"
    assert found[-1].beams == 1
    for device in {rung.device for rung in found}:
        costs = [COST.get(rung.precision, 200) for rung in found if rung.device == device]
        assert costs == sorted(costs, reverse=True)


@given(rungs, st.integers(0, 800), st.integers(0, 800))
def test_the_first_that_fits_is_chosen(wished: Rung, cpu: int, cuda: int) -> None:
    plan = planner({"cpu": cpu, "cuda": cuda})
    fitting = [rung for rung in below(wished) if plan(rung).fits]
    if not fitting:
        with pytest.raises(ResourceError, match=r"The model m needs .* free"):
            choose(wished, plan, "m")
        return
    choice = choose(wished, plan, "m")
    assert choice.rung == fitting[0]
    assert choice.plan == plan(fitting[0])
    assert bool(choice.note) == (fitting[0] != wished)


def test_what_is_said() -> None:
    wished = Rung("cuda", "bfloat16", "none", 4)
    note = choose(wished, planner({"cpu": 10**6, "cuda": 218}), "m").note
    assert note == "Bfloat16 with 4 beams would need 0 MB of memory, and 0 MB are free. It is run in bfloat16."
    assert choose(wished, planner({"cpu": 10**6, "cuda": 20}), "m").rung.device == "cpu"
    assert choose(wished, lambda _: None, "m").plan is None


class Sparing:
    """Has the decoder run out of memory until few enough beams are asked for."""

    def __init__(self, beams: int, precision: str = "") -> None:
        self.beams = beams
        self.precision = precision
        self.engine: Engine | None = None
        self.generate = engine_module.generate

    def __call__(self, session: Any, ids: Any, settings: Any, ends: Any) -> Iterator[Any]:
        assert self.engine is not None
        if settings.num_beams > self.beams or self.engine.info.dtype == self.precision:
            raise torch.OutOfMemoryError("out of memory")
        yield from self.generate(session, ids, settings, ends)


@pytest.fixture
def pair(pictures: tuple[Path, Path]) -> Comparison:
    return Comparison.open(*pictures)


@pytest.fixture
def starved(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    def make(model: Path, sparing: Sparing) -> Engine:
        engine = Engine.load(model, dtype="float32", device="cpu")
        sparing.engine = engine
        monkeypatch.setattr(engine_module, "generate", sparing)
        return engine

    return make


def test_fewer_beams_when_memory_runs_out(tiny: Path, pair: Comparison, starved: Callable[..., Engine]) -> None:
    engine = starved(tiny, Sparing(beams=1))
    decoding = Decoding(max_new_tokens=4, num_beams=4, num_return_sequences=3)
    events = list(engine.stream(pair, decoding=decoding))
    said = [event.message for event in events if isinstance(event, Progress) and event.stage == "memory"]
    assert said == [
        "There is not enough memory: it is begun again in float32 on the processor with 2 beams",
        "There is not enough memory: it is begun again in float32 on the processor",
    ]
    draft = events[-1]
    assert isinstance(draft, Draft)
    assert (draft.decoding.num_beams, len(draft.sequences)) == (1, 1)
    assert [check.message for check in draft.checks if check.code == "memory"] == [
        "The memory did not suffice for float32 on the processor with 4 beams; "
        "this was drafted in float32 on the processor."
    ]


def test_a_smaller_precision_when_memory_runs_out(tiny: Path, pair: Comparison, starved: Callable[..., Engine]) -> None:
    engine = starved(tiny, Sparing(beams=4, precision="float32"))
    draft = engine.draft(pair, decoding=SHORT)
    assert (draft.model.dtype, engine.info.dtype) == ("bfloat16", "bfloat16")
    checks = [check.message for check in draft.checks if check.code == "memory"]
    assert checks == [
        "The memory did not suffice for float32 on the processor; this was drafted in bfloat16 on the processor."
    ]
    again = engine.draft(pair, decoding=SHORT)
    assert not [check for check in again.checks if check.code == "memory"]


def test_a_reload_that_fails_is_tried_again(
    tiny: Path, pair: Comparison, starved: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.drafting.source import Source

    engine = starved(tiny, Sparing(beams=4, precision="float32"))
    load = Source.load
    monkeypatch.setattr(Source, "load", lambda *_: (_ for _ in ()).throw(ResourceError("There is no memory.")))
    for _ in range(2):
        with pytest.raises(ResourceError, match="no memory"):
            engine.draft(pair, decoding=SHORT)
    monkeypatch.setattr(Source, "load", load)
    assert engine.draft(pair, decoding=SHORT).model.dtype == "bfloat16"


def test_nothing_below(tiny: Path, pair: Comparison, starved: Callable[..., Engine]) -> None:
    engine = starved(tiny, Sparing(beams=0))
    with pytest.raises(ResourceError, match="not enough memory"):
        engine.draft(pair, decoding=SHORT)


def test_planned_for_the_memory_there_is(tiny: Path, pair: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.drafting import source

    monkeypatch.setattr("engine.models.plan.KERNELS", {4: 0, 2: 0})  # which are most of so small a model
    roomy = Engine.load(tiny, dtype="float32", device="cpu")
    assert roomy.plan is not None
    assert (roomy.plan.fits, roomy.info.dtype) == (True, "float32")
    needed = roomy.plan.needed
    monkeypatch.setattr(source, "free", lambda _: int((needed - 1) / 0.95))
    engine = Engine.load(tiny, dtype="float32", device="cpu")
    assert engine.info.dtype == "bfloat16"
    assert engine.warnings[-1].endswith("It is run in bfloat16 on the processor.")
    assert [check.message for check in engine.draft(pair, decoding=SHORT).checks][-1] == engine.warnings[-1]
    assert Engine.load(tiny, dtype="float32", device="cpu", quantization="none").info.dtype == "float32"
    monkeypatch.setattr(source, "free", lambda _: 1000)
    with pytest.raises(ResourceError, match="at least"):
        Engine.load(tiny, dtype="float32", device="cpu")


def test_many_drafts_go_on_with_the_smaller_model(tiny: Path, pair: Comparison, starved: Callable[..., Engine]) -> None:
    engine = starved(tiny, Sparing(beams=4, precision="float32"))
    found = list(engine.draft_many([(pair, Asking()), (pair, Asking(context="Cough."))], decoding=SHORT, batch_size=1))
    drafts = [draft for _, draft in found]
    assert [draft.model.dtype for draft in drafts if isinstance(draft, Draft)] == ["bfloat16", "bfloat16"]

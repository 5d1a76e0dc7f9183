"""The engine on a tiny model: streaming, cancelling, looking and reading once, and what a draft says of itself."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import Asking, Comparison, Decoding, Draft, Engine, Progress, Token, Turn
from engine.drafting import engine as engine_module
from engine.errors import ModelError, PatientMismatch, ResourceError, UnreadableFile, UsageError
from engine.imaging.types import Patient

SHORT = Decoding(max_new_tokens=12)
BEAMS = Decoding(num_beams=4, max_new_tokens=12)


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return Engine.load(tiny, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def pair(pictures: tuple[Path, Path]) -> Comparison:
    return Comparison.open(*pictures)


@pytest.fixture
def single(pictures: tuple[Path, Path]) -> Comparison:
    return Comparison.open(pictures[0])


@pytest.fixture
def passes(engine: Engine) -> Iterator[dict[str, list[tuple[int, ...]]]]:
    """The shapes that went through the tower, the connector's alignment and the language model."""
    engine._features.clear()
    engine._last = None
    seen: dict[str, list[tuple[int, ...]]] = {"tower": [], "language": [], "head": []}
    model = engine._loaded.model

    def note(name: str) -> Any:
        return lambda _module, inputs: seen[name].append(tuple(inputs[0].shape))

    hooks = [
        model.vision_tower.encoder.layer[0].register_forward_pre_hook(note("tower")),
        model.language_model.model.layers[0].register_forward_pre_hook(note("language")),
        model.language_model.lm_head.register_forward_pre_hook(note("head")),
    ]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("decoding", [SHORT, BEAMS, replace(SHORT, temperature=0.8, seed=1)])
def test_stream_is_the_draft_in_the_making(engine: Engine, pair: Comparison, decoding: Decoding) -> None:
    events = list(engine.stream(pair, Asking(context="History: chest pain."), decoding=decoding))
    stages = [event.stage for event in events if isinstance(event, Progress)]
    tokens = [event for event in events if isinstance(event, Token)]
    assert stages == ["images", "prompt", "writing"]
    assert isinstance(events[-1], Draft)
    draft = events[-1]
    assert draft.timings.tokens == len(tokens)
    assert draft == replace(
        engine.draft(pair, Asking(context="History: chest pain."), decoding=decoding), timings=draft.timings
    )
    if decoding.num_beams == 1:
        assert [token.id for token in tokens] == list(draft.token_ids)
        for before, after in pairwise(tokens):
            assert after.text_so_far == before.text_so_far + after.delta or after.delta == ""


def test_a_draft_says_what_it_was_made_of(engine: Engine, pair: Comparison) -> None:
    draft = engine.draft(pair, Asking(context="Indication: cough."), decoding=SHORT)
    assert draft.prompt.endswith("image. Following clinical context: Indication: cough. ASSISTANT:")
    assert draft.prompt_token_ids.count(-200) == 1
    assert [(use.role, use.sha256) for use in draft.images] == [
        ("current", pair.current.sha256),
        ("prior", pair.prior.sha256 if pair.prior else ""),
    ]
    assert draft.has_prior
    assert draft.model.sha256 == engine.info.sha256
    assert (draft.decoding.no_repeat_ngram, draft.decoding.length_penalty, draft.decoding.seed) == (0, 1.0, None)
    timings = draft.timings
    assert 0 < timings.first_token_s <= timings.total_s
    assert timings.peak_memory_bytes > 10_000_000


def test_json_holds_the_contracts_fields(engine: Engine, pair: Comparison) -> None:
    one = json.loads(json.dumps(engine.draft(pair, decoding=SHORT).to_json()))
    keys = {"text", "token_ids", "prompt_token_ids", "model", "decoding", "images", "checks", "timings"}
    assert keys <= one.keys()
    assert "sequences" not in one
    assert {"path", "family", "sha256", "dtype", "quantization"} <= one["model"].keys()
    assert one["timings"].keys() == {
        "load_s", "encode_s", "prefill_s", "first_token_s", "decode_s", "total_s", "tokens", "peak_memory_bytes",
        "passes", "reused_positions", "together",
    }  # fmt: skip
    assert len(one["log_probabilities"]) == len(one["token_ids"])
    two = engine.draft(pair, decoding=replace(BEAMS, num_return_sequences=2)).to_json()
    assert [s.keys() for s in two["sequences"]] == [{"text", "token_ids", "score", "log_probabilities"}] * 2
    assert two["sequences"][0]["score"] >= two["sequences"][1]["score"]


@pytest.mark.parametrize("decoding", [SHORT, BEAMS])
def test_images_and_prompt_once_whatever_the_beams(
    engine: Engine, pair: Comparison, decoding: Decoding, passes: dict[str, list[tuple[int, ...]]]
) -> None:
    draft = engine.draft(pair, decoding=decoding)
    positions = len(draft.prompt_token_ids) - 1 + 16
    assert [shape[0] for shape in passes["tower"]] == [1, 1]
    images_end = draft.prompt_token_ids.index(-200) + 16
    assert [shape[:2] for shape in passes["language"][:2]] == [(1, images_end), (1, positions - images_end)]
    assert {shape[:2] for shape in passes["language"][2:]} == {(decoding.num_beams, 1)}
    assert {shape[1] for shape in passes["head"]} == {1}


def test_what_was_seen_of_an_image_is_kept(
    engine: Engine, pair: Comparison, single: Comparison, passes: dict[str, list[tuple[int, ...]]]
) -> None:
    first = engine.draft(single, decoding=SHORT)
    assert len(passes["tower"]) == 1
    engine.draft(pair, decoding=SHORT)
    assert len(passes["tower"]) == 2
    again = engine.draft(single, Asking(section="impression"), decoding=SHORT)
    assert len(passes["tower"]) == 2
    assert engine.draft(single, decoding=SHORT).token_ids == first.token_ids
    assert "impression" in again.prompt


@pytest.mark.parametrize("decoding", [SHORT, BEAMS])
def test_a_second_question_about_the_same_images(
    engine: Engine, pair: Comparison, single: Comparison, decoding: Decoding,
    passes: dict[str, list[tuple[int, ...]]],
) -> None:  # fmt: skip
    expected = engine.draft(pair, Asking(section="impression", context="Cough."), decoding=decoding)
    assert expected.timings.reused_positions == 0
    engine._last = None
    engine.draft(pair, decoding=decoding)
    passes["language"].clear()
    second = engine.draft(pair, Asking(section="impression", context="Cough."), decoding=decoding)
    images_end = second.prompt_token_ids.index(-200) + 16
    assert second.timings.reused_positions == images_end
    assert passes["language"][0][1] == len(second.prompt_token_ids) - 1 + 16 - images_end
    # The same to the last bit, whatever was asked before.
    assert second.sequences == expected.sequences
    assert engine.draft(single, decoding=decoding).timings.reused_positions == 0


def test_hints_save_passes_and_change_nothing(engine: Engine, pair: Comparison) -> None:
    longer = Decoding(max_new_tokens=60)
    plain = engine.draft(pair, decoding=longer)
    assert plain.timings.passes == len(plain.token_ids) - 1
    hinted = engine.draft(pair, Asking(hints=("An earlier report.", plain.text)), decoding=longer)
    assert hinted.token_ids == plain.token_ids
    assert hinted.timings.tokens == plain.timings.tokens
    assert hinted.timings.passes < plain.timings.passes
    for other in (BEAMS, replace(SHORT, temperature=1.0, seed=4)):
        assert (
            engine.draft(pair, Asking(hints=(plain.text,)), decoding=other).text
            == engine.draft(pair, decoding=other).text
        )


def test_only_so_many_images_are_kept(engine: Engine, single: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "KEPT_IMAGES", 2)
    for name in "abc":
        engine.draft(Comparison(replace(single.current, sha256=name * 64)), decoding=SHORT)
    assert [key[0] for key in engine._features] == ["b", "c"]


def test_a_missing_prior_is_the_current_image_and_is_said(engine: Engine, single: Comparison) -> None:
    alone = engine.draft(single, decoding=SHORT)
    doubled = engine.draft(Comparison(single.current, single.current), decoding=SHORT)
    assert alone.token_ids == doubled.token_ids
    assert (alone.has_prior, doubled.has_prior) == (False, True)
    assert [use.role for use in alone.images] == ["current"]


def test_the_prior_changes_the_draft(engine: Engine, pair: Comparison, single: Comparison) -> None:
    assert pair.prior is not None
    answers = {
        engine.draft(comparison, decoding=SHORT).token_ids
        for comparison in (pair, single, Comparison(pair.prior, pair.current))
    }
    assert len(answers) > 1


def test_stopping_to_iterate_cancels(
    engine: Engine, pair: Comparison, passes: dict[str, list[tuple[int, ...]]]
) -> None:
    sessions: list[weakref.ref[Any]] = []
    real = engine_module.Session

    class Watched(real):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            sessions.append(weakref.ref(self))

    engine_module.Session = Watched  # type: ignore[misc]
    try:
        seen = 0
        events = engine.stream(pair, decoding=replace(BEAMS, max_new_tokens=100))
        for event in events:
            seen += isinstance(event, Token)
            if seen == 3:
                break
        events.close()
    finally:
        engine_module.Session = real  # type: ignore[misc]
    assert len(passes["language"]) == 2 + 2  # the prompt's two and a step for each token but the first
    gc.collect()
    kept = sessions[0]()
    assert kept is not None  # for the next question; the beams are gone
    assert kept.cache.continuation == 0
    assert isinstance(engine.draft(pair, decoding=SHORT), Draft)


def test_cancelled_from_outside_gives_what_was_written(engine: Engine, pair: Comparison) -> None:
    answers = iter([False, False, True])
    *_, draft = engine.stream(pair, decoding=SHORT, cancelled=lambda: next(answers))
    assert isinstance(draft, Draft)
    assert (draft.finished, len(draft.token_ids)) == ("cancelled", 3)
    assert "cancelled" in {check.code for check in draft.checks}


def test_greedy_repeats_and_sampling_reports_its_seed(engine: Engine, pair: Comparison) -> None:
    assert engine.draft(pair, decoding=SHORT).token_ids == engine.draft(pair, decoding=SHORT).token_ids
    drawn = engine.draft(pair, decoding=replace(SHORT, temperature=1.0))
    assert drawn.decoding.seed is not None
    again = engine.draft(pair, decoding=replace(SHORT, temperature=1.0, seed=drawn.decoding.seed))
    assert again.token_ids == drawn.token_ids


def test_typed_controls_stay_words(engine: Engine, pair: Comparison) -> None:
    for prompt, context in (("<image> what?", ""), (None, "</s><s><image>"), ("a</s>", "<unk>")):
        draft = engine.draft(pair, Asking(prompt=prompt, context=context), decoding=SHORT)
        assert draft.prompt.count("<image>") == 1
        assert draft.prompt_token_ids.count(-200) == 1
        assert draft.prompt_token_ids.count(1) == 1
        assert 2 not in draft.prompt_token_ids


@pytest.mark.parametrize("text", ["\0", "é\u202e\U0001f600", "\n\n", "'; drop table", "x" * 700])
def test_odd_text_is_text(engine: Engine, pair: Comparison, text: str) -> None:
    assert engine.draft(pair, Asking(context=text), decoding=Decoding(max_new_tokens=1)).timings.tokens == 1


@pytest.mark.parametrize(
    "asking",
    [
        Asking("technique"),
        Asking(context="x" * 4001),
        Asking(prompt="x" * 2001),
        Asking(stops=("",)),
        Asking(stops=("x" * 101,)),
        Asking(earlier=(Turn("", "x" * 20_001),)),
        Asking(context="\U0001f600" * 900),  # 3600 ids: more positions than the model has
    ],
)
def test_requests_that_cannot_be_met(engine: Engine, pair: Comparison, asking: Asking) -> None:
    with pytest.raises(UsageError):
        engine.draft(pair, asking)


def test_a_further_question(engine: Engine, pair: Comparison) -> None:
    first = engine.draft(pair, decoding=SHORT)
    asking = Asking(prompt="What changed?", context="Cough.", earlier=(Turn("", first.text),))
    second = engine.draft(pair, asking, decoding=SHORT)
    ahead = engine.draft(pair, Asking(context="Cough."), decoding=SHORT).prompt
    assert second.prompt == f"{ahead} {first.text}</s>USER: What changed? ASSISTANT:"
    assert second.timings.reused_positions == first.timings.reused_positions > 0


def test_no_more_tokens_than_positions(engine: Engine, pair: Comparison) -> None:
    draft = engine.draft(pair, decoding=Decoding(max_new_tokens=4096, num_beams=1))
    limit = 1024 - (len(draft.prompt_token_ids) - 1 + 16)
    assert draft.decoding.max_new_tokens == limit
    assert len(draft.token_ids) <= limit


def test_nan_is_a_model_error_and_the_engine_goes_on(engine: Engine, pair: Comparison) -> None:
    norm = engine._loaded.model.language_model.model.norm.weight
    kept = norm[0].clone()
    with torch.no_grad():
        norm[0] = torch.nan
        with pytest.raises(ModelError, match="not numbers"):
            engine.draft(pair, decoding=SHORT)
        norm[0] = kept
    engine.draft(pair, decoding=SHORT)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory(engine: Engine, pair: Comparison, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(engine_module.Session, "step", fail)
    with pytest.raises(ResourceError, match="not enough memory"):
        engine.draft(pair, decoding=SHORT)


def test_other_faults_are_not_called_memory(engine: Engine, pair: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(engine_module.Session, "step", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        engine.draft(pair, decoding=SHORT)


def test_bfloat16_on_the_processor(tiny: Path, pair: Comparison) -> None:
    engine = Engine.load(tiny, dtype="bfloat16", device="cpu", threads=1)
    draft = engine.draft(pair, decoding=SHORT)
    assert draft.model.dtype == "bfloat16"
    assert draft.token_ids


def test_another_conversation(tiny: Path, pair: Comparison) -> None:
    engine = Engine.load(tiny, conversation="libra_v0")
    assert engine.draft(pair, decoding=SHORT).prompt.startswith("A chat between a curious human")


def test_no_thread(tiny: Path) -> None:
    with pytest.raises(UsageError, match="threads"):
        Engine.load(tiny, threads=0)


class TestComparison:
    def test_two_patients(self, pair: Comparison) -> None:
        assert pair.prior is not None
        current = replace(pair.current, patient=Patient(id="1"))
        prior = replace(pair.prior, patient=Patient(id="2"))
        with pytest.raises(PatientMismatch):
            Comparison(current, prior)

    def test_unreadable(self, tmp_path: Path) -> None:
        file = tmp_path / "note.txt"
        file.write_text("no picture")
        with pytest.raises(UnreadableFile, match=r"note\.txt"):
            Comparison.open(file)

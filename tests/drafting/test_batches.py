"""Many requests at once: each gets the draft it gets alone, whatever stands beside it and whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_multimodal
import torch
from PIL import Image

from engine import Asking, Comparison, Decoding, Draft, Engine
from engine.drafting import batches
from engine.drafting import engine as engine_module
from engine.drafting.batches import Item, Result, row_bytes
from engine.errors import InputError, ModelError, ResourceError, UsageError

SHORT = Decoding(max_new_tokens=20)
CONTEXTS = ("", "Cough.", "History: fever for three days, and a fall from a ladder last week." * 3)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of five patients, of different sizes."""
    folder = tmp_path_factory.mktemp("films")
    stream = np.random.RandomState(8)
    files = [folder / f"{number}.png" for number in range(5)]
    for number, file in enumerate(files):
        coarse = Image.fromarray(stream.randint(0, 256, (9, 7)).astype(np.uint8))
        coarse.resize((60 + 14 * number, 90 + 6 * number), Image.Resampling.BICUBIC).save(file)
    return files


@pytest.fixture(scope="module")
def items(films: list[Path]) -> list[Item]:
    """Seven requests of different lengths, with and without a prior, two of them about the same images."""
    pairs = [Comparison.open(one, other) for one, other in pairwise(films)]
    singles = [Comparison.open(films[0]), Comparison.open(films[3])]
    found = [(one, Asking(context=context)) for one, context in zip([*pairs, *singles], cycle(CONTEXTS), strict=False)]
    return [*found, (pairs[0], Asking(section="impression", stops=("e",)))]


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return Engine.load(tiny, dtype="float32", device="cpu")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every batch that is decoded."""
    seen: list[int] = []
    real = batches.greedy

    def watched(batch: Any, rows: Any) -> Any:
        seen.append(len(rows))
        return real(batch, rows)

    monkeypatch.setattr(batches, "greedy", watched)
    return seen


def alone(engine: Engine, items: list[Item], decoding: Decoding = SHORT) -> list[Draft]:
    return [engine.draft(*item, decoding=decoding) for item in items]


def in_order(results: Iterator[Result]) -> list[Any]:
    """The results by the place of their item, each once."""
    found = sorted(results, key=lambda result: result[0])
    assert [place for place, _ in found] == list(range(len(found)))
    return [result for _, result in found]


def same(one: Draft, other: Draft) -> bool:
    """Whether two drafts are the same but for the time they took and the last digits of probabilities."""
    (first,), (second,) = one.sequences, other.sequences
    close = first.log_probabilities == pytest.approx(second.log_probabilities, abs=1e-4)
    return close and replace(one, timings=other.timings, sequences=other.sequences) == other


@pytest.mark.parametrize("size", [2, 3, 16, "auto"])
def test_a_draft_is_the_one_its_request_gets_alone(
    engine: Engine, items: list[Item], sizes: list[int], size: Any
) -> None:
    drafts = in_order(engine.draft_many(items, decoding=SHORT, batch_size=size))
    assert all(map(same, drafts, alone(engine, items)))
    assert len({draft.token_ids for draft in drafts}) > 3
    assert sum(sizes) >= 4 and max(sizes) <= (16 if size == "auto" else size)
    lengths = {len(draft.prompt_token_ids) for draft in drafts}
    assert len(lengths) > 3


@pytest.mark.parametrize("family", ["qwen2-vl", "llava"])
def test_other_families(family: str, items: list[Item], sizes: list[int], tmp_path: Path) -> None:
    """Also where a position is more than a count, and where an image takes as many positions as it is large."""
    build = {"qwen2-vl": tiny_multimodal.qwen2vl, "llava": tiny_multimodal.llava}[family]
    engine = Engine.load(build(tmp_path / "model"), dtype="float32", device="cpu")
    drafts = in_order(engine.draft_many(items, decoding=SHORT))
    assert all(map(same, drafts, alone(engine, items)))
    assert max(sizes) > 1


def test_who_looks_at_the_last_positions_only_is_asked_alone(items: list[Item], tmp_path: Path) -> None:
    folder = tiny_multimodal.llava(tmp_path / "model", "mistral")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["sliding_window"] = 400
    (folder / "config.json").write_text(json.dumps(config))
    engine = Engine.load(folder, dtype="float32", device="cpu")
    drafts = in_order(engine.draft_many(items, decoding=SHORT))
    assert all(map(same, drafts, alone(engine, items)))
    assert {draft.timings.together > 1 for draft in drafts} == {True, False}


def test_beams_samples_and_a_size_of_one_go_one_by_one(engine: Engine, items: list[Item], sizes: list[int]) -> None:
    few = items[:3]
    for decoding in (replace(SHORT, num_beams=3), replace(SHORT, temperature=0.8, seed=4)):
        results = list(engine.draft_many(few, decoding=decoding))
        assert [place for place, _ in results] == [0, 1, 2]
        assert [draft.token_ids for _, draft in results if isinstance(draft, Draft)] == [
            draft.token_ids for draft in alone(engine, few, decoding)
        ]
    assert [place for place, _ in engine.draft_many(items, decoding=SHORT, batch_size=1)] == list(range(len(items)))
    assert not sizes


def test_less_room_than_others_have(engine: Engine, items: list[Item]) -> None:
    """A long prompt leaves few tokens for its answer; the rows beside it go on."""
    few = [(items[0][0], Asking(context="a " * length)) for length in (395, 370, 395)]
    longer = Decoding(max_new_tokens=250)
    drafts = in_order(engine.draft_many(few, decoding=longer))
    expected = alone(engine, few, longer)
    assert all(map(same, drafts, expected))
    assert len({draft.decoding.max_new_tokens for draft in expected}) > 1
    assert {draft.timings.together for draft in drafts} == {3}


def test_a_bad_item_is_its_own_error(engine: Engine, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, asking = items[1]
    broken = replace(comparison.current, sha256="b" * 64)
    see = engine_module.Engine._see

    def fail(self: Engine, image: Any) -> Any:
        if image.sha256 == broken.sha256:
            raise InputError("The image is damaged.")
        return see(self, image)

    monkeypatch.setattr(engine_module.Engine, "_see", fail)
    monkeypatch.setattr(batches, "LONGER", 100.0)
    mixed = [
        items[0],
        (Comparison(replace(comparison.current, modality="CT")), asking),
        items[2],
        (comparison, Asking(context="\U0001f600" * 900)),
        (Comparison(broken), asking),
        items[3],
    ]
    found = in_order(engine.draft_many(mixed, decoding=SHORT))
    assert [type(result) for result in (found[1], found[4])] == [InputError, InputError]
    assert isinstance(found[3], UsageError) and "too long" in str(found[3])
    good = [0, 2, 5]
    assert all(map(same, [found[place] for place in good], alone(engine, [mixed[place] for place in good])))
    assert {found[place].timings.together for place in good} == {3}


def test_a_row_that_spoils_its_batch_is_found(
    engine: Engine, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine_module.Session.step
    step = batches.Batch.step
    marker = engine.draft(*items[3], decoding=SHORT).token_ids[:2]

    def one(session: Any, tokens: torch.Tensor, parents: Any = None) -> Any:
        if int(tokens[0]) == marker[0] and session.passes == 0:
            raise ModelError("The model computed values that are not numbers.")
        return real(session, tokens, parents)

    def together(batch: Any, tokens: torch.Tensor) -> Any:
        if batch.passes == 0 and marker[0] in tokens.tolist():
            raise ModelError("The model computed values that are not numbers.")
        return step(batch, tokens)

    expected = alone(engine, items)
    monkeypatch.setattr(engine_module.Session, "step", one)
    monkeypatch.setattr(batches.Batch, "step", together)
    found = in_order(engine.draft_many(items, decoding=SHORT))
    for result, draft in zip(found, expected, strict=True):
        if draft.token_ids[0] == marker[0]:
            assert isinstance(result, ModelError)
        else:
            assert same(result, draft)
    assert 0 < sum(isinstance(result, ModelError) for result in found) < len(found)


def test_without_memory_half_as_many_go_on(
    engine: Engine, items: list[Item], sizes: list[int], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    expected = alone(engine, items)
    monkeypatch.setattr(batches, "LONGER", 100.0)
    real, raised = batches.Batch.step, []

    def once(batch: Any, tokens: torch.Tensor) -> Any:
        if batch.passes == 3 and not raised:
            raised.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(batch, tokens)

    monkeypatch.setattr(batches.Batch, "step", once)
    found = in_order(engine.draft_many(items, decoding=SHORT, batch_size=6))
    assert all(map(same, found, expected))
    assert sizes == [6, 3, 3, 1]
    assert "not enough memory for 6 drafts at once; going on with 3" in caplog.text
    assert "Cough" not in caplog.text


def test_without_memory_for_one_it_is_said_of_each(
    engine: Engine, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(batches.Batch, "step", fail)
    monkeypatch.setattr(engine_module.Session, "step", fail)
    found = in_order(engine.draft_many(items[:4], decoding=SHORT))
    assert all(isinstance(error, ResourceError) for error in found)


def test_every_image_is_looked_at_once(engine: Engine, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the engine keeps fewer images than the items show."""
    monkeypatch.setattr(engine_module, "KEPT_IMAGES", 1)
    engine._features.clear()
    looked: list[int] = []
    hook = engine._loaded.model.vision_tower.encoder.layer[0].register_forward_pre_hook(lambda *_: looked.append(1))
    try:
        in_order(engine.draft_many(items * 2, decoding=SHORT, batch_size=3))
    finally:
        hook.remove()
    assert len(looked) == 5


def test_times_add_up(engine: Engine, items: list[Item]) -> None:
    drafts = in_order(engine.draft_many(items[:4], decoding=SHORT, batch_size=4))
    shares = {draft.timings.decode_s for draft in drafts if draft.timings.together > 1}
    for draft in drafts:
        timings = draft.timings
        assert timings.tokens == len(draft.token_ids) == timings.passes + 1
        if timings.together > 1:
            assert timings.first_token_s == timings.encode_s + timings.prefill_s
            assert timings.total_s == pytest.approx(timings.first_token_s + timings.decode_s)
    assert 0 < len(shares) < 4


def test_the_size_follows_the_free_memory(
    engine: Engine, items: list[Item], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = engine._request(*items[0], decoding=SHORT)
    config = engine._loaded.language_model.config
    one = row_bytes(engine._loaded, 100)
    assert one == 100 * config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4
    needed = row_bytes(engine._loaded, request.positions + SHORT.max_new_tokens)
    monkeypatch.setattr(batches, "free", lambda _: int(2.1 * needed / batches.SHARE))
    in_order(engine.draft_many([items[0]] * 5, decoding=SHORT))
    assert sizes == [2, 2, 1]
    sizes.clear()
    monkeypatch.setattr(batches, "free", lambda _: 0)
    assert all(isinstance(result, Draft) for result in in_order(engine.draft_many(items[:2], decoding=SHORT)))
    assert sizes == [1, 1]


@pytest.mark.parametrize("size", [0, -1, 65])
def test_an_impossible_size(engine: Engine, items: list[Item], size: int) -> None:
    with pytest.raises(UsageError, match="batch size"):
        engine.draft_many(items, batch_size=size)


def test_nothing_to_draft(engine: Engine) -> None:
    assert list(engine.draft_many([])) == []

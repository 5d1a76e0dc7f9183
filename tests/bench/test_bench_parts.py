"""The parts of the bench whose claims the command's output cannot show."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.bench import checkpoint, machine, report
from engine.bench.cases import Compared
from engine.bench.material import write_studies
from engine.bench.measure import Measured, Memory, Run
from engine.bench.peer import Peer
from engine.bench.processes import fresh
from engine.bench.sizes import SIZES
from engine.bench.task import QUANTISED
from engine.drafting import Comparison
from engine.errors import ResourceError, UsageError
from engine.models import quantisation
from engine.models.checkpoint import LoadedLibra, load_model

TINY = SIZES["tiny"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint.make(TINY, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    (study,) = write_studies(tmp_path_factory.mktemp("films"), 1, TINY.film)
    return Comparison.open(*study.pair)


class TestPeer:
    """It does what peer.py says Libra does."""

    @pytest.mark.parametrize("has_prior", [True, False])
    def test_every_beam_sees_every_image_and_every_position(
        self, model: Path, pair: Comparison, has_prior: bool
    ) -> None:
        loaded = load_model(model, dtype="float32", device="cpu")
        assert isinstance(loaded, LoadedLibra)
        seen: dict[str, list[Any]] = {"tower": [], "weights": [], "head": []}
        libra = loaded.model
        libra.vision_tower.encoder.layer[0].register_forward_pre_hook(
            lambda _, inputs: seen["tower"].append(inputs[0].shape[0])
        )
        libra.language_model.lm_head.register_forward_pre_hook(
            lambda _, inputs: seen["head"].append(tuple(inputs[0].shape[:2]))
        )
        for module in libra.connector.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.register_forward_hook(lambda _, __, output: seen["weights"].append(output[1].shape))
        comparison = pair if has_prior else Comparison(pair.current)
        run = Peer(loaded, "cpu").draft(comparison, "findings", beams=3, new_tokens=4)
        assert seen["tower"] == [3, 3]
        assert seen["weights"] == [(3, 16, 17)] * 3  # patches, and one key more
        assert seen["head"] == [(3, run.positions), *[(3, 1)] * 3]
        assert len(run.tokens) == 4
        assert 0 < run.encode_s < run.first_token_s < run.total_s


class TestCheckpoint:
    def test_the_loader_leaves_the_vocabulary_as_it_is(self, model: Path) -> None:
        loaded = load_model(model)
        assert len(loaded.tokenizer) == loaded.language_model.config.vocab_size == 600
        assert loaded.warnings == ()
        assert loaded.info.demonstration

    def test_a_large_vocabulary(self) -> None:
        pieces = checkpoint.tokenizer(32_000)
        assert len(pieces) == 32_000
        ids = pieces("Provide a detailed description of the findings").input_ids
        assert pieces.convert_ids_to_tokens(ids)[1:3] == ["\u2581Provide", "\u2581a"]

    def test_the_same_size_gives_the_same_model(self, model: Path, tmp_path: Path) -> None:
        again = checkpoint.make(TINY, tmp_path)
        for name in ("model.safetensors", "tokenizer.json", "dinov2/model.safetensors"):
            assert (again / name).read_bytes() == (model / name).read_bytes()

    def test_the_files_have_the_dtype_of_the_size(self, tmp_path: Path) -> None:
        half = checkpoint.make(replace(TINY, dtype="bfloat16"), tmp_path)
        assert torch.get_default_dtype() is torch.float32
        assert load_model(half, dtype="bfloat16").language_model.dtype is torch.bfloat16
        assert (half / "model.safetensors").stat().st_size < 600_000


def test_what_a_step_must_read() -> None:
    """Against figures that were worked out once for a checkpoint of this size: 953 MB of weights, 194 MB of cache."""
    mid = SIZES["mid"]
    weights = machine.step_bytes(mid, "float32", 0, 0, 0)
    assert weights == pytest.approx(953e6, rel=0.001)
    assert machine.step_bytes(mid, "float32", 1477, 0, 0) - weights == pytest.approx(194e6, rel=0.005)
    assert machine.step_bytes(mid, "bfloat16", 1477, 4, 64) == machine.step_bytes(mid, "float32", 1477, 4, 64) / 2
    more = machine.step_bytes(mid, "float32", 1477, 4, 64) - machine.step_bytes(mid, "float32", 1477, 0, 0)
    assert more == 4 * 32 * 2 * 16 * 1024 * 4


def _measured(*tokens: tuple[int, ...], others: float = 0.0) -> Measured:
    return Measured(tuple(Run(1, 2, 3, 0.5, 6, one, 20, len(one) - 1, others) for one in tokens), Memory(200, 100))


@pytest.mark.parametrize(("precision", "comparable"), [("float32", False), ("bfloat16", True)])
def test_other_tokens_in_float32_are_no_comparison(precision: str, comparable: bool) -> None:
    one = Compared("greedy", precision, _measured((5, 6, 7), (1, 2, 3)), _measured((5, 6, 7), (1, 2, 4)), 8e9)
    entry = report.entry(one, 16e9)
    assert entry["same_tokens"] is False
    assert (entry["ratio"] is not None) is comparable
    assert entry["limit_s"] == 0.5
    assert entry["engine"]["bandwidth_share"] == 1.0
    said = report.sentences(
        {"read_rate": {"before": 1e9, "after": 2e9}, "same_tokens": report.same_tokens([entry]), "cases": [entry]}
    )
    assert any("DIFFERENT TOKENS" in line for line in said) is not comparable
    assert any("round differently" in line for line in said) is comparable


def test_what_is_not_measured_says_why() -> None:
    entry = report.entry(Compared("batch-16", "float32", reason="There is not enough memory."), 1e9)
    assert entry["ratio"] is entry["same_tokens"] is entry["together"] is None
    said = report.sentences({"read_rate": {"before": 1e9, "after": 2e9}, "same_tokens": None, "cases": [entry]})
    assert "batch-16, float32: n/a, because There is not enough memory." in said


@pytest.mark.parametrize("same", [True, False])
def test_many_at_once_are_compared_with_the_same_engine(same: bool) -> None:
    singly = _measured((5, 6, 7), (1, 2, 3 if same else 4))
    together = replace(_measured((5, 6, 7), (1, 2, 3)), runs=tuple(
        replace(run, step_s=0.125) for run in _measured((5, 6, 7), (1, 2, 3)).runs
    ))  # fmt: skip
    entry = report.entry(Compared("batch-16", "float32", together, singly, 1e9, peer_step_bytes=8e9), 16e9)
    assert entry["decode_s"] == {"together": 0.5, "one by one": 2.0}
    assert entry["together"]["bandwidth_share"] == 0.5 and entry["one by one"]["bandwidth_share"] == 1.0
    assert (entry["ratio"] is not None) is same
    said = " ".join(
        report.sentences({"read_rate": {"before": 1e9, "after": 2e9}, "same_tokens": same, "cases": [entry]})
    )
    assert "4.0 times as fast" in said and ("DIFFERENT TOKENS" in said) is not same
    assert "engine and peer" not in said
    assert report.same_tokens([entry]) is same


@pytest.mark.parametrize(("others", "word"), [(0.02, "Quiet"), (0.8, "DISTURBED")])
def test_other_programs_are_reported(others: float, word: str) -> None:
    one = Compared("greedy", "float32", _measured((5, 6, 7)), _measured((5, 6, 7), others=others), 8e9)
    said = report.sentences(
        {"read_rate": {"before": 1e9, "after": 2e9}, "same_tokens": True, "cases": [report.entry(one, 1e9)]}
    )
    assert any(line.startswith(word) and f"{others:.2f}" in line for line in said)


def test_every_quantisation_of_the_engine_is_measured() -> None:
    assert ("none", *QUANTISED) == quantisation.METHODS
    mid = SIZES["mid"]
    layers = mid.linear_values * 2  # bytes in bfloat16
    for precision, share in (("int8", 0.5), ("nf4", 0.26)):
        saved = machine.step_bytes(mid, "bfloat16", 1477, 1, 64) - machine.step_bytes(mid, precision, 1477, 1, 64)
        assert saved == pytest.approx(layers * (1 - share), rel=0.01)


class TestFreshProcess:
    def test_it_is_another_one_with_so_many_threads(self) -> None:
        assert fresh(os.getpid, threads=1) != os.getpid()
        assert fresh(torch.get_num_threads, threads=2) == 2

    def test_what_it_raises_is_raised_here(self) -> None:
        with pytest.raises(UsageError, match="threads"):
            fresh(_refuse, threads=1)

    @pytest.mark.skipif(os.name != "posix", reason="signals")
    def test_its_end_is_what_a_system_without_memory_does(self) -> None:
        with pytest.raises(ResourceError, match="-9"):
            fresh(_die, threads=1)


def _refuse() -> None:
    raise UsageError("Too many threads.")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

"""Weight files: damaged, hostile and merely large ones."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from engine import paths
from engine.errors import ModelError
from engine.models.weights import digest, look, looks_finite, read

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}


def test_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    weights = look(tmp_path)
    assert not weights.problems
    assert weights.entries["a"].shape == (2, 3)
    assert weights.entries["b"].dtype == "bfloat16"
    assert weights.parameters == 10
    assert torch.equal(read(weights, ["a"])["a"], TENSORS["a"])


def test_bin_and_sharded_bin(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    weights = look(tmp_path)
    assert (weights.problems, weights.parameters, weights.dtype) == ((), 10, "float32")
    assert torch.equal(read(weights, ["b"])["b"], TENSORS["b"])
    (tmp_path / "pytorch_model.bin").unlink()
    for name in TENSORS:
        torch.save({name: TENSORS[name]}, tmp_path / f"{name}.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(
        json.dumps({"weight_map": {name: f"{name}.bin" for name in TENSORS}})
    )
    weights = look(tmp_path)
    assert not weights.problems
    assert read(weights, TENSORS).keys() == TENSORS.keys()


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"a": torch.zeros(1), "b": Evil(marker)}, tmp_path / "pytorch_model.bin")
    assert look(tmp_path).problems == ("pytorch_model.bin holds more than weights and is refused",)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(marker)))
    assert look(tmp_path).problems
    assert not marker.exists()


@pytest.mark.parametrize("content", [{"a": 5}, [torch.zeros(1)], torch.zeros(1)])
def test_a_bin_that_is_no_table(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "pytorch_model.bin")
    assert look(tmp_path).problems == ("pytorch_model.bin is not a table of weights",)


@settings(max_examples=60)
@given(data=st.data())
def test_any_cut_or_changed_byte_is_found_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    file = folder / "model.safetensors"
    save_file(TENSORS, file)
    whole = file.read_bytes()
    if data.draw(st.booleans()):
        file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert look(folder).problems
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        file.write_bytes(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])
        look(folder)  # must not raise


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8,
        (2**40).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"[]",
        (60).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}'.ljust(60),
        (60).to_bytes(8, "little") + b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}'.ljust(60),
        (9000).to_bytes(8, "little") + b'{"a":' * 1800,
    ],
)
def test_hostile_headers(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(header + b"\0" * 64)
    assert look(tmp_path).problems


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_numbers(tmp_path: Path, value: float) -> None:
    save_file({"a": torch.tensor([0.0, value])}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="not numbers") as caught:
        read(look(tmp_path), ["a"])
    assert caught.value.problems == ("a holds values that are not finite",)


def test_a_large_tensor_is_sampled() -> None:
    assert looks_finite(torch.zeros(300_000))
    assert not looks_finite(torch.full((300_000,), torch.nan))
    assert looks_finite(torch.zeros(3, dtype=torch.int64))


def test_hash_follows_the_content_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = digest([file])
    assert len(first) == 64
    assert (paths.home() / "cache" / "weight-hashes.json").is_file()
    reads = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (reads.append(self.name), real(self, *a, **k))[1])
    assert digest([file]) == first
    assert file.name not in reads
    file.write_bytes(b"two!")
    assert digest([file]) != first
    assert digest([file, file]) != digest([file])


def test_a_damaged_cache_is_no_cache(tmp_path: Path) -> None:
    file = tmp_path / "w"
    file.write_bytes(b"one")
    first = digest([file])
    (paths.home() / "cache" / "weight-hashes.json").write_text("[")
    assert digest([file]) == first

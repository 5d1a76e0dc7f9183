"""What a batch is made of: the pixels a draft would see, and an order that seed and epoch settle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import DatasetError
from engine.imaging.display import to_pil
from engine.imaging.reader import Reader
from engine.models.preprocessing import ImageProcessor, Padding, prepare
from engine.training import pixels
from engine.training.pixels import PixelStore
from engine.training.samples import ByLength

PROCESSOR = ImageProcessor(
    shortest_edge=56, crop=(56, 56), mean=(0.53, 0.53, 0.53), std=(0.26, 0.26, 0.26), padding=Padding.MEAN
)

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=150)


@settings(max_examples=80, deadline=None)
@given(lengths=lengths, batch=st.integers(1, 7), seed=st.integers(0, 99), epoch=st.integers(0, 3))
def test_an_epoch_takes_every_sample_once_and_the_longest_first(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    def order(sampler: ByLength) -> list[int]:
        sampler.set_epoch(epoch)
        return list(sampler)

    found = order(ByLength(len(lengths), lengths, batch, seed))
    assert sorted(found) == list(range(len(lengths)))
    assert found == order(ByLength(len(lengths), lengths, batch, seed)), "seed and epoch settle it"
    batches = [found[at : at + batch] for at in range(0, len(found), batch)]
    assert all(len(one) == batch for one in batches[:-1])
    longest = [max(lengths[i] for i in one) for one in batches if len(one) == batch]
    assert not longest or longest[0] == max(longest), "no full batch takes more memory than the first"


@given(count=st.integers(1, 50), seed=st.integers(0, 9))
def test_without_lengths_the_order_is_random(count: int, seed: int) -> None:
    sampler = ByLength(count, None, 4, seed)
    first = list(sampler)
    sampler.set_epoch(1)
    assert sorted(first) == sorted(sampler) == list(range(count))


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_trained_on_is_what_is_shown(shared: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    data = shared / "data"
    images = [data / name for name in ("pair_current.jpg", "pair_prior.jpg", "rsna_chest.dcm", "nih_00000001_000.png")]
    if not kept:  # as where the disk has no room for a store
        monkeypatch.setattr(pixels, "LARGEST_SHARE", 0.0)
    store = PixelStore(images, PROCESSOR)
    found = store.pixels([2, 0, 3])
    with Reader() as reader:
        seen = [prepare(to_pil(reader.read(images[row])), PROCESSOR) for row in (2, 0, 3)]
    assert np.array_equal(found.numpy(), np.stack(seen))


def test_a_coloured_picture_keeps_its_colours(tmp_path: Path) -> None:
    red = np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = np.arange(60) * 4
    Image.fromarray(red).save(tmp_path / "red.png")
    Image.fromarray(red[..., 0]).save(tmp_path / "grey.png")
    store = PixelStore([tmp_path / "grey.png", tmp_path / "red.png"], PROCESSOR)
    grey, coloured = store.pixels([0, 1])
    assert torch.equal(grey[0], grey[1]) and not torch.equal(coloured[0], coloured[1])


def test_a_picture_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text(json.dumps("no picture"))
    with pytest.raises(DatasetError, match=r"text\.png"):
        PixelStore([tmp_path / "text.png"], PROCESSOR)
    with pytest.raises(DatasetError, match=r"gone\.png"):
        PixelStore([tmp_path / "gone.png"], PROCESSOR)

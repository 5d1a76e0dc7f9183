"""The ban on repeats and top-p, against transformers' processors and by definition."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import NoRepeatNGramLogitsProcessor, TopPLogitsWarper

from engine.decoding.choosing import ban_repeats, keep_top_p


@given(
    history=st.lists(st.integers(0, 4), max_size=20),
    rows=st.integers(1, 3),
    size=st.integers(1, 5),
)
def test_ban_equals_transformers(history: list[int], rows: int, size: int) -> None:
    ids = torch.tensor([history] * rows, dtype=torch.int64)
    logits = torch.randn(rows, 5)
    found = ban_repeats(logits, ids, size)
    if not history:
        assert torch.equal(found, logits)
        return
    assert torch.equal(found, NoRepeatNGramLogitsProcessor(size)(ids, logits.clone()))


def test_the_image_is_one_id_and_never_a_token() -> None:
    logits = torch.zeros(1, 5)
    assert ban_repeats(logits, torch.tensor([[1, -200, 2, 1, -200]]), 3)[0].tolist() == [0, 0, -torch.inf, 0, 0]
    assert torch.equal(ban_repeats(logits, torch.tensor([[1, 2, -200, 1, 2]]), 3), logits)


def test_no_ban() -> None:
    logits = torch.randn(2, 5)
    assert torch.equal(ban_repeats(logits, torch.tensor([[1, 1, 1]] * 2), 0), logits)


@given(seed=st.integers(0, 1000), top_p=st.floats(0.01, 1.0))
def test_top_p_equals_transformers(seed: int, top_p: float) -> None:
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(seed)) * 3
    expected = TopPLogitsWarper(top_p)(torch.zeros(2, 1, dtype=torch.int64), logits) if top_p < 1 else logits
    assert torch.equal(keep_top_p(logits, top_p), expected)

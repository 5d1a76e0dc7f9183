"""Beam search gives transformers' own beams, ids and scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.decoding.choosing import Outcome, Settings, Step
from engine.decoding.generate import generate
from engine.decoding.session import Session


def never(_ids: object) -> bool:
    return False


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("beams", "penalty", "ngram", "stops", "limit"),
    [
        (2, 1.0, 0, [2], 15),
        (3, 2.0, 3, [2], 15),
        (4, 0.0, 0, [2, 5, 7], 15),
        (5, -1.0, 2, [2, 3], 12),
        (4, 1.0, 1, [2], 30),
        (10, 2.0, 3, list(range(8)), 10),
        (3, 1.0, 3, [], 9),
        (4, 1.0, 0, [2], 1),
    ],
)
def test_equals_transformers(seed: int, beams: int, penalty: float, ngram: int, stops: list[int], limit: int) -> None:
    from llama_reference import cut, embeddings, llama, theirs

    model, prompt = llama(seed), embeddings(seed + 100)
    expected = theirs(
        model,
        prompt,
        num_beams=beams,
        num_return_sequences=beams,
        length_penalty=penalty,
        no_repeat_ngram_size=ngram,
        eos_token_id=stops or None,
        max_new_tokens=limit,
        do_sample=False,
    )
    settings = Settings(limit, tuple(stops), beams, penalty, ngram, num_return_sequences=beams)
    *steps, outcome = generate(Session(model, prompt), [], settings, never)
    assert isinstance(outcome, Outcome)
    assert all(isinstance(step, Step) and len(step.token_ids) == n + 1 for n, step in enumerate(steps))
    found = outcome.sequences
    theirs_ids = [cut(row, stops) for row in expected.sequences]
    assert [list(answer.token_ids) for answer in found] == theirs_ids
    np.testing.assert_allclose([answer.score for answer in found], expected.sequences_scores, rtol=1e-4, atol=1e-5)
    assert [answer.stopped for answer in found] == [ids[-1] in stops for ids in theirs_ids]


def test_some_of_them_end_early() -> None:
    """The comparison above is worth something only if beams do finish before the limit."""
    from llama_reference import embeddings, llama

    lengths = set()
    for seed in range(6):
        *_, outcome = generate(
            Session(llama(seed), embeddings(seed + 100)), [], Settings(15, (2, 5, 7), 4, num_return_sequences=4), never
        )
        lengths |= {len(answer.token_ids) for answer in outcome.sequences}
    assert len(lengths) > 3
    assert min(lengths) < 15


def test_prompt_ids_count_for_the_ban() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(3), embeddings(3)
    free = Settings(6, (), 2, no_repeat_ngram=2)
    *_, first = generate(Session(model, prompt), [], free, never)
    best = first.sequences[0].token_ids
    *_, second = generate(Session(model, prompt), [-200, *best[:2]], free, never)
    again = second.sequences[0].token_ids
    pairs = set(pairwise(again))
    assert tuple(best[:2]) not in pairs


def test_stop_text_ends_a_beam() -> None:
    from llama_reference import embeddings, llama

    *_, outcome = generate(
        Session(llama(1), embeddings(1)), [], Settings(20, (), 3, num_return_sequences=3), lambda ids: ids[-1] < 8
    )
    assert all(answer.stopped and answer.token_ids[-1] < 8 for answer in outcome.sequences)


def test_the_prompt_is_computed_once() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    passes: list[tuple[int, int]] = []
    model.model.layers[0].register_forward_pre_hook(lambda _m, inputs: passes.append(tuple(inputs[0].shape[:2])))
    list(generate(Session(model, embeddings(1)), [], Settings(5, (), 4), never))
    assert passes == [(1, 11), (4, 1), (4, 1), (4, 1), (4, 1)]


def test_stopping_to_iterate_cancels() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    passes: list[torch.Size] = []
    model.model.layers[0].register_forward_pre_hook(lambda _m, inputs: passes.append(inputs[0].shape))
    steps = generate(Session(model, embeddings(1)), [], Settings(50, (), 4), never)
    for _ in range(3):
        next(steps)
    steps.close()
    assert len(passes) == 3

"""Greedy decoding and sampling give transformers' own tokens."""

from __future__ import annotations

import pytest
import torch

from engine.decoding.choosing import Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session


def never(_ids: object) -> bool:
    return False


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ngram", [0, 2])
def test_greedy_equals_transformers(seed: int, ngram: int) -> None:
    from llama_reference import embeddings, llama, theirs

    model, prompt = llama(seed), embeddings(seed)
    expected = theirs(
        model, prompt, do_sample=False, eos_token_id=[2, 4], max_new_tokens=20, no_repeat_ngram_size=ngram
    )
    *steps, outcome = generate(Session(model, prompt), [], Settings(20, (2, 4), no_repeat_ngram=ngram), never)
    (answer,) = outcome.sequences
    assert list(answer.token_ids) == expected.sequences[0].tolist()
    assert steps[-1].token_ids == answer.token_ids
    assert answer.stopped == (answer.token_ids[-1] in (2, 4))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (1.5, 0.3)])
def test_sampling_equals_transformers(temperature: float, top_p: float) -> None:
    from llama_reference import embeddings, llama, theirs

    model, prompt = llama(5), embeddings(5)
    for seed in range(4):
        torch.manual_seed(seed)
        expected = theirs(
            model, prompt, do_sample=True, temperature=temperature, top_p=top_p, top_k=0,
            eos_token_id=None, max_new_tokens=15,
        )  # fmt: skip
        settings = Settings(15, (), temperature=temperature, top_p=top_p, seed=seed)
        *_, outcome = generate(Session(model, prompt), [], settings, never)
        assert list(outcome.sequences[0].token_ids) == expected.sequences[0].tolist()


def test_a_seed_repeats_and_others_differ() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(sharpness=0.3), embeddings(1)

    def answers(seed: int | None) -> list[tuple[int, ...]]:
        settings = Settings(12, (), temperature=1.0, seed=seed, num_return_sequences=3)
        *_, outcome = generate(Session(model, prompt), [], settings, never)
        return [answer.token_ids for answer in outcome.sequences]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)
    assert answers(None) != answers(None)
    assert len(set(answers(1))) == 3


def test_sampling_leaves_the_global_stream_alone() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(), embeddings(1)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(generate(Session(model, prompt), [], Settings(5, (), temperature=1.0, seed=1), never))
    assert torch.equal(torch.rand(3), expected)


def test_a_row_that_has_ended_waits() -> None:
    from llama_reference import embeddings, llama

    model = llama(sharpness=0.2)
    settings = Settings(40, (2, 3, 4), temperature=1.0, seed=3, num_return_sequences=5)
    *steps, outcome = generate(Session(model, embeddings(1)), [], settings, never)
    lengths = [len(answer.token_ids) for answer in outcome.sequences]
    assert len(set(lengths)) > 1
    assert max(lengths) == len(steps)
    for answer in outcome.sequences:
        assert answer.stopped == (answer.token_ids[-1] in (2, 3, 4))
        assert not {2, 3, 4} & set(answer.token_ids[:-1])


def test_stop_text() -> None:
    from llama_reference import embeddings, llama

    *_, outcome = generate(Session(llama(), embeddings(1)), [], Settings(40, ()), lambda ids: len(ids) == 7)
    assert (len(outcome.sequences[0].token_ids), outcome.sequences[0].stopped) == (7, True)


def test_one_pass_a_token_and_none_too_many() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    passes: list[torch.Size] = []
    model.model.layers[0].register_forward_pre_hook(lambda _m, inputs: passes.append(inputs[0].shape))
    list(generate(Session(model, embeddings(1)), [], Settings(6, ()), never))
    assert len(passes) == 6

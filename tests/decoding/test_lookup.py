"""Guessing from known texts changes how many passes an answer takes, never the answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_reference import VOCABULARY, embeddings, llama

from engine.decoding.choosing import Answer, Outcome, Settings, Step
from engine.decoding.generate import generate
from engine.decoding.lookup import GUESSES, NEEDLES, Texts
from engine.decoding.session import Session

MODEL = llama(3)
PROMPT = embeddings(3)


def never(_ids: object) -> bool:
    return False


def run(**options: object) -> tuple[Answer, int, list[tuple[int, ...]]]:
    """The answer, the passes it took and the steps on the way."""
    session = Session(MODEL, PROMPT)
    ends = options.pop("ends", never)
    chosen = Settings(**{"max_new_tokens": 40, "stop_ids": (), **options})  # type: ignore[arg-type]
    *steps, outcome = generate(session, [1, 2], chosen, ends)  # type: ignore[arg-type]
    assert isinstance(outcome, Outcome)
    return outcome.sequences[0], session.passes, [step.token_ids for step in steps if isinstance(step, Step)]


def test_a_text_that_is_the_answer_saves_most_passes() -> None:
    plain, passes, _ = run()
    assert passes == 39
    found, fewer, steps = run(lookup=(plain.token_ids,))
    assert found.token_ids == plain.token_ids
    assert found.log_probabilities == pytest.approx(plain.log_probabilities, abs=1e-4)
    assert fewer <= 2 + min(NEEDLES) + 40 // GUESSES
    assert [len(ids) for ids in steps] == list(range(1, 41))


@pytest.mark.parametrize("ngram", [0, 3])
@pytest.mark.parametrize("max_new_tokens", [1, 2, 17, 40])
def test_texts_that_agree_in_part(ngram: int, max_new_tokens: int) -> None:
    options = {"no_repeat_ngram": ngram, "max_new_tokens": max_new_tokens}
    plain, passes, _ = run(**options)
    half = list(plain.token_ids)
    half[len(half) // 2 :: 3] = [(token + 1) % VOCABULARY for token in half[len(half) // 2 :: 3]]
    found, fewer, steps = run(**options, lookup=(tuple(half), (1, 2, 3)))
    assert found.token_ids == plain.token_ids
    assert fewer <= passes
    assert len(steps) == len(plain.token_ids)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=30), min_size=1, max_size=4))
def test_any_texts_change_nothing(texts: list[list[int]]) -> None:
    plain, _, _ = run(max_new_tokens=20)
    found, _, _ = run(max_new_tokens=20, lookup=tuple(map(tuple, texts)))
    assert found.token_ids == plain.token_ids


def test_the_end_may_come_in_the_middle_of_guesses() -> None:
    plain, _, _ = run()
    stop = plain.token_ids[20]
    expected, _, _ = run(stop_ids=(stop,))
    found, _, _ = run(stop_ids=(stop,), lookup=(plain.token_ids,))
    assert (found.token_ids, found.stopped) == (expected.token_ids, True)
    spelled, _, _ = run(lookup=(plain.token_ids,), ends=lambda ids: len(ids) == 9)
    assert (spelled.token_ids, spelled.stopped) == (plain.token_ids[:9], True)


def test_sampling_and_beams_do_not_guess() -> None:
    texts = (tuple(range(10)),)
    for options in ({"temperature": 1.0, "seed": 1}, {"num_beams": 3}):
        assert run(**options, lookup=texts)[0] == run(**options)[0]


def test_guesses() -> None:
    texts = Texts([[1, 2, 3, 4, 5, 6], [9, 3, 4, 7]])
    assert texts.guess() == []
    texts.add(3)
    assert texts.guess() == []
    texts.add(4)
    assert texts.guess() == [7]  # the later text is believed first
    texts = Texts([[1, 2, 3, 4, 5, 6], [9, 3, 4, 7]])
    for token in (2, 3, 4):
        texts.add(token)
    assert texts.guess() == [5, 6]  # three tokens that agree are surer than two
    texts = Texts([])
    for token in (5, 6, 7, 8, 5, 6):
        texts.add(token)
    assert texts.guess() == [7, 8, 5, 6]  # the answer itself


def test_log_probabilities_of_every_kind() -> None:
    with torch.inference_mode():
        for options in ({}, {"num_beams": 4, "length_penalty": 2.0}, {"temperature": 0.7, "seed": 3}):
            found, _, _ = run(max_new_tokens=12, **options)
            ids = torch.tensor([found.token_ids])
            embedded = torch.cat((PROMPT, MODEL.get_input_embeddings()(ids)), dim=1)
            logits = MODEL(inputs_embeds=embedded, use_cache=False).logits[0, PROMPT.shape[1] - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, ids[0][:, None])[:, 0].tolist()
            assert found.log_probabilities == pytest.approx(expected, abs=1e-4)

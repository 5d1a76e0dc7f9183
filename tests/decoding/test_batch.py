"""Prompts answered side by side get the answers they get alone, whatever their lengths."""

from __future__ import annotations

import pytest
import torch
from llama_reference import embeddings, llama

from engine.decoding.batch import Batch, Row, greedy
from engine.decoding.choosing import Outcome, Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session

LENGTHS = (11, 3, 30, 11, 17)


def never(_ids: object) -> bool:
    return False


@pytest.mark.parametrize("key_heads", [1, 4])
@pytest.mark.parametrize("settings", [Settings(80, ()), Settings(20, (2, 3, 5)), Settings(40, (1,), no_repeat_ngram=3)])
def test_the_answers_are_those_of_each_prompt_alone(key_heads: int, settings: Settings) -> None:
    """Also where the rows' room grows, and where rows end at different tokens."""
    model = llama(4, key_heads=key_heads)
    prompts = [embeddings(seed, length) for seed, length in enumerate(LENGTHS)]
    ids = [[9, 8, 7, -200, 6][: length % 5 + 1] for length in LENGTHS]
    alone = []
    for prompt, known in zip(prompts, ids, strict=True):
        *_, outcome = generate(Session(model, prompt), known, settings, never)
        assert isinstance(outcome, Outcome)
        alone.append(outcome.sequences[0])
    batch = Batch([Session(model, prompt) for prompt in prompts])
    together = greedy(batch, [Row(known, settings, never) for known in ids])
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
    assert [answer.stopped for answer in together] == [answer.stopped for answer in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    assert batch.passes == max(len(answer.token_ids) for answer in alone) - 1
    assert len({answer.token_ids for answer in alone}) > 1


def test_a_stop_text_ends_its_row_alone() -> None:
    model = llama(4)
    prompts = [embeddings(seed) for seed in range(3)]
    rows = [Row([1], Settings(9, ()), lambda ids: ids[-1] < 8)] * 3
    answers = greedy(Batch([Session(model, prompt) for prompt in prompts]), rows)
    assert all(answer.stopped == (answer.token_ids[-1] < 8) for answer in answers)
    assert all(all(token >= 8 for token in answer.token_ids[:-1]) for answer in answers)


def test_rows_have_ends_of_their_own_and_leave_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them when the third has ended, and one more."""
    model = llama(4)
    lengths = (3, 70, 5, 20, 40)
    prompts = [embeddings(seed, length) for seed, length in enumerate(LENGTHS)]
    widths: list[int] = []
    step = Batch.step

    def watched(batch: Batch, tokens: torch.Tensor) -> torch.Tensor:
        widths.append(len(tokens))
        return step(batch, tokens)

    monkeypatch.setattr(Batch, "step", watched)
    rows = [Row([1], Settings(length, (), no_repeat_ngram=4), never) for length in lengths]
    answers = greedy(Batch([Session(model, prompt) for prompt in prompts]), rows)
    for answer, prompt, row in zip(answers, prompts, rows, strict=True):
        *_, outcome = generate(Session(model, prompt), row.prompt_ids, row.settings, never)
        assert isinstance(outcome, Outcome)
        assert (answer.token_ids, answer.stopped) == (outcome.sequences[0].token_ids, False)
    assert [len(answer.token_ids) for answer in answers] == list(lengths)
    assert widths == [5] * 19 + [2] * 20 + [1] * 30


def test_a_batch_holds_its_prompts_once() -> None:
    model = llama(2)
    sessions = [Session(model, embeddings(seed)) for seed in range(2)]
    Batch(sessions)
    assert all(session.cache.get_seq_length() == 0 for session in sessions)


def test_steps_equal_full_passes() -> None:
    model = llama(2)
    prompts = [embeddings(seed, length) for seed, length in enumerate((4, 12))]
    batch = Batch([Session(model, prompt) for prompt in prompts])
    batch.step(torch.tensor([5, 6]))
    found = batch.step(torch.tensor([7, 8]))
    for row, (prompt, tokens) in enumerate(zip(prompts, ([5, 7], [6, 8]), strict=True)):
        with torch.inference_mode():
            embedded = torch.cat((prompt, model.get_input_embeddings()(torch.tensor([tokens]))), dim=1)
            expected = model(inputs_embeds=embedded, use_cache=False).logits[0, -1]
        torch.testing.assert_close(found[row], expected, atol=2e-4, rtol=1e-3)

"""The shared-prompt cache computes what a plain cache computes, and stores the prompt once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.decoding.cache import BLOCK, SharedPromptCache
from engine.decoding.session import Session
from engine.errors import ModelError


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 3])
def test_steps_equal_full_passes(key_heads: int, rows: int) -> None:
    """Also across a growth of the buffers, and with rows that change their parents."""
    from llama_reference import VOCABULARY, embeddings, llama

    model = llama(key_heads=key_heads)
    prompt = embeddings(1)
    session = Session(model, prompt)
    stream = torch.Generator().manual_seed(rows)
    history = torch.zeros(rows, 0, dtype=torch.int64)
    for step in range(BLOCK + 6):
        parents = torch.randint(rows, (rows,), generator=stream) if step else None
        tokens = torch.randint(VOCABULARY, (rows,), generator=stream)
        logits = session.step(tokens, parents)
        history = torch.cat((history if parents is None else history[parents], tokens[:, None]), dim=1)
        if step in (0, 1, BLOCK - 1, BLOCK, BLOCK + 5):
            with torch.inference_mode():
                embedded = torch.cat((prompt.expand(rows, -1, -1), model.get_input_embeddings()(history)), dim=1)
                expected = model(inputs_embeds=embedded, use_cache=False).logits[:, -1]
            torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype) -> None:
    from llama_reference import embeddings, llama

    full, half = llama(), llama().to(dtype)
    tokens = torch.tensor([3, 4])
    expected = Session(full, embeddings(1)).step(tokens)
    found = Session(half, embeddings(1).to(dtype)).step(tokens)
    assert found.dtype == torch.float32
    assert torch.corrcoef(torch.stack((found.flatten(), expected.flatten())))[0, 1] > 0.99


def test_the_prompt_is_stored_once_and_rows_only_their_own() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    session = Session(model, embeddings(1, length=40))
    for _ in range(5):
        session.step(torch.tensor([1, 2, 3, 4, 5, 6]))
    for layer in session.cache.layers:
        assert layer._prompt[0].shape == (2, 40, 8)
        assert layer._own.shape == (2, 6, 2, BLOCK, 8)
        assert layer.get_seq_length() == 45


def test_steps_write_in_place() -> None:
    from llama_reference import embeddings, llama

    session = Session(llama(), embeddings(1))
    session.step(torch.tensor([1, 2]))
    places = [layer._own.data_ptr() for layer in session.cache.layers]
    for _ in range(BLOCK - 1):
        session.step(torch.tensor([1, 2]), torch.tensor([1, 0]))
    assert [layer._own.data_ptr() for layer in session.cache.layers] == places


def test_training_with_padding_is_untouched_by_the_attention() -> None:
    """A model that has decoded may go on to train: without a shared cache the attention is SDPA with its mask."""
    from llama_reference import embeddings, llama

    model = llama()
    prompt = embeddings(1).expand(2, -1, -1)
    mask = torch.ones(2, 11, dtype=torch.int64)
    mask[1, 7:] = 0
    with torch.inference_mode():
        before = model(inputs_embeds=prompt, attention_mask=mask).logits
        Session(model, embeddings(1)).step(torch.tensor([1]))
        after = model(inputs_embeds=prompt, attention_mask=mask).logits
    torch.testing.assert_close(before[0], after[0])
    torch.testing.assert_close(before[1, :7], after[1, :7])


def test_logits_of_one_position_only() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    shapes: list[torch.Size] = []
    model.lm_head.register_forward_hook(lambda _m, inputs, _o: shapes.append(inputs[0].shape))
    Session(model, embeddings(1)).step(torch.tensor([1, 2]))
    assert [shape[1] for shape in shapes] == [1, 1]


def test_nan_is_an_error() -> None:
    from llama_reference import embeddings, llama

    model = llama()
    with torch.no_grad():
        model.lm_head.weight[5] = torch.nan
    with pytest.raises(ModelError, match="not numbers"):
        Session(model, embeddings(1))


def test_nothing_survives_a_session() -> None:
    import gc
    import weakref

    from llama_reference import embeddings, llama

    session = Session(llama(), embeddings(1))
    session.step(torch.tensor([1, 2]))
    gone = weakref.ref(session.cache)
    del session
    gc.collect()
    assert gone() is None


def test_an_empty_cache_has_no_length() -> None:
    assert SharedPromptCache().get_seq_length() == 0


def test_import_of_the_engine_is_light(project: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys, engine, engine.cli.draft, engine.cli.models;"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_several_positions_at_once_and_taken_back() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(), embeddings(1)
    session, other = Session(model, prompt), Session(model, prompt)
    expected = [other.step(torch.tensor([token]))[0] for token in (3, 1, 4, 1, 5)]
    tried = session.try_tokens(torch.tensor([3, 1, 4, 9, 9]))
    torch.testing.assert_close(tried[:3], torch.stack(expected[:3]), atol=1e-4, rtol=1e-4)
    session.take_back(2)
    torch.testing.assert_close(session.step(torch.tensor([1]))[0], expected[3], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(session.try_tokens(torch.tensor([5]))[0], expected[4], atol=1e-4, rtol=1e-4)
    assert (session.passes, other.passes) == (3, 5)


@pytest.mark.parametrize("shared", [1, 7, 10])
@pytest.mark.parametrize("length", [11, 14])
def test_what_prompts_share_is_computed_once_and_to_the_same_bit(shared: int, length: int) -> None:
    from llama_reference import embeddings, llama

    model, first = llama(), embeddings(1)
    second = torch.cat((first[:, :shared], embeddings(2, length)[:, shared:]), dim=1)
    before = Session(model, first, boundary=shared)
    torch.testing.assert_close(before.logits, Session(model, first).logits, atol=1e-4, rtol=1e-4)
    before.step(torch.tensor([3, 4, 5]))
    lengths: list[int] = []
    model.model.layers[0].register_forward_hook(lambda _m, inputs, _o: lengths.append(inputs[0].shape[1]))
    session = Session(model, second, boundary=shared, after=before.rest())
    assert (session.reused, lengths) == (shared, [length - shared])
    fresh = Session(model, second, boundary=shared)
    tokens = torch.tensor([1, 2])
    assert torch.equal(session.logits, fresh.logits)
    assert torch.equal(session.step(tokens), fresh.step(tokens))
    again = Session(model, first, boundary=shared, after=session.rest())  # and back
    assert again.reused
    assert torch.equal(again.logits, Session(model, first, boundary=shared).logits)


def test_what_differs_is_not_reused() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(), embeddings(1)
    changed = prompt.clone()
    changed[0, 5, 0] += 1

    def reused(following: torch.Tensor, boundary: int) -> int:
        before = Session(model, prompt, boundary=6).rest()
        return Session(model, following, boundary=boundary, after=before).reused

    assert reused(changed, 6) == 0
    assert reused(prompt, 5) == 0
    assert reused(prompt, 0) == 0
    assert reused(prompt, 6) == 6


def test_an_earlier_session_is_used_up() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(), embeddings(1)
    for following in (prompt, embeddings(3)):
        before = Session(model, prompt, boundary=6).rest()
        Session(model, following, boundary=6, after=before)
        assert before.cache.get_seq_length() == 0  # it holds no memory beside the new one
        assert Session(model, prompt, boundary=6, after=before).reused == 0


def test_positions_on_several_axes_are_part_of_what_is_shared() -> None:
    from llama_reference import embeddings, llama

    model, prompt = llama(), embeddings(1)
    seen: list[torch.Tensor] = []
    model.model.register_forward_pre_hook(
        lambda _m, args, kwargs: (seen.append(kwargs["position_ids"]), (args, kwargs | {"position_ids": None}))[1],
        with_kwargs=True,
    )
    positions = torch.arange(11).expand(3, 1, 11)
    before = Session(model, prompt, positions, 5, boundary=4)
    before.step(torch.tensor([1]))
    before.try_tokens(torch.tensor([1, 2]))
    before.take_back(2)
    before.step(torch.tensor([1]))
    assert [place[0, 0].tolist() for place in seen[2:]] == [[5], [6, 7], [6]]
    other = positions.clone()
    other[1, 0, 4:] += 1
    before.rest()
    session = Session(model, prompt, other, 5, boundary=4, after=before)
    assert session.reused == 4
    other = other.clone()
    other[1, 0, 3] += 1
    assert Session(model, prompt, other, 5, boundary=4, after=session.rest()).reused == 0

"""Greedy decoding and sampling: one row each, several samples of one prompt side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.decoding.choosing import Answer, Ends, Outcome, Settings, Step, ban_repeats, keep_top_p
from engine.decoding.session import Session


def sample(session: Session, prompt_ids: Sequence[int], settings: Settings, ends: Ends) -> Iterator[Step | Outcome]:
    """Decode ``settings.num_return_sequences`` rows; yields a Step per token and the Outcome last.

    Temperature 0 takes the likeliest token. A row that has ended waits for the others.
    """
    rows = settings.num_return_sequences
    device = session.logits.device
    generator = torch.Generator(device)
    if settings.seed is None:
        generator.seed()
    else:
        generator.manual_seed(settings.seed)
    history = torch.tensor([list(prompt_ids)] * rows, dtype=torch.int64, device=device)
    answers: list[list[int]] = [[] for _ in range(rows)]
    likely: list[list[float]] = [[] for _ in range(rows)]
    open_rows = [True] * rows
    logits = session.logits.expand(rows, -1)
    for position in range(settings.max_new_tokens):
        # 1. choose the next token of every row
        tokens = _choose(ban_repeats(logits, history, settings.no_repeat_ngram), settings, generator)
        # 2. append it to the rows that are open, and close those that end
        said = logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0].tolist()
        for row, token in enumerate(tokens.tolist()):
            if open_rows[row]:
                answers[row].append(token)
                likely[row].append(said[row])
                open_rows[row] = token not in settings.stop_ids and not ends(answers[row])
        yield Step(tuple(answers[0]))
        # 3. compute what may follow, unless nothing will
        if not any(open_rows) or position + 1 == settings.max_new_tokens:
            break
        history = torch.cat((history, tokens[:, None]), dim=1)
        logits = session.step(tokens)
    ended = zip(answers, open_rows, likely, strict=True)
    yield Outcome(tuple(Answer(tuple(ids), None, not still, tuple(said)) for ids, still, said in ended))


def _choose(logits: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    if settings.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = keep_top_p(logits / settings.temperature, settings.top_p).softmax(dim=-1)
    return torch.multinomial(probabilities, num_samples=1, generator=generator).squeeze(1)

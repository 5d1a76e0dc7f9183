"""Beam search as transformers 4.51.3 does it (``early_stopping=False``), which is what Libra's figures come from.

Each step looks at the max(2, 1 + number of stop ids) * beams best continuations of all open beams. Those among the
first ``num_beams`` that end are finished, with the score log-probability / length^length_penalty (length with the
stop id); the best that do not end stay open. It is over when no open beam could still beat the worst finished one *at
its present length*, or at the token limit, where every beam counts as ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.choosing import Answer, Ends, Outcome, Settings, Step, ban_repeats
from engine.decoding.session import Session

NEVER = -1.0e9
"""Score of what must not be chosen; finite, so that sums stay finite, as in the reference."""


@dataclass(frozen=True)
class _Finished:
    ids: tuple[int, ...]
    score: float
    stopped: bool
    likely: tuple[float, ...]


def search(session: Session, prompt_ids: Sequence[int], settings: Settings, ends: Ends) -> Iterator[Step | Outcome]:
    """Decode with ``settings.num_beams`` beams; yields a Step (the leading beam) per token and the Outcome last."""
    beams = settings.num_beams
    stop_ids = frozenset(settings.stop_ids)
    candidates = max(2, 1 + len(settings.stop_ids)) * beams
    device = session.logits.device

    logits = session.logits.expand(beams, -1)
    vocabulary = logits.shape[1]
    # All beams begin alike, so at first only one of them may have children.
    scores = torch.full((beams,), NEVER, device=device)
    scores[0] = 0.0
    history = torch.tensor([list(prompt_ids)] * beams, dtype=torch.int64, device=device)
    open_beams: list[tuple[int, ...]] = [()] * beams
    open_likely: list[tuple[float, ...]] = [()] * beams
    finished: list[_Finished] = []

    for length in range(1, settings.max_new_tokens + 1):
        # 1. the best continuations of all open beams together
        said = logits.log_softmax(dim=-1)
        log_probabilities = ban_repeats(said, history, settings.no_repeat_ngram)
        total, flat = torch.topk((log_probabilities + scores[:, None]).flatten(), min(candidates, beams * vocabulary))
        parents, tokens = flat // vocabulary, flat % vocabulary
        continued = [
            (*open_beams[parent], token) for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True)
        ]
        likely = [
            (*open_likely[parent], one)
            for parent, one in zip(parents.tolist(), said[parents, tokens].tolist(), strict=True)
        ]
        # 2. which of them end, and which of those are good enough to be finished
        at_limit = length == settings.max_new_tokens
        stopped = [ids[-1] in stop_ids or ends(ids) for ids in continued]
        ended = [at_limit or stop for stop in stopped]
        ranked = (total / length**settings.length_penalty).tolist()
        finished += [
            _Finished(continued[i], ranked[i], stopped[i], likely[i])
            for i in range(min(beams, len(continued)))
            if ended[i]
        ]
        finished = sorted(finished, key=lambda f: f.score, reverse=True)[:beams]
        # 3. the best that go on are the open beams
        scores, chosen = torch.topk(total + torch.tensor(ended, device=device) * NEVER, beams)
        open_beams, open_likely = ([values[i] for i in chosen.tolist()] for values in (continued, likely))
        yield Step(continued[0] if at_limit else open_beams[0])
        # 4. go on while an open beam could still win
        if at_limit or all(ended) or not _can_improve(scores, finished, length, settings):
            break
        parent, token = parents[chosen], tokens[chosen]
        history = torch.cat((history[parent], token[:, None]), dim=1)
        logits = session.step(token, None if length == 1 else _unless_identity(parent))
    best = finished[: settings.num_return_sequences]
    yield Outcome(tuple(Answer(f.ids, f.score, f.stopped, f.likely) for f in best))


def _can_improve(scores: Tensor, finished: Sequence[_Finished], length: int, settings: Settings) -> bool:
    if len(finished) < settings.num_beams:
        return True
    best: float = float(scores[0]) / length**settings.length_penalty
    return best > finished[-1].score


def _unless_identity(parents: Tensor) -> Tensor | None:
    """``parents``, or None where every row continues itself and nothing needs to move."""
    same = bool((parents == torch.arange(len(parents), device=parents.device)).all())
    return None if same else parents

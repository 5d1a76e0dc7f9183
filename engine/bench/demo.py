"""What depends on what a model has learnt, measured on the shipped demonstration model and its phantoms.

``guessing``: how many passes greedy decoding saves when it guesses from other patients' reports, and whether the text
stays the same. ``agreement``: how often another precision chooses the same token, each time given the same tokens
before it; free drafts would say only where they part for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.bench.material import Study, reports
from engine.bench.task import precision_options
from engine.decoding.session import Session
from engine.drafting import Asking, Comparison, Decoding, Draft, Engine
from engine.imaging.display import to_pil
from engine.imaging.reader import Reader
from engine.models.checkpoint import LoadedModel, load_model

HINTS = 100
"""Reports of other patients guessed from."""

LONGEST = 256
"""New tokens at most; the model's reports have about a hundred."""


@dataclass(frozen=True)
class Guessing:
    """Sums over all cases.

    Attributes:
        cases, same: how many, and in how many the text stayed the same to the token.
        tokens, passes: written with hints, and the passes that took; without hints passes are tokens less one a case.
        plain_s, hinted_s: seconds of decoding without and with hints.
    """

    cases: int
    same: int
    tokens: int
    passes: int
    plain_s: float
    hinted_s: float


@dataclass(frozen=True)
class Agreement:
    """Over all cases: tokens the float32 model chose, and how many of them the other precision chose as well.

    ``cases_alike``: cases in which it chose all of them.
    """

    cases: int
    cases_alike: int
    tokens: int
    same: int


def guessing(model: Path, studies: Sequence[Study]) -> Guessing:
    """Draft each study without hints and with the reports of other patients."""
    engine = Engine.load(model, dtype="float32", device="cpu")
    hints = reports(HINTS)
    decoding = Decoding(max_new_tokens=LONGEST)
    tokens = passes = same = 0
    plain_s = hinted_s = 0.0
    for comparison, study in zip(_open(studies), studies, strict=True):
        plain = engine.draft(comparison, Asking(context=study.context), decoding=decoding)
        hinted = engine.draft(comparison, Asking(context=study.context, hints=hints), decoding=decoding)
        same += plain.token_ids == hinted.token_ids
        tokens += len(hinted.token_ids)
        passes += hinted.timings.passes
        plain_s += plain.timings.decode_s
        hinted_s += hinted.timings.decode_s
    return Guessing(len(studies), same, tokens, passes, plain_s, hinted_s)


def agreement(model: Path, studies: Sequence[Study], precision: str) -> Agreement:
    """Draft each study in float32 and put the text to the model in ``precision``, token by token."""
    reference = Engine.load(model, dtype="float32", device="cpu")
    other = load_model(model, device="cpu", **precision_options(precision))
    tokens = same = cases_alike = 0
    for comparison, study in zip(_open(studies), studies, strict=True):
        draft = reference.draft(comparison, Asking(context=study.context), decoding=Decoding(max_new_tokens=LONGEST))
        chosen = torch.tensor(draft.token_ids)
        agreed = int((_choices(other, comparison, draft) == chosen).sum())
        tokens += len(chosen)
        same += agreed
        cases_alike += agreed == len(chosen)
    return Agreement(len(studies), cases_alike, tokens, same)


def _choices(loaded: LoadedModel, comparison: Comparison, draft: Draft) -> Tensor:
    """The token the model finds likeliest at each place of a draft, given the draft's tokens before it."""
    pictures = [comparison.current, *([comparison.prior] if comparison.prior else [])]
    seen = [loaded.see(to_pil(picture)) for picture in pictures]
    put = loaded.embed(list(draft.prompt_token_ids), seen[0], seen[1] if len(seen) > 1 else None)
    session = Session(loaded.language_model, put.embeddings, put.positions, put.next_position, boundary=put.boundary)
    rows = [session.logits]
    if len(draft.token_ids) > 1:
        rows.append(session.try_tokens(torch.tensor(draft.token_ids[:-1])))
    return torch.cat(rows).argmax(dim=-1)


def _open(studies: Sequence[Study]) -> list[Comparison]:
    with Reader() as reader:
        return [Comparison.open(*study.pair, reader=reader) for study in studies]

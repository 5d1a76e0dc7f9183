"""The one way in: a prompt's embeddings and settings -> a generator of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.decoding import beams, lookup, sampling
from engine.decoding.choosing import Ends, Outcome, Settings, Step
from engine.decoding.session import Session


def generate(session: Session, prompt_ids: Sequence[int], settings: Settings, ends: Ends) -> Iterator[Step | Outcome]:
    """Decode the answer to a prefilled prompt: a Step per token, the Outcome last. Stop iterating to cancel.

    Args:
        session: holds the prompt; it is used up.
        prompt_ids: the prompt's ids with the image as one id, for the ban on repeats.
        settings: checked by the caller (a temperature and beams exclude each other).
        ends: whether the tokens so far end an answer by what they say.
    """
    if settings.num_beams > 1:
        return beams.search(session, prompt_ids, settings, ends)
    if settings.lookup and settings.temperature == 0 and settings.num_return_sequences == 1:
        return lookup.greedy(session, prompt_ids, settings, ends)
    return sampling.sample(session, prompt_ids, settings, ends)

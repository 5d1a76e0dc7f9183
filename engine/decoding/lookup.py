"""Greedy decoding with guesses: several tokens a pass where the answer repeats a text that is known already.

Reports are formulaic: sentences come back from the prior report, from the section drafted before, from earlier
answers. When the last tokens of the answer stand in such a text, the tokens that follow them there are put to the
model all at once. Its own choice decides at every position: what it agrees with is taken, the first disagreement and
all after it is thrown away. So the answer is that of plain greedy decoding, with fewer passes (prompt lookup decoding,
Saxena 2023; the rule of acceptance is that of Leviathan et al. 2023 at temperature 0).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from engine.decoding.choosing import Answer, Ends, Outcome, Settings, Step, ban_repeats
from engine.decoding.session import Session

NEEDLES = (4, 3, 2)
"""Lengths of the tokens looked up, longest first: the longer, the surer."""

GUESSES = 12
"""Tokens guessed at a time: a pass over so many costs a memory-bound decoder little more than one over a single."""


class Texts:
    """Texts as ids, searched for what may come next. The answer itself is one of them and grows."""

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        self._texts: list[list[int]] = [list(text) for text in texts]
        self._answer: list[int] = []
        self._texts.append(self._answer)
        self._places: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for number, text in enumerate(self._texts):
            for end in range(1, len(text) + 1):
                self._note(number, end)

    def add(self, token: int) -> None:
        """The answer goes on with ``token``."""
        # What ends with the last token has no successor yet, so it is noted only when one comes.
        self._answer.append(token)
        self._note(len(self._texts) - 1, len(self._answer) - 1)

    def guess(self) -> list[int]:
        """What may follow the answer so far, at most GUESSES tokens; the latest text given is believed first."""
        for size in NEEDLES:
            if len(self._answer) < size:
                continue
            for number, end in reversed(self._places.get(tuple(self._answer[-size:]), ())):
                if found := self._texts[number][end : end + GUESSES]:
                    return found
        return []

    def _note(self, number: int, end: int) -> None:
        text = self._texts[number]
        for size in NEEDLES:
            if end >= size:
                self._places.setdefault(tuple(text[end - size : end]), []).append((number, end))


def greedy(session: Session, prompt_ids: Sequence[int], settings: Settings, ends: Ends) -> Iterator[Step | Outcome]:
    """Decode one row greedily with ``settings.lookup``; yields a Step per token and the Outcome last."""
    texts = Texts(settings.lookup)
    answer: list[int] = []
    likely: list[float] = []
    device = session.logits.device
    history = torch.tensor([list(prompt_ids)], dtype=torch.int64, device=device)
    guesses: list[int] = []
    logits = session.logits
    while True:
        # 1. the model's own choice at every position that was computed; it stands as long as the guesses agree
        rejected = len(guesses)
        for row in range(len(logits)):
            token, said = _choose(logits[row : row + 1], history, settings)
            history = torch.cat((history, history.new_tensor([[token]])), dim=1)
            answer.append(token)
            likely.append(said)
            texts.add(token)
            stopped = token in settings.stop_ids or ends(answer)
            yield Step(tuple(answer))
            if stopped or len(answer) == settings.max_new_tokens:
                yield Outcome((Answer(tuple(answer), None, stopped, tuple(likely)),))
                return
            if row < len(guesses) and guesses[row] == token:
                rejected -= 1
            else:
                break
        # 2. forget what was guessed wrongly, and put the last token and what may follow it
        session.take_back(rejected)
        guesses = texts.guess()[: settings.max_new_tokens - len(answer) - 1]
        logits = session.try_tokens(torch.tensor([answer[-1], *guesses], device=device))


def _choose(logits: torch.Tensor, history: torch.Tensor, settings: Settings) -> tuple[int, float]:
    token = int(ban_repeats(logits, history, settings.no_repeat_ngram).argmax(dim=-1))
    return token, float(logits.log_softmax(dim=-1)[0, token])

"""Token ids -> text, while they arrive and at the end, and whether the text says that the answer is over; and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TAIL = 16
"""Ids looked at for a stop text at least; no template's is longer."""


class Writer:
    """Turns ids into the text a person reads: special tokens dropped, cut at a stop text, stripped.

    Args:
        tokenizer: transformers'.
        stop: the template's stop text, or "".
        stops: further ones.
    """

    def __init__(self, tokenizer: Any, stop: str, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        known = tokenizer.convert_tokens_to_ids(stop) if stop else None
        self._stop_id = known if isinstance(known, int) and known != tokenizer.unk_token_id else None
        self._stops = [text for text in (stop, *stops) if text]
        self._spelled = self._stops if self._stop_id is None else list(stops)
        # a token is a byte at least
        self._tail = max([TAIL, *(len(text.encode()) for text in stops)])

    def ids(self, text: str) -> tuple[int, ...]:
        """The ids a model would write this text with: no beginning, no end."""
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)

    def text(self, token_ids: Sequence[int]) -> str:
        """The finished text of these ids."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        for stop in self._stops:
            text = text.split(stop, 1)[0]
        return text.strip()

    def text_so_far(self, token_ids: Sequence[int]) -> str:
        """The text of unfinished ids, without a last character of which not all bytes are there yet."""
        return self.text(token_ids).rstrip("\ufffd")

    def ends(self, token_ids: Sequence[int]) -> bool:
        """Whether these ids end with a stop text, as its own token or spelled out."""
        if token_ids[-1] == self._stop_id:
            return True
        if not self._spelled:
            return False
        tail: str = self._tokenizer.decode(list(token_ids[-self._tail :]), skip_special_tokens=False)
        return any(stop in tail for stop in self._spelled)

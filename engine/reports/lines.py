"""Where lines end in a text with Chinese in it: at blanks, and after any Chinese character.

No line ends with a mark that opens or begins with one that closes. In columns such a character takes two. Knows text
alone.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable

from engine.reports.language import CLOSE, OPEN, WIDE

_WIDE = re.compile(f"[{WIDE}]")
_AFTER = f"[{CLOSE}{re.escape(',.;:!?)%')}]*\\s*"
_PIECE = re.compile(f"[{OPEN}(]*(?:[{WIDE}]|[^\\s{WIDE}{OPEN}{CLOSE}]+){_AFTER}|\\S+\\s*")
"""What a line is not broken within: a character or a word, with the marks that belong to it."""


def wrapped(line: str, width: int) -> str:
    """``line`` in lines of ``width`` columns at most; a longer word stays whole. Blanks at the break are dropped."""
    if not _WIDE.search(line):
        return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(broken(line, width, columns))


def broken(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """``text`` with Chinese in it in lines that ``measure`` ``width`` at most; a longer word stays whole."""
    lines, taken = [""], 0.0
    for piece in _PIECE.findall(text):
        if taken and taken + measure(piece.rstrip()) > width:
            lines, taken = [*lines, ""], 0.0
        lines[-1] += piece
        taken += measure(piece)
    return [line.rstrip() for line in lines]


def columns(text: str) -> int:
    """How many columns ``text`` takes in a terminal or an editor with type of one width."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

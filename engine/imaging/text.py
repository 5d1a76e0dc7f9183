"""Text that came from a file, made safe to hold: no control characters, no direction tricks, bounded.

Markup stays as it is; whoever shows the text escapes it.
"""

from __future__ import annotations

import unicodedata

__all__ = ["tidy"]

# LRE..RLO, LRI..PDI, ALM, LRM, RLM: characters that can make a name read as another one.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def tidy(value: object, limit: int = 256) -> str:
    """``value`` as one line of text of at most ``limit`` characters; None becomes the empty string."""
    if value is None:
        return ""
    kept = []
    for character in str(value)[: 4 * limit]:
        if character in _DIRECTION:
            continue
        category = unicodedata.category(character)
        kept.append(" " if category in ("Cc", "Zl", "Zp") else "\ufffd" if category in ("Cs", "Cn") else character)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "\u2026"

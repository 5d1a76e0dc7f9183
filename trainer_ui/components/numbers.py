"""How many of what, as one would say it."""

from __future__ import annotations


def counted(number: int, what: str, many: str = "") -> str:
    """1 row, 2 rows, 1,000 rows; ``many`` where it is not ``what`` with an s."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"

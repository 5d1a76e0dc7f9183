"""The one exception inside this package: a file that cannot be used, in words that complete its name.

``Refusal("is empty.")`` becomes the user's sentence "IM0001 is empty." where the file is opened, which is the only
place that knows the name.
"""

from __future__ import annotations

from engine.imaging.text import tidy

__all__ = ["Refusal"]


class Refusal(Exception):
    """The rest of a sentence that begins with the file's name: ``is ...`` or ``has ...``, ending in a full stop."""

    def sentence(self, source: str) -> str:
        """The whole sentence about the file dropped as ``source``."""
        return f"{tidy(source, 200) or 'The file'} {self}"

"""The type of printed reports: two fonts that are shipped, so that a page looks the same on every machine.

DejaVu Sans Condensed, reduced to Latin, Greek, Cyrillic and a few signs. What it does not have is printed as an open
square, and the caller is told, so that the page can say so. Knows no layout.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

PLAIN, BOLD = "IntervalSans", "IntervalSans-Bold"
MISSING = "\u25a1"

_FILES = {PLAIN: "DejaVuSansCondensed.ttf", BOLD: "DejaVuSansCondensed-Bold.ttf"}


@cache
def load() -> frozenset[int]:
    """Register both fonts with reportlab (once) and return the code points that both can print."""
    covered: list[set[int]] = []
    for name, file in _FILES.items():
        font = TTFont(name, str(Path(__file__).with_name("fonts") / file))
        pdfmetrics.registerFont(font)
        covered.append(set(font.face.charToGlyph))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return frozenset(set.intersection(*covered))


def printable(text: str) -> tuple[str, bool]:
    """``text`` with an open square for each character without a glyph, and whether there was one."""
    covered = load()
    shown = "".join(character if ord(character) in covered else MISSING for character in text)
    return shown, shown != text

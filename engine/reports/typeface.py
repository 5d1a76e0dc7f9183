"""The type of printed reports: two fonts that are shipped, and for Chinese one that this machine has.

DejaVu Sans Condensed, reduced to Latin, Greek, Cyrillic and a few signs, is shipped, so that a page looks the same on
every machine. A font of Chinese characters is larger than this program and comes with the system, or from the data
folder; what a page uses of it is put into the file. Without one a text in Chinese is refused, in a sentence that says
how to get one: squares in place of a report would be worse than none. A single character that no font has is printed
as an open square, and the caller is told, so that the page can say so. Knows no layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from engine import paths
from engine.errors import ResourceError
from engine.reports.language import WIDE

PLAIN, BOLD = "IntervalSans", "IntervalSans-Bold"
MISSING = "\u25a1"

PACKAGE = "fonts-droid-fallback"
GET = (
    f"'apt install {PACKAGE}' on Debian and Ubuntu; elsewhere put a TrueType font that has them (.ttf or .ttc) into "
    "saves/fonts"
)
FOLDERS = (
    # Debian and Ubuntu (fonts-droid-fallback, fonts-wqy-*, fonts-arphic-*), Fedora, macOS, Windows.
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/usr/share/fonts/google-droid-sans-fonts/DroidSansFallbackFull.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/Deng.ttf",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/simsun.ttc",
)
"""Where systems keep a font of Chinese characters with TrueType outlines: reportlab can embed no others."""

_FILES = {PLAIN: "DejaVuSansCondensed.ttf", BOLD: "DejaVuSansCondensed-Bold.ttf"}
_WIDE = re.compile(f"[{WIDE}]")


@cache
def load() -> frozenset[int]:
    """Register both shipped fonts with reportlab (once) and return the code points that both can print."""
    covered: list[frozenset[int]] = []
    for name, file in _FILES.items():
        covered.append(_register(name, Path(__file__).with_name("fonts") / file))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return frozenset.intersection(*covered)


def east_asian() -> Path | None:
    """The font for Chinese that pages are printed with: from ``saves/fonts``, else the system's; None for none."""
    found = _east_asian()
    return found[0] if found is not None else None


def is_wide(text: str) -> bool:
    """Whether there is a character that needs a font of Chinese characters, and lines that break between any two."""
    return _WIDE.search(text) is not None


def runs(text: str, font: str = PLAIN) -> tuple[tuple[str, str], ...]:
    """``text`` as (name of a registered font, part of it) in order; a character without a glyph is MISSING.

    Args:
        font: PLAIN or BOLD; characters that it does not have are of one weight.

    Raises:
        ResourceError: there are Chinese characters and no font for them; it says how to get one.
    """
    return tuple((name, "".join(part for _, part in group)) for name, group in groupby(_glyphs(text, font), _first))


def printable(text: str) -> tuple[str, bool]:
    """``text`` with a square for each character without a glyph, and whether there was one. Raises as ``runs``."""
    shown = "".join(part for _, part in runs(text))
    return shown, shown != text


def markup(text: str, font: str = PLAIN) -> str:
    """Literal ``text`` as reportlab's paragraphs take it, each part in its font. Raises as ``runs``."""
    return "".join(
        escape(part) if name == font else f'<font name="{name}">{escape(part)}</font>'
        for name, part in runs(text, font)
    )


def width(text: str, size: float, font: str = PLAIN) -> float:
    """How wide ``text`` is on one line, in points. Raises as ``runs``."""
    return float(sum(stringWidth(part, name, size) for name, part in runs(text, font)))


def draw(canvas: Any, x: float, y: float, text: str, size: float, font: str = PLAIN) -> None:
    """Draw ``text`` on one line of a reportlab canvas, which is left with one of its fonts. Raises as ``runs``."""
    for name, part in runs(text, font):
        canvas.setFont(name, size)
        canvas.drawString(x, y, part)
        x += float(stringWidth(part, name, size))


def _glyphs(text: str, font: str) -> Iterator[tuple[str, str]]:
    """Each character with the font that has it."""
    covered = load()
    wide = _east_asian() if any(ord(character) not in covered and is_wide(character) for character in text) else None
    for character in text:
        if ord(character) in covered:
            yield font, character
        elif wide is not None and ord(character) in wide[2]:
            yield wide[1], character
        elif wide is None and is_wide(character):
            raise ResourceError(f"There are Chinese characters to print and no typeface for them is installed: {GET}.")
        else:
            yield font, MISSING


def _first(pair: tuple[str, str]) -> str:
    return pair[0]


def _east_asian() -> tuple[Path, str, frozenset[int]] | None:
    """File, name and code points of the first font that can be used. One may be installed while the program runs."""
    own = paths.home() / "fonts"
    places = [*sorted(own.glob("*.tt[fc]")), *map(Path, FOLDERS)]
    for file in (place for place in places if place.is_file()):
        name = f"IntervalEastAsian-{file.stem}"
        covered = _attempt(name, file, file.stat().st_mtime_ns)
        if covered is not None:
            return file, name, covered
    return None


@cache
def _attempt(name: str, file: Path, modified: int) -> frozenset[int] | None:
    """The code points of a font that has Chinese characters; None for another or one that cannot be embedded."""
    try:
        covered = _register(name, file)
    except (TTFError, OSError, ValueError):
        return None
    return covered if ord("\u80ba") in covered else None  # lung


def _register(name: str, file: Path) -> frozenset[int]:
    font = TTFont(name, str(file))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)

"""A text without whom it is about: what is known of the patient first, then dates, then what looks like an identifier.

What is taken away becomes "___", as in MIMIC-CXR. Parts of the patient's name that are also words of reports ("Small")
are left standing here: only the last look (`residue`) can decide what becomes of such a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from engine.datasets.signed import dates
from engine.datasets.signed.dates import BLANK
from engine.datasets.signed.identifiers import (
    SHORT,
    SHORTEST_NUMBER,
    Known,
    fold,
    ordinary,
    spellings,
    squeezed,
)
from engine.datasets.signed.patterns import without_patterns

Count = Callable[[str], None]

_SEPARATORS = r"[\s./_-]{0,2}"


@dataclass(frozen=True)
class Scrubbed:
    """The text as it may be written, and how many of which kind were taken away."""

    text: str
    taken: Counter[str]


def scrub(text: str, known: Known, days: int) -> Scrubbed:
    """Take identifiers out of ``text`` and move its dates by ``days``."""
    taken: Counter[str] = Counter()

    def count(kind: str) -> None:
        taken[kind] += 1

    text = tidied(text)
    text = _without_numbers(text, known, count)
    text, moved = dates.hold(text, days, known.born, count)
    text = _without_names(text, known, count)
    text = without_patterns(text, count)
    return Scrubbed(dates.release(text, moved), taken)


def tidied(text: str) -> str:
    """Composed characters, none that cannot be seen, white space as blanks and line ends."""
    text = unicodedata.normalize("NFC", text)
    shown = (
        character if character.isprintable() or character == "\n" else " " if character.isspace() else ""
        for character in text
        if unicodedata.category(character) not in ("Cf", "Co", "Cs")
    )
    return "".join(" " if character.isspace() and character != "\n" else character for character in "".join(shown))


def _without_numbers(text: str, known: Known, count: Count) -> str:
    """The patient's numbers, also with other separators between their characters, or none."""
    for number in sorted(known.numbers, key=len, reverse=True):
        characters = squeezed(number)
        if len(characters) >= SHORTEST_NUMBER:
            pattern = rf"(?<![^\W_]){_SEPARATORS.join(map(re.escape, characters))}(?![^\W_])"
            text = _replaced(text, pattern, "number", count)
    return text


def _without_names(text: str, known: Known, count: Count) -> str:
    people = frozenset(part for part in known.people if not ordinary(part))
    for kind, parts in (("patient's name", known.names), ("person", people)):
        for part in sorted(parts, key=len, reverse=True):
            if not ordinary(part):
                for spelling in sorted(spellings(part), key=len, reverse=True):
                    text = _replaced(text, name_pattern(spelling), kind, count, capital=len(spelling) <= SHORT)
    return text


def name_pattern(spelling: str) -> str:
    """Where a folded part of a name stands in a folded text: a word of its own, with initials and "O'" before it.

    Scripts that do not part their words have it anywhere.
    """
    if not spelling.isascii():
        return re.escape(spelling)
    return rf"(?<![^\W_])(?:[a-z]['’])?{re.escape(spelling)}(?![^\W_])"


def _replaced(text: str, pattern: str, kind: str, count: Count, *, capital: bool = False) -> str:
    """``text`` with BLANK for what ``pattern`` finds in it folded; with ``capital`` only where it begins with one."""
    folded = fold(text)
    pieces: list[str] = []
    done = 0
    for match in re.finditer(pattern, folded.folded):
        start, end = folded.span(match.start(), match.end())
        if start < done or (capital and not text[start].isupper() and text[start].islower()):
            continue
        pieces += [text[done:start], BLANK]
        done = end
        count(kind)
    return "".join([*pieces, text[done:]])

"""The last look at a row: is anything that is known of its patient still in it?

Written apart from the scrubbing, and coarser: words are compared one by one, numbers with everything between their
characters gone, the date of birth in the orders it is written in. A row with something left is not written. Parts of a
name that are also words of reports count here as well: nobody can tell which of the two they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from engine.datasets.signed.identifiers import SHORT, SHORTEST_NUMBER, Known, fold, ordinary, spellings, squeezed

NAME = "a part of the patient's name"
WORD = "a word that is also a part of the patient's name"
PERSON = "a part of the name of who signed"
NUMBER = "a number of the patient"
BORN = "the date of birth"

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def left(text: str, known: Known) -> tuple[str, ...]:
    """Which kinds of known identifiers are in ``text``; () if it may be written."""
    return tuple(dict.fromkeys(_left(text, known)))


def _left(text: str, known: Known) -> Iterator[str]:
    words = [(word, fold(word).folded) for word in re.findall(r"[^\W\d_]+", text)]
    anyhow = {folded for _, folded in words}
    capitals = {folded for word, folded in words if not word[0].islower()}
    run = fold(text).folded
    for parts, kind in ((known.names, NAME), (known.people, PERSON)):
        for part in parts:
            if ordinary(part) and kind is PERSON:
                continue
            found = (
                spelling in (capitals if len(spelling) <= SHORT else anyhow) if spelling.isascii() else spelling in run
                for spelling in spellings(part)
            )
            if any(found):
                yield WORD if ordinary(part) else kind
    together, single = squeezed(text), {squeezed(word) for word in re.findall(r"\w+", text)}
    for number in map(squeezed, known.numbers):
        if number in (single if len(number) == SHORTEST_NUMBER else together) and len(number) >= SHORTEST_NUMBER:
            yield NUMBER
    if known.born is not None and any(form in together for form in _forms(known.born)):
        yield BORN


def _forms(born: date) -> Iterator[str]:
    """The date of birth as digits and as words, without what stands between."""
    year, month, day = f"{born:%Y}", f"{born:%m}", f"{born:%d}"
    yield from (year + month + day, day + month + year, month + day + year)
    name = _MONTHS[born.month - 1]
    for number in {day, str(born.day)}:
        yield from (f"{number}{name}{year}", f"{name}{number}{year}", f"{number}{_LONG[born.month - 1]}{year}")
        yield f"{_LONG[born.month - 1]}{number}{year}"


_LONG = "january february march april may june july august september october november december".split()

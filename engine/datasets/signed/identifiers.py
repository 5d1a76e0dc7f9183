"""What is known of a patient that must not be found in a text; and texts folded so that it is found however written.

Folding takes case, accents and ligatures away and keeps the way back to the characters of the text: "Müller" is found
for "MULLER", and for "Mueller". Knows no history: whoever reads it fills in `Known`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

from engine.drafting.question import CONTEXT, SECTIONS
from engine.reports import cues, lexicon

SHORT = 3
"""Parts of a name of so few letters are names only where they begin with a capital ("Li", not "li")."""

SHORTEST_NUMBER = 4
"""Identifiers of fewer characters are searched for nowhere but behind a label ("MRN 12"): 12 may be millimetres."""

_TITLES = frozenset(
    "dr prof mr mrs ms miss sir jr sr md phd ii iii iv van von der den de da di du la le el bin al".split()
)
_FUNCTION_WORDS = frozenset(
    "a an and any are as at be been both but by can do for from had has have he her his if in into is it its may more "
    "most new no non nor not of off on or other our out over per she since so some such than that the their them "
    "then there these they this those to too up very was we were what when where which while who will with within "
    "without would you your".split()
)
_PLAIN_WORDS = frozenset(
    "abbott above again age air along april arm august back bad base bell berg best better big black blunt body bone "
    "bright broad brown brook burns case cast center central chest church clear close cold day days dense drain early "
    "east edge end english fair fall field fields fine first foot frank free french full german good gold grant gray "
    "great green grey ground hall hand hard head heart heath hernia high hill hills hollow image january joint july "
    "june king lake lane large last law leaf least left less light line lines little long love low lower lung major "
    "march mark marks marsh mass may mean middle mild miles mill minor moon moss mount north note november old open "
    "page pain park part patch patient peak pierce point pole pool poor post power prior price quick ray read reed "
    "rest rib rice rich ridge right ring rise rod rose round row rust sharp shadow short side silver singh single "
    "slight small smooth snow soft south spine spring square stable star steel stent stone strong study summer sun "
    "swan technique thick thin thin top tower tube type unit upper view vein wall walls ward wash water waters weeks "
    "well west white wide wild winter wire wise wood woods year years yellow young".split()
)
_ROLES = frozenset(
    "admin attending clinic clinician consultant department doctor fellow hospital interval history indication nurse "
    "physician physicist radiographer radiologist radiology registrar reporter resident root staff student system team "
    "technician technologist test tester trainee user viewer xray".split()
)
"""What people sign as, and what their accounts are called, that names nobody."""


@dataclass(frozen=True)
class Known:
    """What must not be in a row.

    Attributes:
        names: parts of the patient's names, as they are written.
        people: parts of the names of those who signed.
        numbers: the patient's ids, accession numbers and UIDs.
        born: the date of birth.
    """

    names: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    born: date | None = None


@dataclass(frozen=True)
class Folded:
    """A folded text. ``origin[i]`` is the place in the text of character ``i`` of ``folded``; the length is last."""

    text: str
    folded: str
    origin: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text that characters ``start`` to ``end`` (exclusive) of ``folded`` stand for."""
        return self.origin[start], self.origin[end - 1] + 1 if end > start else self.origin[start]


def fold(text: str) -> Folded:
    """Lower case, without accents; letters that are two in plain writing become two ("ß": "ss", "æ": "ae")."""
    pieces: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(text):
        plain = _plain(character)
        pieces.append(plain)
        origin.extend([place] * len(plain))
    return Folded(text, "".join(pieces), (*origin, len(text)))


@cache
def _plain(character: str) -> str:
    special = {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    parts = unicodedata.normalize("NFKD", character.casefold())
    kept = "".join(part for part in parts if not unicodedata.combining(part))
    return "".join(special.get(part, part) for part in kept)


def name_parts(*names: str) -> frozenset[str]:
    """The parts of names that tell somebody: no titles, particles and single letters."""
    found = {part for name in names for part in re.findall(r"[^\W\d_]+", name)}
    found |= {"".join(re.findall(r"[^\W\d_]+", part)) for name in names for part in re.findall(r"\w+['’]\w+", name)}
    return frozenset(part for part in found if _tells(part))


def _tells(part: str) -> bool:
    folded = fold(part).folded
    return folded not in _TITLES and (len(folded) > 1 or not folded.isascii())


def spellings(part: str) -> frozenset[str]:
    """A folded part of a name, and how it is written without umlauts, or with them ("muller", "mueller")."""
    folded = fold(part).folded
    written_out = fold(re.sub("[äöü]", lambda match: {"ä": "ae", "ö": "oe", "ü": "ue"}[match.group()], part.casefold()))
    closed = re.sub("(ae|oe|ue)", lambda match: match.group()[0], folded)
    return frozenset({folded, written_out.folded, closed})


def ordinary(part: str) -> bool:
    """Whether a part of a name is also a word that reports use: it cannot be told which of the two it is."""
    return bool(spellings(part) & _ordinary_words())


@cache
def _ordinary_words() -> frozenset[str]:
    """Function words, common words that are also names, and every word of the vocabulary reports are read with."""
    constants = (value for module in (lexicon, cues) for name, value in vars(module).items() if name.isupper())
    questions = re.findall(r"[a-z]+", " ".join((*SECTIONS.values(), CONTEXT)).casefold())
    return _FUNCTION_WORDS | _PLAIN_WORDS | _ROLES | frozenset(questions) | frozenset(_vocabulary(constants))


def _vocabulary(values: Iterable[object]) -> Iterator[str]:
    """Words in the patterns of the report vocabulary, however they are nested."""
    for value in values:
        if isinstance(value, str):
            yield from re.findall(r"[a-z]{2,}", re.sub(r"\\[a-zA-Z]", " ", value.casefold()))
        elif isinstance(value, dict):
            yield from _vocabulary(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            yield from _vocabulary(value)


def squeezed(text: str) -> str:
    """Letters and digits of a text alone, folded: "P-44 71" and "p4471" are the same identifier."""
    return "".join(character for character in fold(text).folded if character.isalnum())

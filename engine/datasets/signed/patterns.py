"""Names, numbers and places in a text that nobody had to know beforehand: told by how they are written.

Each rule takes away what identifies and leaves the words that say what it was ("Dr. ___", "MRN ___"). Rules may take
too much; a report stays readable without a room number. HIPAA's list of identifiers, 45 CFR 164.514(b)(2), is what is
meant. English, with the forms of address and postcodes of a few other countries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from engine.datasets.signed.dates import BLANK

Count = Callable[[str], None]

_PERSON = r"(?:[A-Z]\.[ ]?){0,3}[^\W\d_a-z][^\W\d_]*(?:['’-][^\W\d_]+)*"
_PARTICLE = r"(?:van|von|de|der|den|del|di|da|la|le|al|el|bin)"
_PEOPLE = rf"(?:{_PARTICLE}[ ]+)*{_PERSON}(?:[ ]+(?:{_PARTICLE}[ ]+)*(?:{_PERSON}|[A-Z]\b\.?)){{0,3}}"
_TITLE = r"(?:[Dd]rs?|DRS?|[Dd]octors?|[Pp]rof(?:essor)?|[Mm]rs?|MRS?|[Mm]s|[Mm]iss|[Nn]urse|[Ss]ister)\b\.?"
_DEGREE = r"(?:M\.?D|D\.?O|R\.?N|Ph\.?D|MBBS|FRCR|FRANZCR|N\.?P|PA-C)\b\.?"
_SAID = (
    r"(?:dictated|read|reviewed|signed|verified|interpreted|transcribed|approved|attested|discussed|communicated|"
    r"conveyed|relayed|telephoned|called|paged|notified|reported|requested|ordered|referred)"
)
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Lane|Ln|Drive|Court|Ct|Way|Square|Sq|Place|Pl|Terrace|Highway|Hwy)"
)
_HOUSE = r"(?:Hospital|Medical Cent(?:er|re)|Health Cent(?:er|re)|Clinic|Infirmary|Sanatorium|Klinikum|University)"
_LABEL = (
    r"(?:M\.?R\.?N|medical record(?: number)?|hospital number|patient (?:id|number|no)|accession(?: number| no)?|acc|"
    r"case (?:number|no)|NHS(?: number| no)?|SSN|social security(?: number)?|insurance(?: number| no)?|"
    r"policy(?: number| no)?)"
)

# Kind, pattern, what is put in the place: the groups "before" and "after" stay.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("e-mail", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*")),
    ("address on a network", re.compile(r"(?:https?://|www\.)\S+|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")),
    ("number", re.compile(r"(?<![\w.])[0-2](?:\.\d+){4,}(?!\w)")),  # a UID
    (
        "number",
        re.compile(
            rf"(?P<before>\b(?i:{_LABEL})\b\.?\s*(?:is|no\.?|number)?\s*[#:]*\s*)(?=[\w-]*\d)[\w-]+(?:[-/ ]\d+)*"
        ),
    ),
    (
        "telephone",
        re.compile(
            r"(?P<before>\b(?i:tel(?:ephone)?|phone|pager|pgr|beeper|fax|extension|ext|cell|mobile)\b\.?\s*"
            r"(?i:number|no\.?|at|is)?\s*[#:]?\s*)[+(]?\d[\d ().-]{2,}\d"
        ),
    ),
    ("person", re.compile(rf"(?P<before>\b{_TITLE}[ ]*)(?!_){_PEOPLE}")),
    ("person", re.compile(r"(?P<before>\b(?:[Dd]r|DR)\b\.?[ ]+)[a-z][^\W\d_]+")),
    ("person", re.compile(rf"{_PEOPLE}(?P<after>,?[ ]+{_DEGREE})")),
    (
        "person",
        re.compile(
            rf"(?P<before>\b(?i:{_SAID})[ ]+(?i:by|with|to)[ ]+(?i:the[ ]+|radiologist[ ]+|resident[ ]+)?)"
            rf"(?!{_TITLE}){_PEOPLE}"
        ),
    ),
    ("address", re.compile(rf"(?<!\w)\d{{1,5}}[a-z]?,?[ ]+(?:[A-Z][\w'.-]*[ ]+){{1,4}}{_STREET}\b\.?")),
    ("address", re.compile(r"\b[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|gasse|allee|platz)[ ]+\d{1,4}[a-z]?\b")),
    (
        "address",
        re.compile(
            r"(?:\b[A-Z][\w'-]+(?:[ ][A-Z][\w'-]+)?,[ ]+)?\b[A-Z]{2}[ ]+\d{5}(?:-\d{4})?(?!\w)"
            r"|\bP\.?[ ]?O\.?[ ]+Box[ ]+\d+"
        ),
    ),
    ("address", re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]?[ ]\d(?!CM|MM|ML)[A-Z]{2}\b")),
    (
        "place",
        re.compile(rf"(?:[A-Z][\w'.&-]*[ ]+){{1,4}}{_HOUSE}\b|\b{_HOUSE}[ ]+of[ ]+[A-Z][\w'-]*(?:[ ]+[A-Z][\w'-]*)*"),
    ),
    ("place", re.compile(r"(?P<before>\b(?i:room|rm|bed|ward)[ ]+(?i:no\.?[ ]*|#)?)(?=\w*\d)\w+(?:-\w+)?")),
)
_GROUPS = re.compile(r"(?<![\w.])\+?\(?\d{1,4}\)?(?:[ ./-]{1,2}\(?\d{2,5}\)?){1,5}(?![\w]|\.\d)")
_RUN = re.compile(r"(?<![\w.])(?=[A-Za-z-]*\d[\dA-Za-z-]*)(?:[A-Za-z]{0,4}-?)?\d{5,}[A-Za-z]{0,3}(?:-\d+)*(?!\w)")
_OLD = re.compile(
    r"(?<![\w.])(?:9\d|1[0-4]\d)(?=[ -]*(?:years?|yrs?|y[./]?o\b|y\b)|[ ]?[MF]\b(?!\w))"
    r"|(?P<before>\b(?i:aged?)[: ]+)(?:9\d|1[0-4]\d)(?!\w|\.\d|[ ]*%)"
    r"|\b(?i:ninety)(?:[ -](?i:one|two|three|four|five|six|seven|eight|nine))?(?=[ -]years?\b)"
)
OLDEST = "90"
"""Ages from here on are one age (HIPAA: 90 or older)."""


def without_patterns(text: str, count: Count) -> str:
    """The text without what looks like an identifier; ``count`` hears the kind of each.

    Dates are not looked at here. ``text`` may hold BLANKs from before.
    """
    for kind, pattern in _RULES:
        text = pattern.sub(partial(_taken, kind, count), text)
    text = _GROUPS.sub(partial(_telephone, count), text)
    text = _RUN.sub(partial(_taken, "number", count), text)
    text = _OLD.sub(partial(_capped, count), text)
    return re.sub(rf"{BLANK}(?:[ ,]*{BLANK})+", BLANK, text)


def _taken(kind: str, count: Count, match: re.Match[str]) -> str:
    count(kind)
    kept = match.groupdict()
    return (kept.get("before") or "") + BLANK + (kept.get("after") or "")


def _telephone(count: Count, match: re.Match[str]) -> str:
    """Groups of digits of at least seven digits in all; fewer are levels, ribs and sizes."""
    if sum(character.isdigit() for character in match.group()) < 7:
        return match.group()
    return _taken("telephone", count, match)


def _capped(count: Count, match: re.Match[str]) -> str:
    if match.group() == OLDEST:
        return OLDEST
    count("age")
    return (match.group("before") or "") + OLDEST

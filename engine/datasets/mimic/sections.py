"""MIMIC-CXR reports cut into their sections, by the rules of the official parser as Libra customised it.

    split(text)                  every section with its name and place, in the order of the text
    normalise("IMPRESSON")       "impression"
    read_report("s500...", text) the columns of Libra's table, and the one text it takes for the conclusion

A header is a line that begins with one space, then capitals and a colon. Names are normalised; empty findings and
impression sections are dropped; where neither is left, what follows the first blank line of the last section becomes
``last_paragraph``. Some studies were sorted out by hand: `RULES` holds them and every other table as data
(``sections.json`` beside this file names its source). Knows texts, not files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

COLUMNS = (
    "findings",
    "impression",
    "indication",
    "comparison",
    "technique",
    "history",
    "examination",
    "last_paragraph",
)
"""The columns of Libra's table after the study, in order; the conclusion is the first of them that a report has."""

PREAMBLE, WHOLE, LAST = "preamble", "full report", "last_paragraph"
"""Sections without a header of their own."""

_HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
_GAP = "\n \n"


@dataclass(frozen=True)
class Rules:
    """The tables of the parser.

    Attributes:
        names: headers in lower case -> section.
        words: sections that any other header is taken for if it holds their name; the first that fits.
        views: words of a header that describes the films; it stands for the findings.
        misnamed: study -> section in which its conclusion stands, by hand.
        spans: study -> first character and end of its conclusion in the whole text, by hand.
    """

    names: Mapping[str, str]
    words: tuple[str, ...]
    views: tuple[str, ...]
    misnamed: Mapping[str, str]
    spans: Mapping[str, tuple[int, int]]


def _load() -> Rules:
    tables = json.loads(Path(__file__).with_name("sections.json").read_text(encoding="utf-8"))
    spans = {study: (first, end) for study, (first, end) in tables["spans"].items()}
    return Rules(tables["names"], tuple(tables["words"]), tuple(tables["views"]), tables["misnamed"], spans)


RULES = _load()


class Hand(Enum):
    """How a report was sorted out by hand, if it was."""

    NONE = ""
    SECTION = "its conclusion stands under another header"
    SPAN = "only the place of its conclusion is known"


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Attributes:
        name: normalised; "preamble" before the first header, "full report" where there is none.
        text: as it stands, from behind the header to the next one.
        start: where ``text`` begins in the report. For ``last_paragraph`` where the blank line before it begins, as in
            the published tables: three characters earlier.
    """

    name: str
    text: str
    start: int


@dataclass(frozen=True)
class Reading:
    """What Libra's tables hold of a report.

    Attributes:
        conclusion: the last section of the first name of `COLUMNS` that the report has, or what was chosen by hand.
        columns: name -> text for each of `COLUMNS`, "" where the report has no such section; None for reports that
            were sorted out by hand, which the published table leaves out.
        hand: whether and how the report was sorted out by hand.
    """

    conclusion: str
    columns: Mapping[str, str] | None
    hand: Hand = Hand.NONE


def split(text: str) -> tuple[Section, ...]:
    """The sections of a report in the order of its text; never none."""
    found = list(_sections(text))
    found = [each for each in found if each.name not in ("findings", "impression") or each.text.strip()]
    if not any(each.name in ("findings", "impression") for each in found):
        last = found[-1]
        head, gap, rest = last.text.partition(_GAP)
        if gap:
            found[-1:] = [replace(last, text=head), Section(LAST, rest, last.start + len(head))]
    return tuple(found)


def _sections(text: str) -> Iterator[Section]:
    """Header by header: the section before each, and at the end the last one."""
    header = _HEADER.search(text)
    if header is None:
        yield Section(WHOLE, text, 0)
        return
    # The preamble alone is published with the beginning of the next header's line.
    yield Section(PREAMBLE, text[: header.start(1)], 0)
    while header is not None:
        name, start = normalise(header[1]), header.end()
        # A second header in the same line is none.
        header = _HEADER.search(text, max(text.find("\n", start), start))
        yield Section(name, text[start : header.start() if header else len(text)], start)


def normalise(header: str) -> str:
    """The section a header stands for; the header itself in lower case where it stands for none."""
    name = header.lower().strip()
    if name in RULES.names:
        return RULES.names[name]
    for word in RULES.words:
        if word in name:
            return word
    return "findings" if any(view in name for view in RULES.views) else name


def read_report(study: str, text: str) -> Reading:
    """What Libra's tables hold of the report of ``study`` ("s" and its number).

    A choice by hand is passed over where the text has no such section: it was made for another text.
    """
    if study in RULES.spans:
        first, end = RULES.spans[study]
        return Reading(text[first:end], None, Hand.SPAN)
    last = {section.name: section.text.strip() for section in split(text)}
    misnamed = RULES.misnamed.get(study)
    if misnamed in last:
        return Reading(last[misnamed], None, Hand.SECTION)
    conclusion = next((last[name] for name in COLUMNS if name in last), "")
    return Reading(conclusion, {name: last.get(name, "") for name in COLUMNS})

"""Report text to sentences, in the places a radiologist would put the full stop.

``split`` never loses or reorders a character that is not white space: joining its parts with spaces gives the text back
up to white space. It knows abbreviations ("Dr.", "vs.", "e.g."), decimals ("3.5 cm"), initials ("J. Smith"), numbered
lists ("1. ... 2. ...") and lines; of Chinese its stops, which no blank follows, and plain stops where Chinese stands on
one side of them. It does not know section headers; a header line comes back as its own sentence.
"""

from __future__ import annotations

import re

from engine.reports.language import HAN

_ABBREVIATIONS = frozenset(
    re.findall(
        r"\w+",
        "dr mr mrs ms prof st jr sr vs approx fig figs no nos pt pts hx dx rx tx fx ca cf eg ie etc al inc "
        "dept jan feb mar apr jun jul aug sep sept oct nov dec ant post lat sup inf max min resp resps ext "
        "int ",
    )
)
_SENTENCE_STARTERS = frozenset(
    re.findall(
        r"\w+",
        "the there no this these it a an in on both left right lungs heart cardiac small moderate large new stable ",
    )
)
_CANDIDATE = re.compile(r"[.!?]+[\"')\]\u2019\u201d]*(?=\s|$)")
_GLUED = re.compile(r"(?<=[a-z)\]])\.(?=[A-Z][a-z])")  # "normal.The heart": a missing space, common in dictation
_WIDE_STOP = re.compile("[\u3002\uff01\uff1f\uff1b\uff61]+[\u201d\u2019\u300d\u300f\uff09\u3011\"')\\]]*")
_BETWEEN = re.compile(f"(?<=[{HAN}\uff09])[.!?](?=\\s*(?:[{HAN}A-Z]|\\d+[.\u3001]))|(?<=[a-z)%])[.!?](?=[{HAN}])")
"""A stop of Latin script that ends a sentence of Chinese, or stands before one ("正常.心影", "clear.双肺")."""

_LIST_MARK = re.compile(rf"(?:^|(?<=\s))(?:(?:\d{{1,2}}[.)]|[-*\u2022])\s+(?=\S)|\d{{1,2}}[.\u3001](?=[{HAN}]))")
_BARE_NUMBER = re.compile(r"^\(?\d{1,2}[.)]$")
_BLANK = re.compile(r"\n\s*\n")
_LINE = re.compile(r"\n")


def split(text: str) -> tuple[str, ...]:
    """Sentences of ``text``, stripped, none empty; white space inside a sentence becomes single spaces.

    A single line break ends a sentence only where the next line opens a list item or the line ended with a stop;
    a blank line always does. Text without any stop is one sentence.
    """
    parts: list[str] = []
    for paragraph in _BLANK.split(text):
        for block in _list_items(paragraph):
            parts.extend(_sentences(" ".join(block.split())))
    return tuple(parts)


def _list_items(paragraph: str) -> list[str]:
    """Cut a paragraph before each line that opens a list item or carries a header of its own ("FINDINGS:")."""
    blocks: list[list[str]] = []
    previous = ""
    for line in _LINE.split(paragraph):
        opens = _LIST_MARK.match(line.lstrip()) is not None or previous.rstrip().endswith(":")
        if opens or not blocks:
            blocks.append([line])
        else:
            blocks[-1].append(line)
        previous = line
    return ["\n".join(block) for block in blocks]


def _sentences(text: str) -> list[str]:
    """Sentences of one block whose white space is already single spaces."""
    cuts: list[int] = []
    for match in _CANDIDATE.finditer(text):
        if match.end() < len(text) and _ends(text, match):
            cuts.append(match.end())
    for glued in (_GLUED, _BETWEEN):
        cuts.extend(match.end() for match in glued.finditer(text) if not _abbreviation(text[: match.start()]))
    cuts.extend(match.end() for match in _WIDE_STOP.finditer(text))
    parts: list[str] = []
    start = 0
    for cut in sorted(cuts):
        piece = text[start:cut].strip()
        if not piece or _BARE_NUMBER.match(piece):
            continue  # "1." alone belongs to what follows
        parts.append(piece)
        start = cut
    rest = text[start:].strip()
    if rest:
        parts.append(rest)
    return parts


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether the stop at ``match`` ends a sentence."""
    before, after = text[: match.start()], text[match.end() :].lstrip()
    if set(match.group()) & set("!?") or match.group().startswith(".."):
        return not after[:1].islower()
    word = _last_word(before)
    if _single_letter(word) and after[:1].isupper():
        # "J. Smith" is an initial; "in lead V. The heart" is not, and reports do not call people "The"
        return _first_word(after) in _SENTENCE_STARTERS
    if _abbreviation(before):
        return word in {"etc", "al", "no"} and after[:1].isupper() and not after[:1].isdigit()
    if word.isdigit() and _BARE_NUMBER.match(before.rsplit(" ", 1)[-1] + "."):
        return not _list_number(before)
    return not after[:1].islower() or _first_word(after) in _SENTENCE_STARTERS or len(word) > 3


def _list_number(before: str) -> bool:
    """Whether the number just before a stop opens a list item: first on its line, or straight after a stop."""
    head = before.rsplit(" ", 1)[0].rstrip() if " " in before else ""
    return not head or head[-1] in ".;:"


def _abbreviation(before: str) -> bool:
    word = _last_word(before)
    dotted = re.search(r"(?:^|[\s(])(?:[A-Za-z]\.)+[A-Za-z]$", before)
    return word in _ABBREVIATIONS or dotted is not None


def _last_word(before: str) -> str:
    match = re.search(r"([A-Za-z0-9]+)$", before)
    return match.group(1).lower() if match else ""


def _first_word(after: str) -> str:
    match = re.match(r"([A-Za-z]+)", after)
    return match.group(1).lower() if match else ""


def _single_letter(word: str) -> bool:
    return len(word) == 1 and word.isalpha()


def spans(text: str) -> tuple[tuple[int, int], ...]:
    """(start, end) in ``text`` of each sentence of ``split(text)``: found by counting characters that are not space."""
    positions = [index for index, character in enumerate(text) if not character.isspace()]
    found: list[tuple[int, int]] = []
    used = 0
    for sentence in split(text):
        count = sum(not character.isspace() for character in sentence)
        found.append((positions[used], positions[used + count - 1] + 1))
        used += count
    return tuple(found)

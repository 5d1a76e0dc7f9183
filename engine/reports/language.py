"""The language a text is written in, told from its script alone: English, Chinese, both, or neither of them.

    written_in(text)   "en", "zh", "en+zh", or "" for a text without letters or in another script
    in_english(text)   whether what is for English (findings, changes, comparisons) can say anything of it
    tokens(text)       words, and Chinese characters one by one

Latin letters count as English: Latin script alone does not tell English from German, and nothing here looks words up.
A Chinese report may hold abbreviations ("PICC", "CT"), an English one a name in Chinese: neither makes it bilingual.
"""

from __future__ import annotations

import re

__all__ = [
    "BILINGUAL",
    "CHINESE",
    "ENGLISH",
    "LANGUAGES",
    "OPEN",
    "WIDE",
    "in_english",
    "joined",
    "tokens",
    "written_in",
]

ENGLISH, CHINESE, BILINGUAL = "en", "zh", "en+zh"

LANGUAGES: dict[str, str] = {ENGLISH: "English", CHINESE: "Chinese", BILINGUAL: "English and Chinese"}
"""Every language of a report by its name for people, the default first."""

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Chinese characters, as the inside of a class of a regular expression (Unicode's Han script)."""

OTHER_EAST_ASIAN = "\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af\u1100-\u11ff\uff66-\uffdc"
"""Kana and Hangul."""

MARKS = "\u3000-\u3004\u3006\u3008-\u303f\ufe10-\ufe1f\ufe30-\ufe4f\uff01-\uff65\uffe0-\uffee"
"""East Asian punctuation and full-width forms."""

WIDE = HAN + OTHER_EAST_ASIAN + MARKS
"""All that is set between ideographs without blanks, and needs a typeface of its own."""

OPEN = "\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\uff08\uff3b\uff5b\u201c\u2018"
"""Marks that must not end a line."""

CLOSE = (
    "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b"
    "\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d\uff5d\u201d\u2019"
)
"""Marks that must not begin one."""

_HAN = re.compile(f"[{HAN}]")
_WORDS = re.compile(r"[A-Za-z][A-Za-z'-]*")
_SPOKEN = re.compile(r"[A-Za-z]*[a-z]{3}")
_PHRASE = re.compile(r"\b[A-Za-z][a-z'-]+(?:[\s,;:()/-]+[A-Za-z][a-z'-]+){2}", re.ASCII)
"""Three words in a row: a sentence of English, where abbreviations and units are none."""

_RUN = re.compile(f"[{HAN}{CLOSE}{OPEN}]{{4}}")
"""Four characters in a row: a sentence of Chinese, where a name has three at most."""

_OTHER = re.compile(f"[{OTHER_EAST_ASIAN}\u0370-\u06ff\u0900-\u0dff\u0e00-\u0e7f]")
_TOKEN = re.compile(rf"[{HAN}{OTHER_EAST_ASIAN}]|[^\W{HAN}{OTHER_EAST_ASIAN}]+")
_WIDE_END, _WIDE_BEGIN = re.compile(f"[{WIDE}]$"), re.compile(f"^[{WIDE}]")


def written_in(text: str) -> str:
    """ "en", "zh", "en+zh", or "" where there are no letters or most are of another script."""
    han = len(_HAN.findall(text))
    words = _WORDS.findall(text)
    if len(_OTHER.findall(text)) > han + sum(map(len, words)):
        return ""
    if not han:
        return ENGLISH if words else ""
    english = _PHRASE.search(text) is not None or han < len(_SPOKEN.findall(text))
    chinese = not english or _RUN.search(text) is not None
    return BILINGUAL if english and chinese else CHINESE if chinese else ENGLISH


def in_english(text: str) -> bool:
    """Whether a text is in English or has English in it. True of one without letters: an empty report says nothing."""
    return written_in(text) in (ENGLISH, BILINGUAL) or not any(map(str.isalpha, text))


def tokens(text: str) -> list[str]:
    """The words of a text in lower case, without marks; each character of Chinese, Japanese or Korean is one."""
    return _TOKEN.findall(text.lower())


def joined(first: str, second: str) -> str:
    """Two sentences as running text: a blank between them, but for Chinese after Chinese, which has none."""
    if not first or not second or (_WIDE_END.search(first) and _WIDE_BEGIN.search(second)):
        return first + second
    return f"{first} {second}"

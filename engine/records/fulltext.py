"""The full-text index of the reports, and what a person types as a query that cannot fail.

``report_search`` holds the words of every report, ``report_fts`` is the FTS5 index over it (external content). Both are
written here and nowhere else: triggers cannot do it, since SQLite lets no trigger of an untrusted schema write to a
virtual table. Functions work inside the caller's transaction.

Chinese has no blanks between its words, so that to FTS5 a clause of it is one word. Reports that have any are indexed
once more, every such character as a word of its own (``report_characters``, ``report_characters_fts``): a word of one
character or of many is then a phrase, and is found wherever it stands. Japanese and Korean are treated alike.

In a query every word becomes a quoted string, so that no word is an operator. All words must occur, in any order and
column; a word of two or more characters also matches longer words that begin with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlite_utils import Database

from engine.records.canonical import tidy
from engine.reports.language import HAN, OTHER_EAST_ASIAN

MOST_WORDS = 32  # more words make no search better, and FTS5 limits the depth of an expression
LONGEST_WORD = 64

COLUMNS = ("patient_name", "patient_id", "accession", "indication", "text")

_CHARACTER = re.compile(f"[{HAN}{OTHER_EAST_ASIAN}]")
_STOP = re.compile(
    f"(?<=[{HAN}{OTHER_EAST_ASIAN}])[.,;:!?]|[\u3001\u3002\u3008-\u3011\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f]"
)
_BETWEEN = "\ue000"
"""A word that no text has, in the place of a stop: a phrase does not go on beyond one."""

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f":{name}" for name in COLUMNS)
_INDEX = f"INSERT INTO report_fts (rowid, {_NAMES}) VALUES (:row, {_VALUES})"
_UNINDEX = f"INSERT INTO report_fts (report_fts, rowid, {_NAMES}) VALUES ('delete', :row, {_VALUES})"


def add(db: Database, row: int, words: Mapping[str, str]) -> None:
    """Index report ``row`` for the first time; ``words`` has every name of ``COLUMNS``."""
    values = {"row": row, **words}
    db.execute(f"INSERT INTO report_search (row, {_NAMES}) VALUES (:row, {_VALUES})", values)
    db.execute(_INDEX, values)
    if spaced(words):
        index_characters(db, row, words)


def change(db: Database, row: int, words: Mapping[str, str]) -> None:
    """Give report ``row`` new ``words`` for some of ``COLUMNS``; the others stay."""
    old = next(db.query("SELECT * FROM report_search WHERE row = ?", [row]))
    new = {**old, **words}
    if new == old:
        return
    # FTS5 must be told exactly the words it was given before.
    db.execute(_UNINDEX, old)
    settings = ", ".join(f"{name} = :{name}" for name in words)
    db.execute(f"UPDATE report_search SET {settings} WHERE row = :row", {**words, "row": row})
    db.execute(_INDEX, new)
    if spaced(old) != spaced(new):
        index_characters(db, row, new)


def index_characters(db: Database, row: int, words: Mapping[str, str]) -> None:
    """Index the characters of report ``row`` in place of those it had; a report without such has no entry."""
    new = spaced(words)
    old = next((one for (one,) in db.execute("SELECT words FROM report_characters WHERE row = ?", [row])), None)
    if old is not None:
        db.execute(
            "INSERT INTO report_characters_fts (report_characters_fts, rowid, words) VALUES ('delete', ?, ?)",
            [row, old],
        )
        db.execute("DELETE FROM report_characters WHERE row = ?", [row])
    if new:
        db.execute("INSERT INTO report_characters (row, words) VALUES (?, ?)", [row, new])
        db.execute("INSERT INTO report_characters_fts (rowid, words) VALUES (?, ?)", [row, new])


def agrees(db: Database) -> bool:
    """Whether the index holds exactly the words of ``report_search``. Needs the writer, though it changes nothing."""
    try:
        db.execute("INSERT INTO report_fts (report_fts, rank) VALUES ('integrity-check', 1)")
        db.execute("INSERT INTO report_characters_fts (report_characters_fts, rank) VALUES ('integrity-check', 1)")
    except db.conn.DatabaseError:
        return False
    both = "SELECT s.*, c.words FROM report_search s LEFT JOIN report_characters c ON c.row = s.row"
    return all(spaced(entry) == (entry["words"] or "") for entry in db.query(both))


def condition(query: str) -> tuple[str, list[str]]:
    """What a report's ``row`` must fulfil to hold every word of ``query``, as SQL, and the values for it.

    "" where the query holds no word, which means no filter.
    """
    words = _words(query)
    if not words:
        return "", []
    if any(
        map(_CHARACTER.search, words)
    ):  # each by itself: a name may be in one index, a word of the text in the other
        expressions = [(_quoted(word), _phrase(word)) for word in words]
    else:
        expressions = [(match(query), match(query))]
    one = (
        "(row IN (SELECT rowid FROM report_fts WHERE report_fts MATCH ?)"
        " OR row IN (SELECT rowid FROM report_characters_fts WHERE report_characters_fts MATCH ?))"
    )
    return " AND ".join([one] * len(expressions)), [value for pair in expressions for value in pair]


def match(query: str) -> str:
    """The MATCH expression for ``query``; "" where it holds no word."""
    return " ".join(map(_quoted, _words(query)))


def spaced(words: Mapping[str, str]) -> str:
    """All words of a report with each Chinese character by itself; "" for a report without any."""
    every = [words[name] for name in COLUMNS]
    if not any(map(_CHARACTER.search, every)):
        return ""
    return f" {_BETWEEN} ".join(_apart(text) for text in every)


def _apart(text: str) -> str:
    return _CHARACTER.sub(r" \g<0> ", _STOP.sub(f" {_BETWEEN} ", text.replace("^", " ")))


def _words(query: str) -> Sequence[str]:
    plain = _STOP.sub(" ", tidy(query[: MOST_WORDS * LONGEST_WORD * 4]))
    words = [word[:LONGEST_WORD] for word in plain.split()]
    return [word for word in words if any(character.isalnum() for character in word)][:MOST_WORDS]


def _phrase(word: str) -> str:
    """A word of a query as the index of characters has it."""
    quoted = '"' + " ".join(_apart(word).split()).replace('"', '""') + '"'
    return quoted if _CHARACTER.match(word[-1]) else quoted + "*"


def _quoted(word: str) -> str:
    quoted = '"' + word.replace('"', '""') + '"'
    return quoted + "*" if sum(character.isalnum() for character in word) >= 2 else quoted

"""The full-text index of the reports, and what a person types as a query that cannot fail.

``report_search`` holds the words of every report, ``report_fts`` is the FTS5 index over it (external content). Both are
written here and nowhere else: triggers cannot do it, since SQLite lets no trigger of an untrusted schema write to a
virtual table. Functions work inside the caller's transaction.

In a query every word becomes a quoted string, so that no word is an operator. All words must occur, in any order and
column; a word of two or more characters also matches longer words that begin with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlite_utils import Database

from engine.records.canonical import tidy

MOST_WORDS = 32  # more words make no search better, and FTS5 limits the depth of an expression
LONGEST_WORD = 64

COLUMNS = ("patient_name", "patient_id", "accession", "indication", "text")

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f":{name}" for name in COLUMNS)
_INDEX = f"INSERT INTO report_fts (rowid, {_NAMES}) VALUES (:row, {_VALUES})"
_UNINDEX = f"INSERT INTO report_fts (report_fts, rowid, {_NAMES}) VALUES ('delete', :row, {_VALUES})"


def add(db: Database, row: int, words: Mapping[str, str]) -> None:
    """Index report ``row`` for the first time; ``words`` has every name of ``COLUMNS``."""
    values = {"row": row, **words}
    db.execute(f"INSERT INTO report_search (row, {_NAMES}) VALUES (:row, {_VALUES})", values)
    db.execute(_INDEX, values)


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


def agrees(db: Database) -> bool:
    """Whether the index holds exactly the words of ``report_search``. Needs the writer, though it changes nothing."""
    try:
        db.execute("INSERT INTO report_fts (report_fts, rank) VALUES ('integrity-check', 1)")
    except db.conn.DatabaseError:
        return False
    return True


def match(query: str) -> str:
    """The MATCH expression for ``query``; "" where it holds no word, which means no filter."""
    words = [word[:LONGEST_WORD] for word in tidy(query[: MOST_WORDS * LONGEST_WORD * 4]).split()]
    words = [word for word in words if any(character.isalnum() for character in word)]
    return " ".join(_quoted(word) for word in words[:MOST_WORDS])


def _quoted(word: str) -> str:
    quoted = '"' + word.replace('"', '""') + '"'
    return quoted + "*" if sum(character.isalnum() for character in word) >= 2 else quoted

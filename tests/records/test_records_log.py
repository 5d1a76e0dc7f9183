"""The chain of events names the first row that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from records_desk import Desk

Foreign = Callable[..., list[tuple[object, ...]]]


def events(desk: Desk) -> None:
    for index in range(9):
        desk.records.record_event("opened", "S" * 26, {"index": index}, action="R")


def without_guards(foreign: Foreign, *statements: str) -> None:
    """What somebody does who knows the triggers: drop them, change rows, make them again."""
    guards = foreign("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'event%'")
    for name, _ in guards:
        foreign(f"DROP TRIGGER {name}")
    for statement in statements:
        foreign(statement)
    for _, sql in guards:
        foreign(str(sql))


def test_an_untouched_log_is_good(desk: Desk) -> None:
    assert desk.records.verify_log().head == ""
    events(desk)
    check = desk.records.verify_log()
    assert (check.ok, check.rows, check.first_bad, check.problems) == (True, 9, None, ())
    assert len(check.head) == 64


@pytest.mark.parametrize("column", ["at", "who", "kind", "subject", "source", "detail", "previous", "hash"])
def test_one_flipped_byte_in_any_field_is_found(desk: Desk, foreign: Foreign, column: str) -> None:
    events(desk)
    (value,) = foreign(f"SELECT {column} FROM event WHERE seq = 4")[0]
    text = str(value)
    at = len(text) // 2
    flipped = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    without_guards(foreign, f"UPDATE event SET {column} = '{flipped}' WHERE seq = 4")
    check = desk.records.verify_log()
    assert (check.ok, check.first_bad) == (False, 4)


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE event SET action = 'U' WHERE seq = 1", 1),
        ("UPDATE event SET outcome = 'refused' WHERE seq = 9", 9),
        ("DELETE FROM event WHERE seq = 5", 5),
        ("DELETE FROM event WHERE seq > 6", 7),
        ("DELETE FROM event", 1),
        ("UPDATE event SET detail = CAST(x'7bff7d' AS TEXT) WHERE seq = 2", 2),
    ],
)
def test_changed_and_missing_rows_are_found(desk: Desk, foreign: Foreign, statement: str, first_bad: int) -> None:
    events(desk)
    without_guards(foreign, statement)
    check = desk.records.verify_log()
    assert (check.ok, check.first_bad) == (False, first_bad)


def test_a_log_that_is_gone_is_found(desk: Desk, foreign: Foreign) -> None:
    events(desk)
    foreign("DROP TABLE event")
    check = desk.records.verify_log()
    assert (check.ok, check.first_bad) == (False, 1)


def test_no_patient_in_the_log(desk: Desk, foreign: Foreign) -> None:
    desk.signed()
    everything = str(foreign("SELECT * FROM event"))
    assert "Phantom" not in everything and "effusion" not in everything
    # A whole word: identifiers of twenty-six random letters and digits may well hold these two.
    assert not re.search(r"\bP1\b", everything)

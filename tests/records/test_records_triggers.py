"""Rules that hold whatever program writes: signed rows stay, events and revisions are only added."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from records_desk import Desk

Foreign = Callable[..., list[tuple[object, ...]]]

SIGNED = {
    "change report": "UPDATE report SET section = 'x' WHERE id = :id",
    "reopen report": "UPDATE report SET state = 'draft', signed_at = NULL WHERE id = :id",
    "delete report": "DELETE FROM report WHERE id = :id",
    "replace report": "INSERT OR REPLACE INTO report SELECT row, id, 'draft', patient, current, current_study, prior,"
    " prior_study, section, revision, 0, created_at, updated_at, changed, NULL FROM report WHERE id = :id",
    "take its place": "UPDATE OR REPLACE report SET id = :id WHERE id <> :id",
    "change signature": "UPDATE signature SET name = 'x' WHERE report = :id",
    "delete signature": "DELETE FROM signature WHERE report = :id",
    "replace signature": "INSERT OR REPLACE INTO signature SELECT * FROM signature WHERE report = :id",
    "change revision": "UPDATE revision SET sentences = '[]' WHERE report = :id",
    "delete revision": "DELETE FROM revision WHERE report = :id",
    "add revision": "INSERT INTO revision SELECT report, number + 1, created_at, who, draft, indication, sentences"
    " FROM revision WHERE report = :id ORDER BY number DESC LIMIT 1",
    "replace revision": "INSERT OR REPLACE INTO revision SELECT * FROM revision WHERE report = :id",
    "change draft": "UPDATE draft SET text = 'x' WHERE report = :id",
    "delete draft": "DELETE FROM draft WHERE report = :id",
    "change its words": "UPDATE report_search SET text = 'x' WHERE row = (SELECT row FROM report WHERE id = :id)",
    "delete its words": "DELETE FROM report_search WHERE row = (SELECT row FROM report WHERE id = :id)",
}
ALWAYS = {
    "change event": "UPDATE event SET who = 'x' WHERE seq = 1",
    "delete event": "DELETE FROM event",
    "replace event": "INSERT OR REPLACE INTO event SELECT * FROM event WHERE seq = 1",
    "leave a gap": "INSERT INTO event SELECT seq + 5, at, who, action, kind, subject, outcome, source, detail, hash,"
    " hash FROM event ORDER BY seq DESC LIMIT 1",
    "break the chain": "INSERT INTO event SELECT seq + 1, at, who, action, kind, subject, outcome, source, detail, '',"
    " hash FROM event ORDER BY seq DESC LIMIT 1",
    "change revision": "UPDATE revision SET who = 'x' WHERE report <> :id",
    "delete revision": "DELETE FROM revision WHERE report <> :id",
    "replace revision": "INSERT OR REPLACE INTO revision SELECT * FROM revision WHERE report <> :id",
    "change draft": "UPDATE draft SET text = 'x' WHERE report <> :id",
    "delete draft": "DELETE FROM draft WHERE report <> :id",
    "sign by hand": "UPDATE report SET state = 'signed', signed_at = 'now' WHERE id <> :id",
}


def refused(foreign: Foreign, sql: str, report_id: str) -> str:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        foreign(sql.replace(":id", f"'{report_id}'"))
    return str(caught.value)


@pytest.fixture
def signed(desk: Desk) -> str:
    """A signed report beside one that is not."""
    desk.reviewed("Open.")
    return desk.signed("Left effusion.").id


@pytest.mark.parametrize("name", SIGNED)
def test_signed_rows_stay(desk: Desk, foreign: Foreign, signed: str, name: str) -> None:
    before = desk.records.report(signed)
    assert "signed report is final" in refused(foreign, SIGNED[name], signed)
    assert desk.records.report(signed) == before
    assert desk.records.doctor() == ()


@pytest.mark.parametrize("name", ALWAYS)
def test_history_is_only_added_to(desk: Desk, foreign: Foreign, signed: str, name: str) -> None:
    refused(foreign, ALWAYS[name], signed)
    assert desk.records.doctor() == ()


def test_every_trigger_is_missed_when_it_is_dropped(desk: Desk, foreign: Foreign) -> None:
    desk.signed()
    triggers = foreign("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    assert len(triggers) > 20
    for name, sql in triggers:
        foreign(f"DROP TRIGGER {name}")
        check = desk.records.verify_log()
        assert not check.ok and check.first_bad is None and f"'{name}'" in check.problems[0]
        foreign(str(sql))
        assert desk.records.verify_log().ok


def test_a_weakened_trigger_and_a_foreign_one_show(desk: Desk, foreign: Foreign) -> None:
    foreign("DROP TRIGGER event_update")
    foreign("CREATE TRIGGER event_update BEFORE UPDATE ON event WHEN 0 BEGIN SELECT 1; END")
    foreign("CREATE TRIGGER added AFTER INSERT ON event BEGIN SELECT 1; END")
    assert len(desk.records.verify_log().problems) == 2

"""Many threads, two tabs, a clock that goes backwards."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from records_desk import Clock, Desk, accepted, draft

from engine.errors import Conflict
from engine.records import Sentence
from engine.records.ids import Ulids


def test_writers_and_readers_at_once(desk: Desk) -> None:
    sha256 = desk.filed("a.dcm", uid="1.2")

    def work(index: int) -> str:
        report = desk.records.new_report(sha256, None, f"Number {index}.", "findings")
        row = desk.records.save_draft(report.id, draft("Clear."), ["Clear."])
        desk.records.save_revision(report.id, accepted(row.sentences), based_on=row.revision)
        assert desk.records.search(limit=5).total > 0
        return desk.records.sign(report.id, name="Dr. Reader", based_on=2).report_id

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(work, range(50)))
    assert len(made) == desk.records.search(state="signed").total == 50
    check = desk.records.verify_log()
    assert (check.ok, check.rows) == (True, 201)


def test_of_many_who_save_at_once_one_wins(desk: Desk) -> None:
    report = desk.report()

    def save(index: int) -> bool:
        try:
            desk.records.save_revision(report.id, [Sentence("1", f"{index}", "human", "accepted")], based_on=0)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, range(24))) == 1
    assert len(desk.records.report(report.id).revisions) == 1


def test_the_second_of_two_tabs_gets_a_conflict(desk: Desk) -> None:
    report, row = desk.drafted("One.", "Two.")
    saved = desk.records.save_revision(report.id, accepted(row.sentences), based_on=1)
    with pytest.raises(Conflict):
        desk.records.save_revision(report.id, accepted(row.sentences[:1]), based_on=1)
    assert desk.records.report(report.id).newest == saved


def test_a_copy_while_others_write(desk: Desk) -> None:
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(desk.records.record_event, "opened", "S" * 26, {"n": n}) for n in range(60)]
        copies = [desk.records.backup(desk.folder / f"copy{n}.db") for n in range(5)]
        for write in writes:
            write.result()
    for copy in copies:
        connection = sqlite3.connect(copy)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_a_clock_that_goes_back_changes_no_order(desk: Desk, clock: Clock) -> None:
    made = []
    for step in (0, -1, 3, -5):
        clock.go(days=step)
        made.append(desk.report(name=f"{step}").id)
    assert [row.report_id for row in desk.records.search().rows] == made[::-1]
    desk.records.save_revision(made[0], [Sentence("1", "Later.", "human", "accepted")], based_on=0)
    assert desk.records.search().rows[0].report_id == made[0]
    assert desk.records.verify_log().ok


def test_ids_only_grow() -> None:
    clock = Clock()
    new_id = Ulids(clock)
    made = []
    for step in (0, 0, 1, -1000, 0, 5):
        clock.go(milliseconds=step)
        made.append(new_id())
    assert made == sorted(set(made)) and {len(one) for one in made} == {26}

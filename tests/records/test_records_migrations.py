"""Steps of the schema: all or nothing, with a copy first."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from records_desk import KNOWN, Desk, draft
from sqlite_utils import Database

from engine.errors import RecordsError
from engine.records import Records, migrations

KNOWN_STEPS = (migrations.first_tables, migrations.answers, migrations.characters)


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch):
    """Lets a test release one more step."""

    def release(step) -> None:
        longer = migrations.Migrations("records")
        for known in KNOWN_STEPS:
            longer()(known)
        longer()(step)
        monkeypatch.setattr(migrations, "steps", longer)
        migrations.expected_schema.cache_clear()

    yield release
    monkeypatch.undo()
    migrations.expected_schema.cache_clear()


def add_room(db: Database) -> None:
    db.execute("ALTER TABLE study ADD COLUMN room TEXT")


def fail_half_way(db: Database) -> None:
    db.execute("ALTER TABLE study ADD COLUMN room TEXT")
    db.execute("UPDATE study SET accession = 'lost'")
    raise ValueError("half-way")


def copies(home: Path) -> list[Path]:
    return sorted((home / "backups").glob("before-*.db"))


def test_a_new_history_needs_no_copy(desk: Desk) -> None:
    assert copies(desk.home) == []


def test_a_step_is_applied_once_with_a_copy_of_the_state_before(desk: Desk, next_version) -> None:
    report = desk.signed()
    desk.records.close()
    next_version(add_room)
    for _ in range(2):
        with Records.open(desk.home) as records:
            assert records.report(report.id).report.state == "signed"
            assert records.doctor() == ()
    (copy,) = copies(desk.home)
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT count(*) FROM pragma_table_info('study') WHERE name = 'room'").fetchone() == (0,)
    assert connection.execute("SELECT id FROM report").fetchall() == [(report.id,)]
    connection.close()
    connection = sqlite3.connect(desk.home / "history.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(KNOWN_STEPS) + 1,)
    connection.close()


def test_a_step_that_fails_changes_nothing_and_names_the_copy(desk: Desk, next_version, monkeypatch) -> None:
    report = desk.signed()
    before = desk.records.report(report.id)
    desk.records.close()
    with monkeypatch.context() as patched:
        longer = migrations.Migrations("records")
        for known in KNOWN_STEPS:
            longer()(known)
        longer()(fail_half_way)
        patched.setattr(migrations, "steps", longer)
        with pytest.raises(RecordsError) as told:
            Records.open(desk.home)
        with pytest.raises(RecordsError, match="older version"):
            Records.open(desk.home, read_only=True)
    (copy,) = copies(desk.home)
    assert copy.name in str(told.value)
    with Records.open(desk.home) as records:  # the version before still starts
        assert records.report(report.id) == before
        assert records.doctor() == ()


def test_a_history_of_before_conversations_is_kept_and_can_hold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        before = migrations.Migrations("records")
        before()(migrations.first_tables)
        patched.setattr(migrations, "steps", before)
        migrations.expected_schema.cache_clear()
        with Records.open(tmp_path / "history") as records:
            desk = Desk(records, tmp_path)
            report = desk.signed()
    migrations.expected_schema.cache_clear()
    with Records.open(tmp_path / "history") as records:
        assert records.verify_signature(report.id).ok and records.verify_log().ok
        records.save_answer(KNOWN, report.current_sha256, None, "Is there an effusion?", draft("Yes."))
        assert [answer.text for answer in records.answers(KNOWN, report.current_sha256, None)] == ["Yes."]
        assert records.doctor() == ()
    assert len(copies(tmp_path / "history")) == 1


def test_chinese_reports_of_a_history_of_before_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        before = migrations.Migrations("records")
        before()(migrations.first_tables)
        before()(migrations.answers)
        patched.setattr(migrations, "steps", before)
        patched.setattr(migrations.fulltext, "spaced", lambda words: "")  # as the program was then
        migrations.expected_schema.cache_clear()
        with Records.open(tmp_path / "history") as records:
            desk = Desk(records, tmp_path)
            signed = desk.signed("左侧胸腔积液。", "No pneumothorax.")
    migrations.expected_schema.cache_clear()
    with Records.open(tmp_path / "history") as records:
        assert [row.report_id for row in records.search("积液 pneumothorax").rows] == [signed.id]
        assert records.verify_signature(signed.id).ok and records.doctor() == ()
    assert len(copies(tmp_path / "history")) == 1


def test_a_first_start_that_fails_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        broken = migrations.Migrations("records")
        for known in KNOWN_STEPS:
            broken()(known)
        broken()(fail_half_way)
        patched.setattr(migrations, "steps", broken)
        with pytest.raises(RecordsError):
            Records.open(tmp_path / "history")
    with Records.open(tmp_path / "history") as records:
        assert records.search().total == 0

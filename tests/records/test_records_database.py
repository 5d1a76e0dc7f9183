"""The file itself: settings, one process, damage, loss, full disks, copies."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from records_desk import Clock, Desk

from engine.errors import NotFound, RecordsError, ResourceError
from engine.records import Records
from engine.records.database import connect
from engine.records.migrations import APPLICATION_ID

HOLD = (
    "import sys, time; from pathlib import Path; from engine.records import Records\n"
    "records = Records.open(Path(sys.argv[1])); print('open', flush=True); time.sleep(60)"
)


def pragma(path: Path, name: str, *, write: bool) -> object:
    db = connect(path, write=write)
    try:
        return db.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        db.close()


def test_every_setting(desk: Desk) -> None:
    path = desk.home / "history.db"
    expected = {"journal_mode": "wal", "busy_timeout": 10_000, "trusted_schema": 0, "cell_size_check": 1}
    expected |= {"application_id": APPLICATION_ID, "user_version": 3}
    for name, value in expected.items():
        assert pragma(path, name, write=True) == pragma(path, name, write=False) == value, name
    assert (pragma(path, "synchronous", write=True), pragma(path, "foreign_keys", write=True)) == (2, 1)
    assert pragma(path, "query_only", write=False) == 1
    tables = connect(path, write=False)
    try:
        loose = tables.execute("SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict").fetchall()
    finally:
        tables.close()
    ours = {name for (name,) in loose if not name.startswith(("sqlite_", "_sqlite_", "report_fts"))}
    assert ours == set()
    assert path.stat().st_mode & 0o077 == 0 and desk.home.stat().st_mode & 0o077 == 0


def test_a_second_process_is_refused_with_the_first_ones_number(tmp_path: Path) -> None:
    home = tmp_path / "history"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, home], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        with pytest.raises(RecordsError, match=f"process {holder.pid}"):
            Records.open(home)
        with Records.open(home, read_only=True) as reader:
            assert reader.search().total == 0
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    Records.open(home).close()  # the lock of the dead is no lock


def test_the_lock_does_not_live_on_in_a_forked_child(desk: Desk) -> None:
    home = desk.home
    child = os.fork()
    if not child:
        signal.pause()
    try:
        desk.records.close()
        Records.open(home).close()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_read_only_writes_nothing(desk: Desk) -> None:
    report = desk.signed()
    desk.records.close()
    before = {path: path.read_bytes() for path in desk.home.rglob("*.db")}
    with Records.open(desk.home, read_only=True) as records:
        assert records.report(report.id).signature is not None
        assert records.doctor() == () and records.verify_log().ok
        with pytest.raises(RecordsError, match="reading only"):
            records.record_event("opened", report.id)
    assert {path: path.read_bytes() for path in desk.home.rglob("*.db")} == before
    with pytest.raises(NotFound):
        Records.open(desk.home / "elsewhere", read_only=True)


def test_a_closed_history_says_so(desk: Desk) -> None:
    desk.records.close()
    desk.records.close()
    for call in (desk.records.search, lambda: desk.records.record_event("x", "y")):
        with pytest.raises(RecordsError, match="closed"):
            call()


@pytest.mark.parametrize("what", ["history.db", "history.db-wal", "history.db-shm"])
def test_deleted_while_running(desk: Desk, what: str) -> None:
    report = desk.signed("Left effusion.")
    (desk.home / what).unlink()
    for _ in range(2):
        with pytest.raises(RecordsError, match="removed"):
            desk.report()
        with pytest.raises(RecordsError, match="removed"):
            desk.records.search()
        with pytest.raises(RecordsError, match="removed"):
            desk.records.backup(desk.folder / "copy.db")
    desk.records.close()
    if what == "history.db":
        assert not (desk.home / what).exists()  # never a silent new one
        with pytest.raises(RecordsError, match="missing"):
            Records.open(desk.home)
        (rescued,) = (desk.home / "backups").glob("rescued-*.db")
        shutil.copy(rescued, desk.home / what)
    with Records.open(desk.home) as records:
        assert records.report(report.id).report.state == "signed"
        assert records.doctor() == ()


def test_replaced_while_running(desk: Desk) -> None:
    desk.report()
    desk.records.backup(desk.folder / "copy.db")
    (desk.folder / "copy.db").replace(desk.home / "history.db")
    with pytest.raises(RecordsError, match="replaced"):
        desk.records.search()


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with pytest.raises(RecordsError):
        Records.open(tmp_path)
    assert path.read_bytes() == content


def test_a_damaged_page_is_found_at_the_start(desk: Desk) -> None:
    desk.signed(*(f"Sentence number {index}." for index in range(200)))
    desk.records.close()
    path = desk.home / "history.db"
    data = bytearray(path.read_bytes())
    for page in range(4096 * 10, len(data), 4096):
        data[page : page + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(RecordsError, match="damaged"):
        Records.open(desk.home)


def test_other_programs_and_newer_versions(desk: Desk, foreign: Callable[..., list[tuple[object, ...]]]) -> None:
    foreign("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('records', 'of_the_future', '')")
    desk.records.close()
    with pytest.raises(RecordsError, match="newer"):
        Records.open(desk.home)
    other = desk.folder / "other"
    other.mkdir()
    connection = sqlite3.connect(other / "history.db")
    connection.execute("PRAGMA application_id = 77")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(RecordsError, match="not a history"):
        Records.open(other)


def test_a_full_disk_loses_nothing(desk: Desk) -> None:
    report, revision = desk.reviewed("Short.")
    before = desk.records.report(report.id)
    db = desk.records._history._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ResourceError, match="full"):
        desk.drafted("word " * 30_000)
    assert desk.records.report(report.id) == before
    db.execute("PRAGMA max_page_count = 1000000")
    desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number)
    assert desk.records.doctor() == ()


def test_a_copy_that_does_not_fit_leaves_nothing(desk: Desk) -> None:
    """A limit on file size stands for the full disk."""
    report = desk.signed("Left effusion.")
    desk.records.close()
    code = (
        "import resource, signal, sys; from pathlib import Path; from engine.records import Records\n"
        "from engine.errors import ResourceError\n"
        "records = Records.open(Path(sys.argv[1])); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))\n"
        "try: records.backup_if_due()\n"
        "except ResourceError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(list(records._backups.iterdir()), records.backup_if_due().name)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, desk.home], capture_output=True, text=True, check=True).stdout
    assert "full" in told and "[] history-" in told
    with Records.open(desk.home) as records:
        assert records.verify_signature(report.id).ok


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordsError, match="written"):
        Records.open(tmp_path / "file" / "history")


def test_copies_are_whole_and_do_not_replace_the_original(desk: Desk) -> None:
    report = desk.signed()
    copy = desk.records.backup(desk.folder / "deep" / "copy.db")
    connection = sqlite3.connect(copy)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT id FROM report").fetchall() == [(report.id,)]
    connection.close()
    assert sorted(path.name for path in copy.parent.iterdir()) == ["copy.db"]
    with pytest.raises(RecordsError):
        desk.records.backup(desk.home / "history.db")
    elsewhere = desk.folder / "elsewhere"
    shutil.copytree(desk.home / "files", elsewhere / "files")
    shutil.copy(copy, elsewhere / "history.db")
    with Records.open(elsewhere) as records:
        assert records.image_file(report.current_sha256).is_relative_to(elsewhere)
        assert records.doctor() == ()


def test_one_copy_an_hour_and_seven_kept(desk: Desk, clock: Clock) -> None:
    desk.report()
    made = []
    for _ in range(9):
        copy = desk.records.backup_if_due()
        assert copy is not None and desk.records.backup_if_due() is None
        made.append(copy)
        clock.go(minutes=30)
        assert desk.records.backup_if_due() is None
        clock.go(minutes=31)
    assert sorted((desk.home / "backups").iterdir()) == made[-7:]


def test_a_clock_that_went_back_still_makes_copies(desk: Desk, clock: Clock) -> None:
    for _ in range(8):
        desk.records.backup_if_due()
        clock.go(hours=2)
    clock.go(days=-30)
    made = desk.records.backup_if_due()
    assert made is not None and made.exists()

"""Image files: complete or absent, known by their bytes, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from records_desk import Desk

from engine.errors import RecordsError, UsageError
from engine.records.files import FileStore


def stored(desk: Desk) -> list[Path]:
    return [path for path in (desk.home / "files").rglob("*") if path.is_file()]


def test_a_file_is_stored_under_its_sha256(desk: Desk) -> None:
    sha256 = desk.filed("a.dcm")
    place = desk.records.image_file(sha256)
    assert place == desk.home / "files" / sha256[:2] / sha256
    assert place.stat().st_mode & 0o077 == 0
    assert stored(desk) == [place]


def test_missing_and_damaged_files_are_told_and_healed(desk: Desk) -> None:
    sha256 = desk.filed("a.dcm")
    place = desk.records.image_file(sha256)
    for harm, word in ((place.unlink, "missing"), (lambda: place.write_bytes(b"x"), "damaged")):
        harm()
        with pytest.raises(RecordsError, match=word):
            desk.records.image_file(sha256)
        assert [(fault.check, fault.subject) for fault in desk.records.doctor()] == [("files", sha256)]
        assert desk.filed("a.dcm") == sha256
        assert desk.records.image_file(sha256) == place
        assert desk.records.doctor() == ()


def test_a_file_that_changed_or_went_is_refused(desk: Desk) -> None:
    study, files = desk.study("a.dcm")
    (sha256,) = files
    files[sha256].write_bytes(b"something else")
    with pytest.raises(RecordsError, match="changed"):
        desk.records.add_study(study, files)
    files[sha256].unlink()
    with pytest.raises(RecordsError, match="removed"):
        desk.records.add_study(study, files)
    with pytest.raises(UsageError):
        desk.records.add_study(study, {})
    assert stored(desk) == []
    assert desk.records.verify_log().rows == 0


def test_orphans_are_found_and_collected(desk: Desk) -> None:
    kept = desk.filed("a.dcm")
    folder = desk.home / "files" / "ab"
    folder.mkdir(parents=True)
    orphans = [folder / ("ab" + "0" * 62), folder / (".ab" + "0" * 62 + ".1234.part")]
    for orphan in orphans:
        orphan.write_bytes(b"left by a crash")
    assert {fault.subject for fault in desk.records.doctor()} == {orphan.name for orphan in orphans}
    assert set(desk.records.collect_orphans()) == set(orphans)
    assert desk.records.collect_orphans() == ()
    assert desk.records.doctor() == ()
    assert desk.records.image_file(kept).is_file()


def test_a_full_disk_leaves_nothing(desk: Desk) -> None:
    """A limit on file size stands for the full disk: the copy stops in the middle of the file."""
    code = (
        "import signal, resource, sys; from pathlib import Path; from engine.records.files import FileStore\n"
        "from engine.errors import ResourceError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: FileStore(Path(sys.argv[1])).add(sys.argv[2], Path(sys.argv[3]))\n"
        "except ResourceError as error: print(error)\n"
    )
    sha256, source = desk.file("big.dcm", bytes(1_000_000))
    told = subprocess.run(
        [sys.executable, "-c", code, desk.folder / "files", sha256, source], capture_output=True, text=True, check=True
    )
    assert "full" in told.stdout
    assert [path for path in (desk.folder / "files").rglob("*") if path.is_file()] == []
    assert FileStore(desk.folder / "files").add(sha256, source).stat().st_size == 1_000_000

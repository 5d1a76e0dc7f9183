"""doctor: a table or one JSON object, and an exit status that a script can trust."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine import browsers, cli, pins
from engine.cli import doctor


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]]]:
    status = cli.main(["doctor", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] == (status == 0)
    return status, {check["name"]: (check["status"], check["detail"]) for check in result["checks"]}


def test_all_is_well_here(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir(mode=0o700)
    status, checks = examined(capsys)
    assert status == 0
    assert list(checks) == [
        *("python", "requirements", "codecs", "memory", "accelerator"),
        *("browser", "data folder", "disk", "history", "models", "wordnet", "chinese"),
    ]
    assert checks["data folder"] == ("ok", str(home))
    assert checks["history"][1].startswith("empty")
    assert not list((home / "tmp").iterdir())


def test_the_table_says_the_same_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "note"}
    assert any("JPEG 2000" in line for line in lines)


def test_a_missing_requirement_is_named_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "unmet", lambda wanted: (pins.Pin("ghost", "1.0"),))
    status, checks = examined(capsys)
    assert status == 3
    state, detail = checks["requirements"]
    assert state == "bad" and "ghost absent (needs 1.0)" in detail and "launch.py viewer" in detail


def test_a_folder_that_cannot_be_written_is_bad(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.write_text("a file in its place")
    status, checks = examined(capsys)
    assert status == 3 and checks["data folder"][0] == "bad" and "INTERVAL_HOME" in checks["data folder"][1]


def test_a_full_disk_is_bad(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**8})())
    status, checks = examined(capsys)
    assert status == 3 and checks["disk"] == ("bad", "0.1 GB free for the data folder. Free some space before working.")


def test_a_damaged_history_is_bad(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "history.db").write_bytes(b"this is no database" * 400)
    status, checks = examined(capsys)
    assert status == 3 and checks["history"][0] == "bad"
    assert checks["history"][1].strip()


def test_a_whole_history_is_well(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    from engine.records import Records

    Records.open(home).close()
    status, checks = examined(capsys)
    assert status == 0 and checks["history"][0] == "ok" and "whole" in checks["history"][1]


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_folder_that_others_can_enter_is_a_note(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    home.chmod(0o755)
    status, checks = examined(capsys)
    assert status == 0 and checks["data folder"][0] == "note" and "chmod 700" in checks["data folder"][1]


def test_without_a_browser_it_is_a_note(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers.shutil, "which", lambda name: None)
    status, checks = examined(capsys)
    assert status == 0 and checks["browser"][0] == "note"

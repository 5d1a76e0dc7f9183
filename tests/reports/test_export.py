"""Files that leave the house: whole or not at all, never over another, readable by this user alone."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from test_document import SIGNED

from engine.errors import ResourceError
from engine.reports import export as module
from engine.reports.export import export, to_pdf, to_text


def test_both_files_are_written_for_this_user_alone(tmp_path: Path) -> None:
    pdf, text = export(SIGNED, tmp_path / "out")
    assert pdf.name == "interval-report-20240503-01JD3X9W5Z6M7N8P9QRSTVWXYZ.pdf"
    assert text.name == pdf.with_suffix(".txt").name
    assert pdf.read_bytes() == to_pdf(SIGNED)
    assert text.read_text(encoding="utf-8") == to_text(SIGNED)
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in (pdf, text)} == {0o600}
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_an_export_never_overwrites(tmp_path: Path) -> None:
    first = export(SIGNED, tmp_path)
    kept = [path.read_bytes() for path in first]
    second = export(replace(SIGNED, indication="Other."), tmp_path)
    assert [path.stem for path in second] == [first[0].stem + "-2"] * 2
    assert [path.read_bytes() for path in first] == kept


def test_a_lone_text_file_of_that_name_moves_both(tmp_path: Path) -> None:
    (tmp_path / "interval-report-20240503-01JD3X9W5Z6M7N8P9QRSTVWXYZ.txt").write_text("mine")
    pdf, text = export(SIGNED, tmp_path)
    assert (pdf.stem, text.stem) == (pdf.stem, pdf.stem)
    assert pdf.stem.endswith("-2")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("identity", ["../../etc/passwd", "a/b\\c:d*?", "", "\u202e\x00", "x" * 300, "CON"])
def test_names_are_safe(tmp_path: Path, identity: str) -> None:
    for path in export(replace(SIGNED, report_id=identity), tmp_path):
        assert path.parent == tmp_path
        assert path.is_file()
        assert path.name.isascii()
        assert "Phantom" not in path.name and len(path.name) < 120


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(ResourceError, match="no space left"):
        export(SIGNED, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResourceError, match="'out'"):
        export(SIGNED, tmp_path / "out")


def test_without_hard_links_it_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    export(SIGNED, tmp_path)
    second = export(SIGNED, tmp_path)
    assert second[0].stem.endswith("-2")
    assert len(list(tmp_path.iterdir())) == 4

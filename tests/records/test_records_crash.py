"""A writer that is killed loses nothing it acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.records import Records

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from records_desk import Desk, draft, accepted
from engine.records import Records
folder = Path(sys.argv[1]) / "dropped"
folder.mkdir(exist_ok=True)
records = Records.open(Path(sys.argv[1]) / "history")
desk = Desk(records, folder)
begin = records.search().total
for index in range(begin, begin + 10_000):
    sha256 = desk.filed(f"{index}.png")
    report = records.new_report(sha256, None, "", "findings")
    row = records.save_draft(report.id, draft(f"Draft {index}."), [f"Draft {index}."])
    print(report.id, "draft", flush=True)
    records.save_revision(report.id, accepted(row.sentences), based_on=1)
    records.sign(report.id, name="Dr. Reader", based_on=2)
    print(report.id, "signed", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_kill_minus_nine(tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    for round_ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, Path(__file__).parent], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        time.sleep(0.15 + 0.11 * round_)
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        told = [line.split() for line in lines if line.split()[1:] in (["draft"], ["signed"])]
        assert told, "the writer acknowledged nothing"
        acknowledged.update((report_id, state) for report_id, state in told)
        with Records.open(tmp_path / "history") as records:
            for report_id, state in acknowledged.items():
                detail = records.report(report_id)
                assert detail.drafts
                assert state == "draft" or records.verify_signature(report_id).ok
                assert records.image_file(detail.current.sha256).is_file()
            orphans = records.collect_orphans()
            assert len(orphans) <= 1
            assert records.doctor() == ()

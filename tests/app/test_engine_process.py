"""The viewer with the engine in a process of its own: what happens there never takes the viewer with it.

The process is real, the engine in it a stand-in that does what the indication tells it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pilot import PAGE, Pilot

from app.services import Filters, ModelHost, Workbench
from app.services.chosen import Chosen
from app.services.models import WAITING
from app.services.views import Screen
from engine.drafting import EngineProcess

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "drafting"))
import stand_in

PATIENCE = 120.0
USABLE = 10.0
"""Seconds after which the viewer must be of use again; generous, and promised."""


class Host(ModelHost):
    """Knows the process it has, so that it can be killed."""

    def __init__(self, folder: Path) -> None:
        self.loaded: list[EngineProcess] = []
        super().__init__(folder, load=self.stand_in)

    def stand_in(self, chosen: Chosen) -> EngineProcess:
        self.loaded.append(EngineProcess.load(chosen.path, engine=stand_in.NAME, cancelled=lambda: self._closed))
        return self.loaded[-1]


@pytest.fixture
def host(model: Path) -> Host:
    return Host(stand_in.make(model))


@pytest.fixture
def bench(home: Path, host: Host) -> Iterator[Workbench]:
    """A workbench that drafts with the stand-in."""
    with Workbench.open(home, host) as opened:
        yield opened
    assert all(gone(engine.pid) for engine in host.loaded)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def tell(pilot: Pilot, **what: object) -> None:
    """Say in the indication what the stand-in is to do."""
    pilot.act(lambda session: pilot.bench.reporting.set_context(session, json.dumps(what) if what else "", ""))


def text(pilot: Pilot) -> str:
    return str(pilot.screen.report.editor.get("text", ""))


def status(pilot: Pilot) -> str:
    return str(pilot.screen.report.editor.get("status", ""))


def ended(pilot: Pilot) -> Screen:
    return list(pilot.bench.watch(pilot.key, pilot.chosen))[-1]


def page(pilot: Pilot, name: str, drop: Path, **what: object) -> Pilot:
    """Another page with the same images."""
    other = Pilot(pilot.bench, pilot.model, name)
    other.drop(drop)
    tell(other, **what)
    return other


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_engine_leaves_the_viewer_usable_and_the_words_kept(
    pilot: Pilot, host: Host, pair: Path, other: Path
) -> None:
    pilot.drop(pair)
    second = Pilot(pilot.bench, pilot.model, "second-page")
    second.drop(other)
    tell(pilot, wait_after=4)
    pilot.start_draft()
    wait_for(lambda: text(pilot) == "The heart is enlarged.")
    began = time.monotonic()
    os.kill(host.loaded[0].pid, signal.SIGKILL)
    screen = ended(pilot)
    assert second.write("Normal chest.").report.editor["sentences"] and second.sign().report.signed
    assert time.monotonic() - began < USABLE
    assert not screen.report.drafting and screen.report.can_draft
    assert [notice for notice in pilot.notices() if "stopped unexpectedly; probably not enough memory" in notice]
    assert pilot.session.report is not None
    draft = pilot.session.report.drafts[0]
    assert (draft.text, draft.finished) == ("The heart is enlarged.", "cancelled")
    assert draft.prompt and draft.model_sha256 == host.loaded[0].info.sha256
    assert all(sentence["flag"] for sentence in screen.report.editor["sentences"])
    pilot.accept_all()
    assert not pilot.sign().report.signed and "stopped" in pilot.notices()[-1]
    tell(pilot)
    assert pilot.draft(sure=True).report.editor["sentences"][-1]["text"] == "No pneumothorax is seen."
    pilot.accept_all()
    assert pilot.sign().report.signed, "a new draft is as good as any"
    assert len(host.loaded) == 1 and len(stand_in.starts(Path(pilot.model))) == 2


def test_who_waits_sees_the_place_and_can_leave(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    tell(pilot, wait_after=2)
    second, third = page(pilot, "second", pair), page(pilot, "third", pair)
    pilot.start_draft()
    wait_for(lambda: text(pilot) == "The heart")
    second.start_draft()
    third.start_draft()
    assert (status(second), status(third)) == ("Waiting: one request comes first", "Waiting: 2 requests come first")
    second.act(pilot.bench.reporting.stop)
    assert not second.screen.report.drafting, "at once"
    assert "stopped before it began" in second.notices()[-1]
    assert status(third) == "Waiting: one request comes first"
    pilot.act(pilot.bench.reporting.stop)
    assert ended(third).report.editor["sentences"]
    for reader, drafts in ((pilot, 1), (second, 0), (third, 1)):
        report = reader.session.report
        assert report is not None and len(pilot.bench.records.report(report.report.id).drafts) == drafts
    assert second.draft().report.editor["sentences"]


def test_the_queue_has_an_end(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    tell(pilot, wait_after=1)
    pages = [pilot, *(page(pilot, f"page-{n}", pair) for n in range(1, WAITING))]
    for one in pages:
        assert one.start_draft().report.drafting
    late = page(pilot, "late", pair)
    assert not late.start_draft().report.drafting and "Too many" in late.notices()[-1]
    pages[1].act(pilot.bench.reporting.stop)
    assert late.start_draft().report.drafting, "a place that was left is free"
    pilot.act(pilot.bench.reporting.stop)
    assert ended(late).report.editor["sentences"]


def test_stopped_while_the_model_is_loaded(pilot: Pilot, pair: Path) -> None:
    (Path(pilot.model) / "load").write_text("hang")
    pilot.drop(pair)
    pilot.start_draft()
    wait_for(lambda: pilot.bench.models.status(pilot.chosen).state == "loading")
    pilot.act(pilot.bench.reporting.stop)
    assert not pilot.screen.report.drafting and "stopped before it began" in pilot.notices()[-1]


@pytest.mark.parametrize("fate", ["hang", ""])
def test_the_viewer_ends_whatever_the_engine_does(home: Path, host: Host, pair: Path, model: Path, fate: str) -> None:
    (model / "load").write_text(fate)
    with Workbench.open(home, host) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        tell(pilot, hang_after=3)
        pilot.start_draft()
        wait_for(lambda: text(pilot) == "The heart is" if not fate else (model / "starts").is_file())
    assert not host._worker.is_alive() and all(map(gone, stand_in.starts(model)))
    with Workbench.open(home, Host(model)) as bench:
        row = bench.history(Filters()).rows[0]
        drafts = [(draft.text, draft.finished) for draft in bench.records.report(row.report_id).drafts]
    assert drafts == ([] if fate else [("The heart is", "cancelled")])


def test_a_model_whose_files_have_changed_is_said(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    (Path(pilot.model) / "words").write_text("Another text.")
    screen = pilot.draft(sure=True)
    assert [sentence["text"] for sentence in screen.report.editor["sentences"]] == ["Another text."]
    assert any("files have changed" in line.text for line in screen.report.lines)
    assert not any("files have changed" in line.text for line in pilot.draft(sure=True).report.lines)


def test_another_model_takes_the_place_of_the_first(
    pilot: Pilot, host: Host, pair: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot.drop(pair)
    pilot.draft()
    monkeypatch.setattr("engine.paths.models", lambda: model.parent)
    folder = stand_in.make(model.parent / "second", "The second model.")
    (folder / "config.json").write_text('{"model_type": "libra"}')
    pilot.model = str(folder)
    assert pilot.draft(sure=True).report.editor["sentences"][0]["text"] == "The second model."
    assert [gone(engine.pid) for engine in host.loaded] == [True, False]


def test_a_draft_is_kept_when_its_page_is_gone_and_the_engine_dies(pilot: Pilot, host: Host, pair: Path) -> None:
    pilot.drop(pair)
    tell(pilot, signal=11, after=3)
    watching = threading.Thread(target=lambda: ended(pilot))
    pilot.start_draft()
    watching.start()
    watching.join(PATIENCE)
    row = pilot.bench.history(Filters()).rows[0]
    assert [draft.finished for draft in pilot.bench.records.report(row.report_id).drafts] == ["cancelled"]
    assert pilot.bench.sessions.get(PAGE).job is None

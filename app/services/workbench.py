"""Everything the viewer can do, in one place: the history, the images, the models and the open pages.

The pages call one method per event and get a frozen view back; they never see a record or an engine. ``act`` is the one
frame around every event: it holds the session's lock, turns an error into a notice, and returns the screen.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import engine
from app import errors
from app.services import plans
from app.services import screen as screens
from app.services.chosen import Chosen
from app.services.conversing import Conversing
from app.services.images import ImageStore
from app.services.models import ModelHost
from app.services.opening import Opening, Ticket
from app.services.plans import Plans
from app.services.reporting import Reporting
from app.services.searching import Filters, Searching
from app.services.sessions import Sessions, notify, turn_to
from app.services.state import Session
from app.services.views import HistoryView, Line, Screen
from engine import paths
from engine.records import Records
from engine.remote.address import is_address

log = logging.getLogger(__name__)

PHANTOMS = 100_000
DEFAULT = Chosen()


class Workbench:
    """Made by ``open``; one per process, since the data folder belongs to one process at a time."""

    def __init__(self, records: Records, home: Path, models: ModelHost) -> None:
        self.records = records
        self.sessions = Sessions()
        self.images = ImageStore(records.image_file)
        self.models = models
        self.plans = Plans()
        self.reporting = Reporting(records, self.models, home / "exports")
        self.conversing = Conversing(records, self.models, self.reporting)
        self.opening = Opening(records, self.images, self.reporting)
        self.searching = Searching(records, self.opening, self.reporting)

    @classmethod
    @contextmanager
    def open(cls, home: Path, models: ModelHost) -> Iterator[Workbench]:
        """Open the history in ``home``, and close it in the end; drafts that run then are stopped and kept.

        Raises RecordsError when another Interval uses the folder or the history is damaged.
        """
        with Records.open(home, application=f"Interval {engine.__version__}") as records:
            bench = cls(records, home, models)
            records.backup_if_due()
            try:
                yield bench
            finally:
                bench.stop_all()

    def act(self, key: str, event: Callable[[Session], object], model: Chosen = DEFAULT, topic: str = "") -> Screen:
        """Do one event of the page ``key`` and return its screen. An error becomes a notice; nothing is raised.

        ``topic`` is what the event is about, where what was said about that before is to go.
        """
        session = self.sessions.get(key)
        with session.lock:
            if topic:
                turn_to(session, topic)
            try:
                event(session)
            except Exception as error:
                notify(session, errors.sentence(error))
            return self._screen(session, model)

    def screen(self, key: str, model: Chosen = DEFAULT) -> Screen:
        """The screen of the page as it stands."""
        session = self.sessions.get(key)
        with session.lock:
            return self._screen(session, model)

    def _screen(self, session: Session, model: Chosen) -> Screen:
        self.reporting.settle(session)
        chosen = self.models.meant(model)
        return screens.screen(session, self.models, chosen, self.conversing.view(session, chosen))

    def watch(self, key: str, model: Chosen = DEFAULT) -> Iterator[Screen]:
        """The screens of a running draft, one at least, until its result is shown. Holds no lock while it waits."""
        session = self.sessions.get(key)
        for _ in self.reporting.watch(session):
            yield self.screen(key, model)
        yield self.screen(key, model)

    def follow(self, key: str, model: Chosen = DEFAULT) -> Iterator[Screen]:
        """As ``watch``, for the answer about the comparison on the screen."""
        session = self.sessions.get(key)
        for _ in self.conversing.watch(session):
            yield self.screen(key, model)
        yield self.screen(key, model)

    def plan(self, model: Chosen, beams: int) -> Iterator[Line | None]:
        """What a draft with this model takes and what there is: at once if that is known, else None first."""
        chosen = self.models.meant(model)
        if is_address(chosen.path):
            server = self.models.servers.find(chosen.path)
            yield plans.elsewhere(server.address) if server is not None else None
            return
        reading = self.plans.known(chosen.path)
        if reading is None:
            yield None
            reading = self.plans.reading(chosen.path)
        if reading is not None:
            there = plans.free(reading, self.models.held())
            yield plans.line(reading, chosen, beams, there, self.models.running(chosen))

    def history(self, filters: Filters) -> HistoryView:
        """A page of the history; an error becomes its message."""
        try:
            return self.searching.search(filters)
        except Exception as error:
            return HistoryView((), 0, 0, 1, errors.sentence(error))

    def dismiss(self, session: Session, notice: str) -> None:
        """The reader has read a notice; "" dismisses all of them."""
        session.notices = tuple(one for one in session.notices if notice and one.id != notice)

    def phantom(self, session: Session) -> None:
        """Open a synthetic patient with a prior, as if the files had been dropped: another one each time."""
        from engine.datasets import phantoms

        seeds = iter(lambda: secrets.randbelow(PHANTOMS), None)
        # The test split: patients, ranges and phrases that the demonstration model was not trained on.
        case = next(case for seed in seeds if (case := phantoms.sample_case(seed, split="test")).prior is not None)
        with paths.scratch("phantom") as folder:
            phantoms.write_case(folder, case)
            ticket = self.opening.take_in([folder / "studies"])
        self.opening.open(session, ticket.id)
        if session.case is not None and session.case.patient.id == case.person.id:
            session.indication = case.indication

    def take_in(self, dropped: list[Path]) -> Ticket:
        """Read a drop; see ``Opening.take_in``."""
        return self.opening.take_in(dropped)

    def exported(self, ticket: str) -> Path:
        """The file behind a download address; see ``Reporting.exported``."""
        return self.reporting.exported(ticket)

    def stop_all(self) -> None:
        """Stop what is being written; what was written by then is kept."""
        for session in self.sessions.all():
            self.reporting.stop(session)
        self.conversing.stop_all()
        self.plans.close()
        self.models.close()

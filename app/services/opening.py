"""What is on the screen: opening drops, choosing the pair, saying who a plain picture shows. One method per event.

A patient comes onto the screen only by the reader's own act: a drop of another patient's files is a question first.
Knows no widget.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from app.services import cases, wording
from app.services.images import ImageStore
from app.services.reporting import Reporting
from app.services.review import clean
from app.services.sessions import notify
from app.services.state import Case, Option, Question, Session
from engine.errors import NotFound, UsageError
from engine.imaging import intake
from engine.imaging.reader import Reader
from engine.imaging.types import Image, Patient, Study, View
from engine.paths import scratch
from engine.records import Records, StoredImage, StoredPatient

log = logging.getLogger(__name__)

TICKETS = 4
ADDED = "Images were added; the pair on the screen has not changed. Choose others under Images."
ADDED_UNKNOWN = "A picture without a patient was added. Say under Images what it is."
STORED_PRIORS = 6
"""How many earlier images of a patient are read back from the history to be offered as priors."""


@dataclass(frozen=True)
class Ticket:
    """A drop that has been read and waits for its page."""

    id: str
    studies: int
    problems: int


class Opening:
    """``reporting`` is told when the pair on the screen changes."""

    def __init__(self, records: Records, images: ImageStore, reporting: Reporting) -> None:
        self.records = records
        self.images = images
        self.reporting = reporting
        self._lock = threading.Lock()
        self._arrived: OrderedDict[str, intake.Intake] = OrderedDict()

    # -- a drop ---------------------------------------------------------------------------------------------------

    def take_in(self, paths: Sequence[Path]) -> Ticket:
        """Read dropped files, keep the images in the history, and wait for the page to ask for them."""
        with scratch("members") as folder:
            found = intake.read(paths, keep=folder)
            for study in found.studies:
                self.records.add_study(study, found.files)
                for image in study.images:
                    self.images.add(image)
        ticket = Ticket(secrets.token_urlsafe(18), len(found.studies), len(found.problems))
        with self._lock:
            self._arrived[ticket.id] = found
            while len(self._arrived) > TICKETS:
                self._arrived.popitem(last=False)
        return ticket

    def open(self, session: Session, ticket: str) -> None:
        """Show what was dropped: problems as notices, the images as a case or as a question."""
        with self._lock:
            found = self._arrived.pop(ticket, None)
        if found is None:
            raise NotFound("This drop is not here any more. Drop the files again.")
        for problem in found.problems:
            notify(session, problem.message)
        groups = cases.group(found.studies)
        if not groups:
            if not found.problems:
                notify(session, "The drop held no image.")
            return
        if session.case is None:
            if len(groups) == 1:
                self.begin(session, groups[0])
            else:
                self._ask(session, "The files belong to several patients. Which one do you want to open?", groups)
            return
        mine = [group for group in groups if cases.same_patient(group[0].patient, session.case.patient)]
        other = [group for group in groups if group not in mine]
        if not session.case.patient.id:
            # Nobody on the screen is known yet: plain pictures join plain pictures, everything else is asked.
            mine = [group for group in groups if not group[0].patient.id]
            other = [group for group in groups if group[0].patient.id]
        for group in mine:
            self._join(session, session.case, group)
        unknown = [group for group in other if not group[0].patient.id]
        if unknown and len(other) == 1:
            self._join(session, session.case, unknown[0], ADDED_UNKNOWN)
        elif other:
            text = "These files are of another patient. The report on the screen stays in the history."
            self._ask(session, text, other)

    def _ask(self, session: Session, text: str, groups: Sequence[tuple[Study, ...]]) -> None:
        options = [Option(str(number), f"Open {self._label(group)}") for number, group in enumerate(groups)]
        keep = Option(
            "keep", "Open none" if session.case is None else f"Keep {wording.patient_short(session.case.patient)}"
        )
        session.question = Question(secrets.token_hex(4), "patient", text, (*options, keep), groups=tuple(groups))

    @staticmethod
    def _label(group: tuple[Study, ...]) -> str:
        images = sum(len(study.images) for study in group)
        return f"{wording.patient_short(group[0].patient)}, {images} image{'s' if images != 1 else ''}"

    def begin(self, session: Session, studies: tuple[Study, ...]) -> None:
        """A new case with these studies and, of a known patient, the earlier ones of the history."""
        self.show(
            session, self._guarded(session, lambda: cases.begin(self.with_stored(session, studies)), Case(studies))
        )
        self.reporting.clear(session)
        session.indication = session.history = ""

    def _join(self, session: Session, case: Case, studies: tuple[Study, ...], words: str = ADDED) -> None:
        """More images of the patient on the screen: the pair is chosen anew unless a report has been begun on it."""
        merged = cases.merge(case.studies, studies)
        fresh = cases.begin(merged)
        begun = session.report is not None and session.report.newest is not None
        same = fresh.current is not None and case.current is not None and fresh.current.sha256 == case.current.sha256
        if not begun and (same or case.current is None or fresh.current is not None) and case.prior is None:
            self.show(session, replace(fresh, confirmed=case.confirmed))
            return
        kept = replace(case, studies=merged)
        session.case = replace(kept, older=cases.older_than(kept, kept.prior or kept.current)) if kept.current else kept
        notify(session, words, "info")

    def with_stored(self, session: Session, studies: tuple[Study, ...]) -> tuple[Study, ...]:
        """The studies and what the history holds of the same patient; one that cannot be read back is named."""
        who = studies[0].patient
        if not who.id:
            return studies
        here = {image.sha256 for study in studies for image in study.images}
        earlier = [
            row for stored in self.records.stored_studies(who) for row in stored.images if row.sha256 not in here
        ]
        wanted = {row.sha256 for row in earlier[:STORED_PRIORS]}
        found: list[Study] = []
        with Reader() as reader:
            for stored in self.records.stored_studies(who):
                images: list[Image] = []
                for row in stored.images:
                    if row.sha256 not in wanted:
                        continue
                    try:
                        images.append(self.read_back(row, stored.patient, reader))
                    except Exception as error:
                        log.warning("a stored image was not read back: %s", type(error).__name__)
                        words = "An earlier image of this patient could not be read back from the history."
                        notify(session, words, "warning")
                if images:
                    found.append(
                        Study(
                            stored.uid,
                            who,
                            stored.acquired,
                            stored.date_reliable,
                            stored.accession,
                            stored.description,
                            tuple(images),
                        )
                    )
        return cases.merge(found, studies)

    # -- the pair -------------------------------------------------------------------------------------------------

    def choose(self, session: Session, sha256: str, role: str) -> None:
        """Make an image of the case the current one or the prior; role "none" takes the prior away."""
        case = self._case(session)
        image = case.image(sha256)
        if role == "none":
            self.show(session, cases.with_prior(case, None))
            return
        if image is None or role not in ("current", "prior"):
            raise NotFound("This image is not part of the case on the screen.")
        if role == "current":
            if case.prior is not None and case.prior.sha256 == sha256:
                self.show(session, self._guarded(session, lambda: cases.swap(case), case))
            else:
                self.show(
                    session,
                    self._guarded(
                        session,
                        lambda: cases.with_current(case, image),
                        replace(case, current=image, prior=None, older=(), warnings=(), reason="No prior chosen yet."),
                    ),
                )
            return
        self.show(session, self._guarded(session, lambda: cases.with_prior(case, image), case))

    def older(self, session: Session) -> None:
        """Step to the next older prior."""
        case = self._case(session)
        self.show(session, self._guarded(session, lambda: cases.step_older(case), case))

    def swap(self, session: Session) -> None:
        """Current and prior change places."""
        case = self._case(session)
        self.show(session, self._guarded(session, lambda: cases.swap(case), case))

    def answer(self, session: Session, question_id: str, key: str) -> str:
        """The reader's answer to a question; returns "draft" when a draft is to be made after all."""
        question = session.question
        if question is None or question.id != question_id or key not in {option.key for option in question.options}:
            return ""
        session.question = None
        if question.about == "redraft":
            return key
        if question.about == "compare":
            if key == "yes" and question.image is not None:
                self.show(session, cases.confirm(self._case(session), question.image))
            return ""
        if key != "keep":
            self.begin(session, question.groups[int(key)])
        return ""

    def _guarded(self, session: Session, change: Callable[[], Case], otherwise: Case) -> Case:
        """The changed case, or ``otherwise`` with a question where only the reader knows if images belong together."""
        try:
            return change()
        except cases.NeedsConfirmation as unknown:
            session.question = Question(
                secrets.token_hex(4),
                "compare",
                " ".join((*unknown.doubts, "Compare them only if you know that both are of the same patient.")),
                (Option("yes", "Same patient: compare"), Option("no", "Do not compare")),
                image=unknown.prior,
            )
            return otherwise

    def show(self, session: Session, case: Case) -> None:
        """Put the case on the screen. A report on another current image leaves it; it stays in the history."""
        before = session.case.current if session.case is not None else None
        written_on = session.report.report.current_sha256 if session.report is not None else before and before.sha256
        session.case = case
        if written_on != (case.current and case.current.sha256):
            self.reporting.clear(session)

    @staticmethod
    def _case(session: Session) -> Case:
        if session.case is None:
            raise UsageError("Open a radiograph first.")
        return session.case

    # -- plain pictures -------------------------------------------------------------------------------------------

    def identify(self, session: Session, sent: object) -> None:
        """What the reader says about pictures that carry no patient: who, when, which view, which is current.

        ``sent`` holds ``patient`` (id, name, birth_date, sex; an empty id leaves the pictures not identified) and
        ``images`` (sha256, date, view, role). Raises UsageError with one sentence for what cannot be.
        """
        case, form = self._case(session), _mapping(sent)
        who = _patient(_mapping(form.get("patient")))
        if cases.same_patient(who, case.patient):
            who = case.patient
        entries = form.get("images")
        if not isinstance(entries, list):
            raise UsageError("The form arrived damaged; reload the page.")
        roles: dict[str, str] = {}
        described: list[Image] = []
        for entry in map(_mapping, entries):
            image = case.image(str(entry.get("sha256", "")))
            if image is None or image.patient.id:
                raise NotFound("This picture is not one that can be described here.")
            acquired = _when(entry.get("date"))
            if image.acquired is not None and (acquired is None or acquired.date() == image.acquired.date()):
                acquired = image.acquired  # the file knows the time of day as well
            view = _view(entry.get("view"))
            described.append(
                intake.describe(image, patient=who if who.id else image.patient, acquired=acquired, view=view)
            )
            roles[image.sha256] = str(entry.get("role", ""))
        if sum(role == "current" for role in roles.values()) > 1 or sum(role == "prior" for role in roles.values()) > 1:
            raise UsageError("One picture is the current one, and one at most the prior.")
        report = session.report
        self._describe(session, case, tuple(described), who)
        changed = self._case(session)
        chosen = {role: changed.image(sha) for sha, role in roles.items() if role in ("current", "prior")}
        current, prior = chosen.get("current") or changed.current, chosen.get("prior")
        if current is not None:
            paired = self._guarded(
                session, lambda: cases.with_current(changed, current), replace(changed, current=current, prior=None)
            )
            if prior is not None:
                if not (current.patient.id or prior.patient.id):
                    # Naming one unknown picture as the prior of the other is saying that both are of one person.
                    paired = replace(paired, confirmed=paired.confirmed | {frozenset({current.sha256, prior.sha256})})
                paired = self._guarded(session, lambda: cases.with_prior(paired, prior), paired)
            self.show(session, paired)
        if report is not None and session.report is not None:
            self.reporting.reload(session)

    def _describe(self, session: Session, case: Case, described: tuple[Image, ...], who: Patient) -> None:
        """Replace the described pictures in the case, in the history and in what the viewport asks for."""
        if who.id and case.patient.id and not cases.same_patient(who, case.patient):
            raise cases.mismatch(case.patient)
        new = {image.sha256: image for image in described}
        studies = []
        for study in case.studies:
            images = tuple(new.get(image.sha256, image) for image in study.images)
            if images != study.images:
                first = images[0]
                study = replace(
                    study,
                    patient=first.patient,
                    acquired=first.acquired,
                    date_reliable=first.date_reliable,
                    images=images,
                )
                self.records.add_study(study, {image.sha256: self.records.image_file(image.sha256) for image in images})
            studies.append(study)
        for image in described:
            self.images.add(image)
        current, prior = (
            new.get(image.sha256, image) if image is not None else None for image in (case.current, case.prior)
        )
        session.case = replace(case, studies=tuple(studies), current=current, prior=prior)

    def read_back(self, row: StoredImage, who: StoredPatient, reader: Reader | None = None) -> Image:
        """An image of the history, with what was said about it, known to this process from now on."""
        try:
            return self.images.get(row.sha256)
        except NotFound:
            pass
        image = replace(intake.read_image(self.records.image_file(row.sha256), reader), source=row.source)
        if not image.patient.id:
            patient = Patient(who.id, who.issuer, who.name, who.birth_date, who.sex)
            image = intake.describe(image, patient=patient, acquired=row.acquired, view=View(row.view or "UNKNOWN"))
        self.images.add(image)
        return image


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UsageError("The form arrived damaged; reload the page.")
    return value


def _patient(entry: Mapping[str, object]) -> Patient:
    identifier, name = clean(entry.get("id", "")), clean(entry.get("name", ""))
    if name and not identifier:
        raise UsageError("Give the patient's ID as well: a name alone does not identify anybody.")
    sex = clean(entry.get("sex", "")).upper()
    if sex not in ("", "F", "M", "O"):
        raise UsageError("Sex is F, M, O or left empty.")
    born = clean(entry.get("birth_date", ""))
    try:
        birth = date.fromisoformat(born) if born else None
    except ValueError as cause:
        raise UsageError("The date of birth is written as year-month-day, for example 1954-03-02.") from cause
    return Patient(identifier[:64], "", name[:128], birth, sex)


def _when(value: object) -> datetime | None:
    text = clean(value or "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as cause:
        raise UsageError("The date of an image is written as year-month-day, for example 2026-03-02.") from cause
    if moment.replace(tzinfo=None) > datetime.now().replace(hour=23, minute=59):
        raise UsageError("The date of an image lies in the future.")
    return moment.replace(tzinfo=None)


def _view(value: object) -> View:
    text = clean(value or "").upper()
    if text in ("", View.UNKNOWN.value):
        return View.UNKNOWN
    try:
        return View(text)
    except ValueError as cause:
        raise UsageError("The view is PA, AP or lateral.") from cause

"""What the history keeps, as frozen values.

Times are aware datetimes in UTC. ``acquired`` alone is the scanner's own clock as the file gives it (usually without a
zone). Ids are ULIDs, a patient's is called its key, an image's is the sha256 of its file. An object that exists is
valid; rows and JSON are turned into these in ``rows.py``. Nothing here opens a file or knows how a draft is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from engine.errors import UsageError

Origin = Literal["ai", "edited", "human"]
Status = Literal["unreviewed", "accepted", "rejected"]
State = Literal["draft", "reviewed", "signed"]
Outcome = Literal["success", "refused", "failure"]
Scalar = str | int | float | bool | None

ORIGINS: tuple[Origin, ...] = ("ai", "edited", "human")
STATUSES: tuple[Status, ...] = ("unreviewed", "accepted", "rejected")
STATES: tuple[State, ...] = ("draft", "reviewed", "signed")

FINISHED = ("stop", "length", "cancelled")

MEANING = "I have reviewed and approve this report"


@dataclass(frozen=True)
class StoredPatient:
    """A patient of this data folder. ``id`` "" means that nobody has said who it is (a plain picture)."""

    key: str
    issuer: str
    id: str
    name: str
    birth_date: date | None
    sex: str

    @property
    def known(self) -> bool:
        """Whether the patient can be matched with other studies at all: by id, never by name."""
        return bool(self.id)


@dataclass(frozen=True)
class StoredImage:
    """An image of the history: what is needed to list it, to offer it as a prior and to read it again.

    ``path`` is the stored copy of the file; ``Records.image_file`` gives the same path after checking it.
    """

    sha256: str
    study: str
    source: str
    format: str
    sop_uid: str
    modality: str
    view: str
    view_basis: str
    laterality: str
    acquired: datetime | None
    acquired_basis: str
    date_reliable: bool
    rows: int
    columns: int
    path: Path


@dataclass(frozen=True)
class StoredStudy:
    """A study of the history with its images."""

    key: str
    uid: str
    patient: StoredPatient
    acquired: datetime | None
    date_reliable: bool
    accession: str
    description: str
    images: tuple[StoredImage, ...]


@dataclass(frozen=True)
class Sentence:
    """One sentence of a revision. ``original`` holds the model's words where ``origin`` is "edited", else None.

    A human sentence is accepted by being written. Raises UsageError for a combination that cannot be.
    """

    id: str
    text: str
    origin: Origin
    status: Status
    original: str | None = None

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS or self.status not in STATUSES or not self.id:
            raise UsageError("A sentence of the report has an unknown origin or review status; reload the report.")
        if (self.origin == "edited") != (self.original is not None):
            raise UsageError("An edited sentence keeps the model's words, and no other sentence does.")
        if self.origin == "human" and self.status == "unreviewed":
            raise UsageError("A sentence written by a person counts as accepted when it is written.")

    @property
    def decided(self) -> bool:
        """Whether somebody has accepted or rejected the sentence."""
        return self.status != "unreviewed"


@dataclass(frozen=True)
class NewDraft:
    """What the engine made, ready to be kept. ``settings``, ``checks`` and ``timings`` must be JSON values.

    ``finished`` is "stop", "length" or "cancelled"; sentences of a cancelled draft can be read, but not signed as
    they are.
    """

    text: str
    token_ids: Sequence[int]
    model_name: str
    model_sha256: str
    settings: Mapping[str, object]
    checks: Sequence[Mapping[str, object]]
    prompt: str
    finished: str
    demonstration: bool
    timings: Mapping[str, object]

    @property
    def made_by(self) -> str:
        """What the log calls the model: the hash of its weights, or the server whose weights are not known."""
        return self.model_sha256 or str(self.settings.get("served", ""))


@dataclass(frozen=True)
class DraftRow:
    """A kept draft. ``number`` counts the drafts of a report from 1; ``revision`` is the one that shows it first.

    ``sentences`` are those of that revision, with their ids.
    """

    id: str
    report_id: str
    number: int
    revision: int
    created_at: datetime
    text: str
    token_ids: tuple[int, ...]
    sentences: tuple[Sentence, ...]
    model_name: str
    model_sha256: str
    prompt: str
    prompt_sha256: str
    settings: Mapping[str, object]
    checks: tuple[Mapping[str, object], ...]
    timings: Mapping[str, object]
    finished: str
    demonstration: bool

    @property
    def answer(self) -> str:
        """Id of the answer these sentences were put into the report from; "" for a draft of the report itself."""
        return str(self.settings.get("answer", ""))


@dataclass(frozen=True)
class AnswerRow:
    """A question about a comparison, and what a model answered. ``finished`` is "cancelled" for one cut short."""

    id: str
    patient_key: str
    current_sha256: str
    prior_sha256: str | None
    created_at: datetime
    question: str
    text: str
    token_ids: tuple[int, ...]
    model_name: str
    model_sha256: str
    prompt: str
    settings: Mapping[str, object]
    checks: tuple[Mapping[str, object], ...]
    timings: Mapping[str, object]
    finished: str
    demonstration: bool

    @property
    def whole(self) -> bool:
        """Whether it came to its end and says something."""
        return self.finished != "cancelled" and bool(self.text.strip())


@dataclass(frozen=True)
class Revision:
    """The sentences of a report at one moment. Revisions are only ever added; ``number`` counts from 1.

    ``draft_id`` names the draft that this revision shows for the first time, or is None for a person's edit.
    """

    report_id: str
    number: int
    created_at: datetime
    who: str
    draft_id: str | None
    indication: str
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        """The report text: accepted sentences only."""
        return joined(self.sentences)

    @property
    def unreviewed(self) -> int:
        """How many sentences nobody has decided on."""
        return sum(not sentence.decided for sentence in self.sentences)


@dataclass(frozen=True)
class Signature:
    """Who approved which words when. ``sha256`` is over the canonical JSON of the signed content."""

    report_id: str
    revision: int
    name: str
    meaning: str
    signed_at: datetime
    sha256: str
    text: str


@dataclass(frozen=True)
class Event:
    """One line of the event log, after FHIR AuditEvent: who did what to which record when, with which outcome.

    ``detail`` holds ids, hashes and numbers, never patient data. ``hash`` covers ``previous`` and every other field.
    """

    seq: int
    at: datetime
    who: str
    action: str
    kind: str
    subject_id: str
    outcome: Outcome
    source: str
    detail: Mapping[str, Scalar]
    previous: str
    hash: str


@dataclass(frozen=True)
class Report:
    """A report. ``revision`` is the number of its newest revision (0: nothing yet), the ``based_on`` of the next."""

    id: str
    state: State
    patient_key: str
    current_sha256: str
    current_study: str
    prior_sha256: str | None
    prior_study: str | None
    indication: str
    section: str
    revision: int
    demonstration: bool
    created_at: datetime
    updated_at: datetime
    signed_at: datetime | None


@dataclass(frozen=True)
class ReportDetail:
    """A report with all that belongs to it. Of a signed report, patient and images are as they were signed."""

    report: Report
    patient: StoredPatient
    current: StoredImage
    prior: StoredImage | None
    accession: str
    drafts: tuple[DraftRow, ...]
    revisions: tuple[Revision, ...]
    signature: Signature | None
    events: tuple[Event, ...]

    @property
    def newest(self) -> Revision | None:
        """The newest revision, or None before the first draft or sentence."""
        return self.revisions[-1] if self.revisions else None


@dataclass(frozen=True)
class Summary:
    """One row of the history list. ``text`` is the beginning of the report text, on one line."""

    report_id: str
    state: State
    patient_key: str
    patient_name: str
    patient_id: str
    accession: str
    study_date: datetime | None
    view: str
    has_prior: bool
    demonstration: bool
    indication: str
    text: str
    updated_at: datetime
    signed_at: datetime | None
    signer: str


@dataclass(frozen=True)
class Page:
    """Rows of a search, newest first, and how many there are in all."""

    rows: tuple[Summary, ...]
    total: int


@dataclass(frozen=True)
class LogCheck:
    """The event log, checked. ``first_bad`` is the number of the first row that is wrong; ``head`` the last hash."""

    ok: bool
    rows: int
    first_bad: int | None
    head: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class SignatureCheck:
    """Whether a signed report is still what was signed, and if not, what differs."""

    ok: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """One thing the doctor found: which check, in one sentence what is wrong, and the file or record it concerns."""

    check: str
    message: str
    subject: str = ""


def joined(sentences: Sequence[Sentence]) -> str:
    """The report text that ``sentences`` make: the accepted ones in order, one blank between two."""
    return " ".join(sentence.text for sentence in sentences if sentence.status == "accepted")

"""What the server remembers of one open page: the case on the screen, the report, what still has to be said.

Values are frozen and replaced as a whole; ``Session`` alone changes, under its own lock. Nothing here does anything.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from engine.imaging.types import Image, Patient, Study
from engine.records import ReportDetail

if TYPE_CHECKING:
    from app.services.jobs import DraftJob

Kind = Literal["info", "warning", "problem"]

NUMBERS = itertools.count(int(time.time() * 1000))
"""Numbers that only grow, from one start of the program to the next as well: of two, the larger one is the newer."""


@dataclass(frozen=True)
class Notice:
    """One sentence to the reader that stays until dismissed, or until the reader does the same kind of thing again.

    ``topic`` is that kind: "open", "pair", "report" or "ask".
    """

    id: str
    text: str
    kind: Kind
    topic: str


@dataclass(frozen=True)
class Option:
    """One answer to a question."""

    key: str
    label: str


@dataclass(frozen=True, eq=False)
class Question:
    """Something that only the reader may decide. ``about`` says what for, ``studies`` and ``image`` on what."""

    id: str
    about: Literal["patient", "compare", "redraft"]
    text: str
    options: tuple[Option, ...]
    groups: tuple[tuple[Study, ...], ...] = ()
    image: Image | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """The patient on the screen: every image at hand, and which two are compared.

    ``reason`` says in words why this prior; ``older`` are the priors that could still be stepped to, newest first;
    ``confirmed`` holds pairs of images (by hash) of unknown patients that the reader has said are of one person.
    """

    studies: tuple[Study, ...]
    current: Image | None = None
    prior: Image | None = None
    reason: str = ""
    older: tuple[Image, ...] = ()
    warnings: tuple[str, ...] = ()
    confirmed: frozenset[frozenset[str]] = frozenset()

    @property
    def images(self) -> tuple[Image, ...]:
        """Every image of the case, study by study, none twice."""
        seen: dict[str, Image] = {}
        for study in self.studies:
            for image in study.images:
                seen.setdefault(image.sha256, image)
        return tuple(seen.values())

    def image(self, sha256: str) -> Image | None:
        """The image of the case with this hash."""
        return next((image for image in self.images if image.sha256 == sha256), None)

    @property
    def patient(self) -> Patient:
        """Whose case it is: of the current image, else of the first; an unknown patient is an empty one."""
        image = self.current or next(iter(self.images), None)
        return image.patient if image is not None else Patient()


@dataclass(frozen=True)
class Exported:
    """A file the reader may download: its name and the ticket in its address."""

    name: str
    ticket: str


@dataclass
class Session:
    """One open page. Whoever reads or changes it holds ``lock``.

    ``sheet`` is another number whenever another report, or another current image to write one on, comes onto the
    screen: what a page has done on one sheet must never reach the next.
    """

    key: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    case: Case | None = None
    report: ReportDetail | None = None
    indication: str = ""
    history: str = ""
    notices: tuple[Notice, ...] = ()
    question: Question | None = None
    job: DraftJob | None = None
    sheet: int = field(default_factory=NUMBERS.__next__)
    edit_number: int = 0
    topic: str = "open"
    exports: tuple[Exported, ...] = ()
    used_at: float = 0.0

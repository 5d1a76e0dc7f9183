"""A report as it leaves the house: the facts a page prints, and the sentences made from them.

Everything is a value; an object that exists is printable. Text is cleaned here, once: control characters and the marks
that reverse the direction of writing are dropped, so that no name can disguise itself. Knows no layout and no file.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from engine.errors import UsageError
from engine.remote.address import provenance
from engine.reports import labels
from engine.reports.language import joined

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_NUMBERED = re.compile(r"\d{1,2}(?:[.)]\s|[.\u3001](?!\d))")
_DIRECTION = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


@dataclass(frozen=True)
class Provenance:
    """How the text came about.

    Hashes are hexadecimal sha256. ``image_sha256`` holds (role, hash), role "current" or "prior"; ``sentences`` holds
    (kind, count) as ("AI unchanged", 4), ("AI edited", 1), ("human", 2); ``edit_distance`` counts characters between
    the draft and the text. ``served`` is the address of the server that ran the model, whose weights have no hash here;
    ``language`` names the one the draft was asked for in, "" where that was not kept.
    """

    model_name: str
    model_sha256: str
    prompt_sha256: str
    settings: str
    image_sha256: tuple[tuple[str, str], ...]
    application: str
    sentences: tuple[tuple[str, int], ...]
    edit_distance: int
    served: str = ""
    language: str = ""

    def rows(self) -> tuple[tuple[str, str], ...]:
        """(label, value) lines in the order they are printed, cleaned."""
        counted = ", ".join(f"{count} {kind}" for kind, count in self.sentences) or "none"
        images = [(f"{role} image".capitalize(), f"sha256 {digest}") for role, digest in self.image_sha256]
        weights = provenance(self.served) if self.served else f"weights sha256 {self.model_sha256}"
        rows = [
            ("Sentences", f"{counted}; edit distance to the draft {self.edit_distance} characters"),
            ("Model", f"{self.model_name}, {weights}"),
            ("Prompt", f"sha256 {self.prompt_sha256}"),
            ("Language", self.language),
            ("Settings", self.settings),
            *images,
            ("Application", self.application),
        ]
        return tuple((label, clean(value)) for label, value in rows if value)


@dataclass(frozen=True)
class ReportDocument:
    """All that is printed of one report. Empty text means unknown; times of signing are UTC.

    ``sections`` are (heading, sentences). ``has_prior`` says that a prior image was compared, ``prior_date`` when it
    was made (None: not known).

    Raises:
        UsageError: a signed report without signer or time, or a time of signing without a time zone.
    """

    report_id: str
    patient_name: str
    patient_id: str
    birth_date: date | None
    sex: str
    accession: str
    study_date: datetime | None
    view: str
    prior_date: datetime | None
    has_prior: bool
    indication: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    state: Literal["unsigned", "signed"]
    signer: str
    signed_at: datetime | None
    provenance: Provenance | None
    demonstration: bool

    def __post_init__(self) -> None:
        if self.state == "signed":
            if not clean(self.signer) or self.signed_at is None:
                raise UsageError("A signed report needs the name of who signed it and the time.")
            if self.signed_at.tzinfo is None:
                raise UsageError("The time of signing has no time zone; it must be UTC.")

    @property
    def signed(self) -> bool:
        """Whether the report is signed."""
        return self.state == "signed"

    def comparison_line(self) -> str:
        """What was compared, from the dates of the images and never from the model's text."""
        if not self.has_prior:
            return "None."
        if self.prior_date is None:
            return "Prior chest radiograph, date not known."
        line = f"Chest radiograph of {day(self.prior_date)}"
        if self.study_date is None:
            return f"{line}."
        days = (self.study_date.date() - self.prior_date.date()).days
        if days < 0:
            return f"{line}, which is later than this study."
        return f"{line} ({_ago(days)})."

    def title(self) -> str:
        """The name of the examination."""
        view = clean(self.view)
        return f"Chest radiograph, {view}" if view and view != "UNKNOWN" else "Chest radiograph"

    def patient_rows(self) -> tuple[tuple[str, str], ...]:
        """(label, value) of the patient block, unknown values as an en dash."""
        return (
            ("Patient", person(self.patient_name) or "\u2013"),
            ("Study date", moment(self.study_date) if self.study_date else "\u2013"),
            ("Patient ID", clean(self.patient_id) or "\u2013"),
            ("Accession", clean(self.accession) or "\u2013"),
            ("Born", day(self.birth_date) if self.birth_date else "\u2013"),
            ("View", clean(self.view) or "\u2013"),
            ("Sex", clean(self.sex) or "\u2013"),
            ("Report", clean(self.report_id) or "\u2013"),
        )

    def body(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(heading, paragraphs) of everything that is read: indication, comparison, then the sections."""
        indication = clean(self.indication) or "Not given."
        sections = ((clean(heading), _paragraphs(sentences)) for heading, sentences in self.sections)
        return (("Indication", (indication,)), ("Comparison", (self.comparison_line(),)), *sections)

    def signature_lines(self) -> tuple[str, ...]:
        """Who stands for the text, when, and what the signature means."""
        if self.signed_at is None or not self.signed:
            return (labels.UNSIGNED_LINE,)
        return (
            f"{labels.SIGNED_LINE} by {clean(self.signer)}",
            f"{moment(self.signed_at.astimezone(UTC), seconds=True)} UTC",
            "Meaning: the text above was reviewed, sentence by sentence, and approved by the person named.",
        )


def clean(text: str) -> str:
    """One line of text in composed form: no control, direction or invisible characters, single spaces."""
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(" " if character.isspace() else character for character in _DIRECTION.sub("", composed))
    return " ".join("".join(c for c in visible if unicodedata.category(c) not in ("Cc", "Cs", "Co")).split())


def person(name: str) -> str:
    """A DICOM person name as it is read: "FAMILY^GIVEN^MIDDLE" is "FAMILY, GIVEN MIDDLE"; other names as they are."""
    family, *rest = clean(name.split("=", 1)[0]).split("^")
    given = " ".join(part for part in (clean(part) for part in rest) if part)
    return ", ".join(part for part in (family.strip(), given) if part)


def _paragraphs(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """Sentences as running text; one that opens with a number ("2. ...") begins a line of its own."""
    lines: list[str] = []
    for sentence in map(clean, sentences):
        if lines and not _NUMBERED.match(sentence):
            lines[-1] = joined(lines[-1], sentence)
        else:
            lines.append(sentence)
    return tuple(line for line in lines if line) or ("No text.",)


def day(value: date) -> str:
    """A date nobody can read the wrong way round: 3 May 2024."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime, *, seconds: bool = False) -> str:
    """A date with its time of day, as given: 3 May 2024, 14:05."""
    return f"{day(value)}, {value.strftime('%H:%M:%S' if seconds else '%H:%M')}"


def _ago(days: int) -> str:
    if days == 0:
        return "same day"
    return f"{days} day{'s' if days > 1 else ''} before this study"

"""Short ways to fill a real history in a test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from engine.imaging.types import Image, Patient, Study, View, Window
from engine.records import DraftRow, NewDraft, Records, Report, Revision, Sentence
from engine.records.ids import utc_now

KNOWN = Patient("P1", "clinic", "Phantom^Test", None, "F")


class Clock:
    """A clock that the test sets; it stands still in between."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def go(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Desk:
    """A history and short ways to fill it."""

    records: Records
    folder: Path
    count: int = 0

    @property
    def home(self) -> Path:
        return self.records.home

    def file(self, name: str, data: bytes) -> tuple[str, Path]:
        path = self.folder / name
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest(), path

    def study(
        self,
        name: str,
        patient: Patient = KNOWN,
        *,
        uid: str = "",
        acquired: datetime | None = None,
        view: View = View.PA,
    ) -> tuple[Study, dict[str, Path]]:
        sha256, path = self.file(name, f"bytes of {name}".encode())
        image = Image(
            sha256=sha256, source=name, format="DICOM" if uid else "PNG", pixels=np.zeros((4, 5), np.uint16),
            slope=1, intercept=0, padding=None, windows=(Window(1, 2, "all"),), luts=(), inverted=False, bits=8,
            photometric="MONOCHROME2", view=view, view_basis="said", laterality="", orientation=(), spacing=None,
            patient=patient, study_uid=uid, sop_uid="", accession="A77", study_description="", modality="DX",
            acquired=acquired, acquired_basis="said", date_reliable=acquired is not None, notes=(),
        )  # fmt: skip
        found = Study(uid or f"sha256:{sha256}", patient, acquired, acquired is not None, "A77", "", (image,))
        return found, {sha256: path}

    def filed(self, name: str, patient: Patient = KNOWN, **more: object) -> str:
        """File a study of one image; its sha256."""
        study, files = self.study(name, patient, **more)  # type: ignore[arg-type]
        self.records.add_study(study, files)
        return study.images[0].sha256

    def report(self, indication: str = "Chest pain.", name: str = "current.dcm") -> Report:
        return self.records.new_report(self.filed(name, uid="1.2.3"), None, indication, "findings")

    def drafted(self, *sentences: str, **more: object) -> tuple[Report, DraftRow]:
        report = self.report()
        return report, self.records.save_draft(report.id, draft(" ".join(sentences), **more), sentences)

    def reviewed(self, *sentences: str) -> tuple[Report, Revision]:
        """A report whose every sentence is the model's and accepted."""
        report, row = self.drafted(*(sentences or ("The heart is normal.", "Left effusion.")))
        return report, self.records.save_revision(report.id, accepted(row.sentences), based_on=row.revision)

    def signed(self, *sentences: str) -> Report:
        report, revision = self.reviewed(*sentences)
        self.records.sign(report.id, name="Dr. Reader", based_on=revision.number)
        return self.records.report(report.id).report


def draft(text: str = "Left effusion.", **more: object) -> NewDraft:
    made = NewDraft(
        text=text, token_ids=(1, 2), model_name="demo", model_sha256="a" * 64, settings={"num_beams": 1},
        checks=({"code": "empty"},), prompt="Findings?", finished="stop", demonstration=True, timings={"total_s": 0.5},
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def accepted(sentences: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    return tuple(replace(sentence, status="accepted") for sentence in sentences)

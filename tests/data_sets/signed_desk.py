"""A real history with real images, and short ways to draft, review and sign in it as the viewer does."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "records"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "imaging"))

from makers import dataset, file_bytes, radiograph
from records_desk import draft

from engine.imaging import group
from engine.imaging.parsing import parse_file
from engine.models.conversation import render, template
from engine.records import Records, Report, Sentence

PROMPT = "Provide a detailed description of the findings in the radiology image."
ANNA = {
    "PatientID": "P-4471-23",
    "PatientName": "Müller-O'Neil^Anna",
    "PatientBirthDate": "19300102",
    "PatientSex": "F",
}

Review = Callable[[tuple[Sentence, ...]], tuple[Sentence, ...]]


def keep(sentences: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """Accept everything as it is."""
    return tuple(replace(sentence, status="accepted") for sentence in sentences)


def edit(place: int, text: str) -> Review:
    """Rewrite one sentence, accept the others."""
    return lambda all_: tuple(
        replace(s, status="accepted", origin="edited", original=s.text, text=text) if n == place else s
        for n, s in enumerate(keep(all_))
    )


def reject(place: int) -> Review:
    """Reject one sentence, accept the others."""
    return lambda all_: tuple(replace(s, status="rejected") if n == place else s for n, s in enumerate(keep(all_)))


def write(text: str) -> Review:
    """Accept everything and add a sentence of one's own."""
    return lambda all_: (*keep(all_), Sentence(f"own-{len(text)}", text, "human", "accepted"))


@dataclass
class Desk:
    """A history and the folder that files are dropped from."""

    records: Records
    folder: Path
    count: int = 0

    def film(self, seed: int = 0, pixels: np.ndarray | None = None, **tags: str) -> str:
        """File a radiograph; its sha256. ``pixels`` are 8-bit; ``tags`` are DICOM's, Anna's by default."""
        self.count += 1
        stated = {
            "StudyDate": "20240301",
            "AccessionNumber": f"ACC{seed:05}",
            "StudyInstanceUID": f"1.2.840.99999.{seed}",
            "SOPInstanceUID": f"1.2.840.99999.{seed}.1",
        } | ANNA | tags  # fmt: skip
        made = dataset(radiograph(64, 48, seed=seed), **stated) if pixels is None else dataset(pixels, 8, **stated)
        made.SpecificCharacterSet = "ISO_IR 192"
        file = self.folder / f"{self.count}.dcm"
        file.write_bytes(file_bytes(made))
        return self._filed(file)

    def picture(self, pixels: np.ndarray, name: str = "picture.png") -> str:
        """File a plain picture, which names nobody."""
        PillowImage.fromarray(pixels).save(self.folder / name)
        return self._filed(self.folder / name)

    def _filed(self, file: Path) -> str:
        image = parse_file(file)
        for study in group([image]):
            self.records.add_study(study, {image.sha256: file})
        assert image.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        return image.sha256

    def signed(
        self,
        current: str,
        prior: str | None = None,
        *sentences: str,
        review: Review = keep,
        context: str = "",
        indication: str | None = None,
        section: str = "findings",
        signer: str = "Dr. Jane Reader",
        model: str = "demo",
        prompt: str | None = None,
    ) -> Report:
        """Draft, review, sign. ``context`` is what stands behind the question in the prompt."""
        report = self.records.new_report(current, prior, indication if indication is not None else context, section)
        if sentences:
            asked = PROMPT + (f" Following clinical context: {context}" if context else "")
            put = prompt if prompt is not None else render(template("libra_v1"), asked)
            new = draft(" ".join(sentences), prompt=put, model_name=model, model_sha256=model[0] * 64)
            row = self.records.save_draft(report.id, new, sentences)
            reviewed, number = review(row.sentences), row.revision
        else:
            reviewed, number = review(()), 0
        revision = self.records.save_revision(report.id, reviewed, based_on=number)
        self.records.sign(report.id, name=signer, based_on=revision.number)
        return self.records.report(report.id).report


@contextmanager
def opened(folder: Path) -> Iterator[Desk]:
    """A new history in ``folder``."""
    (folder / "dropped").mkdir(parents=True)
    with Records.open(folder / "history", who="tester", application="Interval test") as records:
        yield Desk(records, folder / "dropped")

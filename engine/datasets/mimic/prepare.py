"""MIMIC-CXR made into Libra's files: training samples of the train and validate splits, questions of the test split.

One pass over the images in the order of patient, date and time; each report is read once, each file is looked for and
none is opened. Every image that is left out is counted with its reason (`Tally`). Image paths are written relative to
the folder that holds ``files``; identifiers are those of the images. Memory: one small record an image, 377,110 in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.datasets.libra import IMAGE_TEXT, MARKER, About, TrainingSample
from engine.datasets.mimic import priors
from engine.datasets.mimic.sections import read_report
from engine.datasets.mimic.tables import (
    FRONTAL,
    LATERAL,
    Film,
    Patient,
    in_order,
    read_films,
    read_patients,
    read_splits,
    root,
)
from engine.datasets.split_files import SplitFiles, Tally
from engine.drafting.question import CONTEXT, SECTIONS
from engine.errors import DatasetError, InputError, UsageError

CONTEXT_SECTIONS = ("indication", "history", "comparison", "technique")
"""The sections put as clinical context, in the published order."""

VIEWS = {"frontal": FRONTAL, "lateral": LATERAL, "all": ()}
PRIORS = ("published", "matched", "none")

READ = "images in the metadata"
NO_SPLIT = "left out: not in the split table"
OTHER_VIEW = "left out: another view"
NO_VIEW = "left out: view unknown"
NO_IMAGE = "left out: image file missing"
NO_REPORT = "left out: report missing"
NOT_TEXT = "left out: report is not text in UTF-8"
EMPTY = "left out: report empty"
BY_HAND = "left out: report without usual headers (listed by hand)"
NO_SECTION = "left out: no {section} section"
MARKED = "left out: text holds <image>"
WRITTEN = "written"
SECTION_WRITTEN = "written: {section}"
PAIRED = "  with a prior image"
SAME_DAY = "    of the same day"
CROSSED = "    of another projection"
CODED = "note: view taken from the view code"
NO_DAY = "note: study date cannot be read, so no prior"
NO_TIME = "note: study time cannot be read"
NO_PATIENT = "note: patient not in the patients table"
ORDER = (
    READ, NO_SPLIT, OTHER_VIEW, NO_VIEW, NO_IMAGE, NO_REPORT, NOT_TEXT, EMPTY, BY_HAND, MARKED,
    *(text.format(section=section) for text in (NO_SECTION, SECTION_WRITTEN) for section in SECTIONS),
    WRITTEN, PAIRED, SAME_DAY, CROSSED, CODED, NO_DAY, NO_TIME, NO_PATIENT,
)  # fmt: skip
"""The ends an image can come to, in the order of the table."""

Report = Mapping[str, str] | str
"""The sections of a report, or the reason why it has none."""


@dataclass(frozen=True)
class Source:
    """Where the parts of MIMIC-CXR lie; ``images`` and ``reports`` are the folders that hold ``files``."""

    metadata: Path
    splits: Path
    images: Path
    reports: Path
    patients: Path | None = None

    @classmethod
    def find(
        cls,
        folder: Path,
        *,
        metadata: Path | None = None,
        splits: Path | None = None,
        reports: Path | None = None,
        patients: Path | None = None,
    ) -> Source:
        """The parts as PhysioNet lays them out below the folder of MIMIC-CXR-JPG, but for those that are named.

        Raises:
            UsageError: a part that is neither named nor there. InputError: a folder that is not there.
        """
        if not folder.is_dir():
            raise InputError(f"There is no folder '{folder.name}'.")
        images = root(folder)
        beside = (images / "reports", images / "mimic-cxr-reports")
        found = cls(
            metadata or _table(images, "metadata"),
            splits or _table(images, "split"),
            images,
            root(reports) if reports else next((each for each in beside if each.is_dir()), images),
            patients or next(iter(sorted(images.glob("patients.csv*"))), None),
        )
        for part, what in ((found.images, "images"), (found.reports, "reports")):
            if not (part / "files").is_dir():
                raise InputError(f"'{part.name}' holds no folder 'files' with {what}.")
        return found

    def tables(self) -> list[Path]:
        """The tables that are read."""
        return [self.metadata, self.splits] + ([self.patients] if self.patients else [])


@dataclass(frozen=True)
class Choice:
    """What the files are to hold.

    Attributes:
        section: the answer: "findings", "impression", or "both" for a sample of each.
        context: sections put with the question, of `CONTEXT_SECTIONS`.
        views: of the current images; none for any view that is known.
        prior: "published", "matched" or "none".
        ending: of the image files.
    """

    section: str = "findings"
    context: tuple[str, ...] = CONTEXT_SECTIONS
    views: tuple[str, ...] = FRONTAL
    prior: str = "published"
    ending: str = ".jpg"

    def __post_init__(self) -> None:
        if self.section not in (*SECTIONS, "both"):
            raise UsageError(f"The section must be one of {', '.join(SECTIONS)}, both.")
        if self.prior not in PRIORS:
            raise UsageError(f"The prior must be one of {', '.join(PRIORS)}.")
        unknown = [name for name in self.context if name not in CONTEXT_SECTIONS]
        if unknown:
            raise UsageError(f"'{unknown[0]}' is no clinical section. There are {', '.join(CONTEXT_SECTIONS)}.")

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that are answers."""
        return tuple(SECTIONS) if self.section == "both" else (self.section,)

    def wants(self, view: str) -> bool:
        """Whether a film of this view can be a current image."""
        return bool(view) and (not self.views or view in self.views)


@dataclass(frozen=True)
class Prepared:
    """What came of it: the counts, and all that ``preparation.json`` holds."""

    tally: Tally
    summary: Mapping[str, Any]


def prepare(
    source: Source,
    choice: Choice,
    output: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Write train.json, validate.json, test.jsonl and preparation.json into ``output``.

    Args:
        source: where MIMIC-CXR lies.
        choice: what the files are to hold.
        output: a folder without such files.
        progress: called with the images looked at and their total.

    Raises:
        DatasetError: tables that cannot be used (all rows are listed), a patient in two splits, nothing to write.
        UsageError: the output folder holds such files.
    """
    films, splits = read_films(source.metadata), read_splits(source.splits)
    patients = read_patients(source.patients) if source.patients else {}
    _one_split_each(source.splits, films, splits)
    maker = _Maker(source, choice, splits, patients, progress)
    present = maker.present(films)
    prior_of = {"published": priors.published, "matched": priors.matched, "none": _nobody}[choice.prior](present)
    with SplitFiles(output, source.images) as files:
        for film in sorted(present, key=in_order):
            for sample in maker.samples(film, prior_of.get(film.dicom)):
                files.write(splits[film.dicom], sample)
        maker.finish()
        if not maker.tally.of(WRITTEN):
            raise DatasetError(f"None of the images can be used:\n{maker.tally.table(ORDER)}")
        summary = files.summarise(source.tables(), asdict(choice), maker.tally)
    return Prepared(maker.tally, summary)


def _nobody(films: Iterable[Film]) -> dict[str, Film]:
    return {}


def _table(folder: Path, what: str) -> Path:
    found = sorted(folder.glob(f"mimic-cxr-*-{what}.csv*"))
    if not found:
        option = "--splits" if what == "split" else f"--{what}"
        raise UsageError(f"There is no table mimic-cxr-2.0.0-{what}.csv.gz in '{folder.name}'. Name it with {option}.")
    return found[-1]


def _one_split_each(file: Path, films: Iterable[Film], splits: Mapping[str, str]) -> None:
    """Refuse a patient in two splits: the model would be tested on whom it was trained on."""
    seen: dict[str, str] = {}
    mixed = {
        film.patient
        for film in films
        if film.dicom in splits and seen.setdefault(film.patient, splits[film.dicom]) != splits[film.dicom]
    }
    if mixed:
        raise DatasetError(f"In '{file.name}' {len(mixed)} patients are in more than one split.")


class _Maker:
    """Makes samples of films, and counts what becomes of each of them."""

    def __init__(
        self,
        source: Source,
        choice: Choice,
        splits: Mapping[str, str],
        patients: Mapping[str, Patient],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.tally = Tally()
        self._source, self._choice, self._splits, self._patients = source, choice, splits, patients
        self._progress, self._done, self._total = progress, 0, 0
        self._last: tuple[str, Report] = ("", NO_REPORT)

    def present(self, films: Iterable[Film]) -> list[Film]:
        """The films that can be current images or their priors, and whose files are there."""
        candidates = [film for film in films if self._may_be_shown(film)]
        self._total = 2 * len(candidates)
        return [film for film in candidates if self._is_there(film)]

    def _may_be_shown(self, film: Film) -> bool:
        choice, split = self._choice, self._splits.get(film.dicom, "")
        self.tally.add(READ, split)
        if not split:
            self.tally.add(NO_SPLIT)
            return False
        if choice.wants(film.view):
            return True
        self.tally.add(OTHER_VIEW if film.view else NO_VIEW, split)
        compared = {priors.projection(view) for view in choice.views}
        return choice.prior == "published" or (choice.prior == "matched" and priors.projection(film.view) in compared)

    def _is_there(self, film: Film) -> bool:
        self._step()
        there = self._file(film).is_file()
        if not there and self._choice.wants(film.view):
            self.tally.add(NO_IMAGE, self._splits[film.dicom])
        return there

    def _file(self, film: Film) -> Path:
        return self._source.images / f"{film.image}{self._choice.ending}"

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None and self._done % 100 == 0:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """All films have been looked at."""
        if self._progress is not None:
            self._progress(self._total, self._total)

    def samples(self, film: Film, prior: Film | None) -> Iterator[TrainingSample]:
        """The samples of a film, one for each section that is asked for and that its report has."""
        self._step()
        if not self._choice.wants(film.view):
            return
        split, report = self._splits[film.dicom], self._report(film)
        if isinstance(report, str):
            self.tally.add(report, split)
            return
        sections = self._choice.sections
        for section in sections:
            asked, answer = _question(section, report, self._choice.context), report[section]
            if not answer:
                self.tally.add(NO_SECTION.format(section=section), split)
            elif IMAGE_TEXT in asked + answer:
                self.tally.add(MARKED, split)
            else:
                self._count(film, prior, section, split)
                yield TrainingSample(
                    id=f"{film.dicom}-{section}" if len(sections) > 1 else film.dicom,
                    images=tuple(self._file(each) for each in (film, prior) if each is not None),
                    turns=((MARKER + asked, answer),),
                    about=self._about(film),
                    kind=section if len(sections) > 1 else "",
                )

    def _report(self, film: Film) -> Report:
        """The report of a film; the last one read is kept, since the films of a study follow each other."""
        if self._last[0] != film.report:
            self._last = (film.report, _read(self._source.reports / film.report, f"s{film.study}"))
        return self._last[1]

    def _about(self, film: Film) -> About:
        patient = self._patients.get(film.patient)
        age = patient.age_in(film.day.year) if patient and film.day else None
        return About(
            patient=film.patient,
            study=film.study,
            view=film.view,
            sex=patient.sex if patient else "",
            age=None if age is None else float(age),
        )

    def _count(self, film: Film, prior: Film | None, section: str, split: str) -> None:
        """Count a sample, and what is to be known of it."""
        facts = {
            SECTION_WRITTEN.format(section=section): len(self._choice.sections) > 1,
            WRITTEN: True,
            PAIRED: prior is not None,
            SAME_DAY: prior is not None and prior.day == film.day,
            CROSSED: prior is not None and priors.projection(prior.view) != priors.projection(film.view),
            CODED: film.coded,
            NO_DAY: film.day is None,
            NO_TIME: film.second is None,
            NO_PATIENT: bool(self._patients) and film.patient not in self._patients,
        }
        for fact, holds in facts.items():
            if holds:
                self.tally.add(fact, split)


def _read(file: Path, study: str) -> Report:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_REPORT
    except UnicodeDecodeError:
        return NOT_TEXT
    if not text.strip():
        return EMPTY
    reading = read_report(study, text)
    if reading.columns is None:
        return BY_HAND
    return {name: " ".join(words.split()) for name, words in reading.columns.items()}


def _question(section: str, report: Mapping[str, str], context: Sequence[str]) -> str:
    """The published question with its clinical context: "Indication: ... History: ..."."""
    parts = [f"{name.capitalize()}: {report[name]}" for name in context if report[name]]
    return SECTIONS[section] + (CONTEXT + " ".join(parts) if parts else "")

"""Writes phantoms as MIMIC-CXR-JPG lies on disk, so that whatever reads that can be tried with real files.

    files/p90/p90000012/s900000120/<dicom_id>.jpg       8-bit grey, as the display window shows the film
    reports/files/p90/p90000012/s900000120.txt          reports in MIMIC's layouts
    mimic-cxr-2.0.0-metadata.csv.gz                     with its traps: times without leading zeros, blank views
    mimic-cxr-2.0.0-split.csv.gz                        whole patients: 8 of 10 train, 1 validate, 1 test
    patients.csv.gz                                     sex and age as in MIMIC-IV
    truth.jsonl                                         one frontal film a line: what is where, since when, its prior

Patients begin with 9, which no patient of MIMIC does; dates are moved by 160 years, as theirs are moved. Patients of
the test split have the ranges and phrases that training never sees. The truth has the lines of `training_set`, with
the film's identifier as ``id`` and, where there is one, the frontal film of the study before as ``prior``. The same
arguments give the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.datasets.phantoms.mimic_report import exam, mimic_report
from engine.datasets.phantoms.model import Case, Site
from engine.datasets.phantoms.picture import render, show
from engine.datasets.phantoms.sampling import age_at, sample_case, transform_between
from engine.datasets.phantoms.side_view import side_view
from engine.datasets.phantoms.sites import SITE_A
from engine.datasets.phantoms.training_set import (
    SEEDS_PER_SET,
    check_request,
    coarse_values,
    describe_findings,
    ordered,
)
from engine.datasets.phantoms.visits import Visit, visits
from engine.errors import UsageError

METADATA, SPLITS, PATIENTS = "mimic-cxr-2.0.0-metadata.csv.gz", "mimic-cxr-2.0.0-split.csv.gz", "patients.csv.gz"
COLUMNS = (
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)
CODES = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral"}
MOVED = timedelta(days=160 * 365 + 39)
"""How far dates are moved: 160 years."""

LATERAL, BLANK, BLANK_CODE = 0.6, 0.06, 0.3
"""How many PA films have a lateral one beside them; how many views are blank, and of those the view code as well."""

QUALITY = 92
CHUNK = 20


@dataclass(frozen=True)
class _Rows:
    """The rows of one patient for each of the tables, and the lines of truth."""

    metadata: list[tuple[str, ...]]
    splits: list[tuple[str, ...]]
    patient: tuple[str, ...]
    truth: list[dict[str, Any]]


def write_mimic(
    folder: Path,
    count: int,
    seed: int = 0,
    site: Site = SITE_A,
    split: str | None = None,
    size: int = 224,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``count`` patients into ``folder``.

    Args:
        folder: made if it is not there; must hold no such tables yet.
        count, seed, site, size, workers, progress: as for ``write_training``.
        split: "train" or "test" for all patients; by default 8 of 10 are train, 1 validate, 1 test.

    Raises:
        UsageError: a count, seed, size or folder that cannot be used.
    """
    folder = Path(folder)
    check_request(count, seed, size, workers)
    if (folder / METADATA).exists():
        raise UsageError(f"{folder.name} already holds {METADATA}. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    first = seed * SEEDS_PER_SET
    parts = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    rows: list[_Rows] = []
    with (folder / "truth.jsonl").open("w", encoding="utf-8") as truths:
        for written in ordered(partial(_write_chunk, folder, site, split, size), parts, workers):
            for patient in written:
                truths.writelines(json.dumps(line) + "\n" for line in patient.truth)
                rows.append(patient)
            if progress is not None:
                progress(len(rows), count)
    anchor = ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod")
    _write_table(folder / PATIENTS, anchor, (patient.patient for patient in rows))
    heads = ("dicom_id", "study_id", "subject_id", "split")
    _write_table(folder / SPLITS, heads, (row for patient in rows for row in patient.splits))
    # Last: a folder that holds it is complete.
    _write_table(folder / METADATA, COLUMNS, (row for patient in rows for row in patient.metadata))


def _write_table(file: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    file.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def _write_chunk(folder: Path, site: Site, split: str | None, size: int, seeds: range) -> list[_Rows]:
    return [_write_patient(folder, site, split or _split_of(seed), seed, size) for seed in seeds]


def _split_of(seed: int) -> str:
    share = np.random.default_rng([seed, 83]).random()
    return "train" if share < 0.8 else "validate" if share < 0.9 else "test"


def _write_patient(folder: Path, site: Site, split: str, seed: int, size: int) -> _Rows:
    case = sample_case(seed, site=site, split="test" if split == "test" else "train")
    # 9 and seven digits: no two patients of a set share a number.
    subject = str(90_000_000 + seed % 10_000_000)
    rng = np.random.default_rng([seed, 82])
    metadata: list[tuple[str, ...]] = []
    truth: list[dict[str, Any]] = []
    before: tuple[Visit, str, dict[str, list[float]]] | None = None
    for number, visit in enumerate(visits(case, site)):
        study = f"{subject}{number}"
        place = folder / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
        place.mkdir(parents=True, exist_ok=True)
        with_lateral = visit.film.view == "PA" and rng.random() < LATERAL
        text, layout = mimic_report(visit, with_lateral, rng)
        report = folder / "reports" / place.relative_to(folder).with_suffix(".txt")
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(text, encoding="utf-8", newline="\n")
        rendered = render(visit.film, size, masks=True)
        masks = coarse_values(rendered.masks)
        pictures = {visit.film.view: show(rendered)}
        if with_lateral:
            pictures["LATERAL"] = side_view(visit.film.seed, size)
        stamp = _stamp(visit.time, rng)
        of_study = []
        for view, pixels in pictures.items():
            dicom = _identifier(case, study, view)
            Image.fromarray(pixels).save(place / f"{dicom}.jpg", "JPEG", quality=QUALITY)
            shape = (str(pixels.shape[0]), str(pixels.shape[1]))
            of_study.append((dicom, subject, study, *_described(view, with_lateral, shape, stamp, rng)))
        # As in MIMIC, where the order of a study's films means nothing.
        metadata += sorted(of_study)
        frontal = _identifier(case, study, visit.film.view)
        line = _truth(case, split, visit, frontal, masks, before)
        truth.append(line | {"patient": subject, "study": study, "layout": layout})
        before = (visit, frontal, masks)
    age, year = age_at(case.person, case.current_time), (case.current_time + MOVED).year
    anchor = (subject, case.person.sex, str(age), str(year), f"{year} - {year + 2}", "")
    return _Rows(metadata, [(row[0], row[2], subject, split) for row in metadata], anchor, truth)


def _identifier(case: Case, study: str, view: str) -> str:
    """Forty hexadecimal digits in five groups, as MIMIC names its images."""
    digits = hashlib.sha1(f"{case.id}/{case.site}/{study}/{view}".encode()).hexdigest()
    return "-".join(digits[start : start + 8] for start in range(0, 40, 8))


def _stamp(time: datetime, rng: np.random.Generator) -> tuple[str, str]:
    """StudyDate, and StudyTime as a number: leading zeros are lost."""
    moved = time + MOVED + timedelta(seconds=int(rng.integers(60)))
    return f"{moved:%Y%m%d}", f"{int(f'{moved:%H%M%S}')}.{int(rng.integers(1000)):03d}"


def _described(
    view: str, with_lateral: bool, shape: tuple[str, str], stamp: tuple[str, str], rng: np.random.Generator
) -> tuple[str, ...]:
    """The columns of the metadata table behind the identifiers."""
    name = exam("AP" if view == "AP" else "PA", with_lateral)
    position, code = view, CODES[view]
    if rng.random() < BLANK:
        position = ""
        code = "" if rng.random() < BLANK_CODE else code
    return (name, position, *shape, *stamp, name, code, "Recumbent" if view == "AP" else "Erect")


def _truth(
    case: Case,
    split: str,
    visit: Visit,
    dicom: str,
    masks: dict[str, list[float]],
    before: tuple[Visit, str, dict[str, list[float]]] | None,
) -> dict[str, Any]:
    """One line of truth, as `training_set.describe` gives it."""
    compared = before if visit.has_prior else None
    return {
        "id": dicom,
        "seed": case.seed,
        "site": case.site,
        "split": split,
        "has_prior": compared is not None,
        "findings": describe_findings(visit.truth),
        "transform": transform_between(visit.film, compared[0].film) if compared else None,
        "masks": {"current": masks} | ({"prior": compared[2]} if compared else {}),
        "prior": compared[1] if compared else None,
        "report": {"findings": visit.text.findings, "impression": visit.text.impression},
    }

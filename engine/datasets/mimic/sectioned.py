"""Libra's two tables of all reports below a folder, cut into sections.

    mimic_cxr_sectioned.csv     study and `COLUMNS`; reports that were sorted out by hand are not in it, as published
    mimic_cxr_sections.csv      study and conclusion, without a header, of every report

Studies come in the order of their paths. The reports lie as in MIMIC-CXR: files/p10/p10000032/s50414267.txt.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.datasets.mimic.sections import COLUMNS, Hand, read_report
from engine.datasets.split_files import Tally
from engine.errors import InputError, UsageError

SECTIONED, CONCLUSIONS = "mimic_cxr_sectioned.csv", "mimic_cxr_sections.csv"


def write_sectioned(reports: Path, output: Path, progress: Callable[[int, int], None] | None = None) -> Tally:
    """Write both tables into ``output``; what was found, counted.

    Args:
        reports: the folder that holds ``files``.
        output: made if it is not there.
        progress: called with the groups of patients (p10, p11, ...) done and their total.

    Raises:
        InputError: there are no reports. UsageError: ``output`` holds such tables.
    """
    groups = sorted(path for path in (reports / "files").glob("p[0-9][0-9]") if path.is_dir())
    if not groups:
        raise InputError(
            f"'{reports.name}' holds no reports: they are looked for as files/p10/p10000032/s50414267.txt."
        )
    for name in (SECTIONED, CONCLUSIONS):
        if (output / name).exists():
            raise UsageError(f"'{output.name}' already holds {name}. Choose another folder.")
    output.mkdir(parents=True, exist_ok=True)
    tally = Tally(())
    with (
        (output / SECTIONED).open("w", encoding="utf-8", newline="") as sectioned,
        (output / CONCLUSIONS).open("w", encoding="utf-8", newline="") as conclusions,
    ):
        table, texts = csv.writer(sectioned), csv.writer(conclusions)
        table.writerow(("study", *COLUMNS))
        for done, group in enumerate(groups, 1):
            for file in _reports(group):
                tally.add("reports")
                try:
                    reading = read_report(file.stem, file.read_text(encoding="utf-8"))
                except UnicodeDecodeError:
                    tally.add("left out: not text in UTF-8")
                    continue
                texts.writerow((file.stem, reading.conclusion))
                if reading.columns is not None:
                    table.writerow((file.stem, *reading.columns.values()))
                    for name, text in reading.columns.items():
                        if text:
                            tally.add(f"  with {name.replace('_', ' ')}")
                for hand in (Hand.SECTION, Hand.SPAN):
                    if reading.hand is hand:
                        tally.add(f"by hand: {hand.value}")
            if progress is not None:
                progress(done, len(groups))
    return tally


def _reports(group: Path) -> Iterator[Path]:
    """The reports of a group of patients, patient by patient."""
    for patient in sorted(group.glob("p[0-9]*")):
        yield from sorted(patient.glob("s*.txt"))

"""A report document to files: plain text and PDF, written whole or not at all.

``export`` never overwrites: a second export of the same report gets "-2". Files are readable by this user alone and
their names hold no patient data.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ResourceError
from engine.reports import labels
from engine.reports.document import ReportDocument, clean
from engine.reports.lines import wrapped
from engine.reports.printing import to_pdf

__all__ = ["export", "to_pdf", "to_text"]

_LINE_WIDTH = 80
_MOST_COPIES = 1000


def to_text(document: ReportDocument) -> str:
    """The document as plain text, lines of at most 80 columns (lines.py), ending with a line end."""
    lines = [f"Interval - {labels.RESEARCH_LINE}"]
    lines += [labels.UNSIGNED_MARK] if not document.signed else []
    lines += [f"{labels.DEMO_MARK}. {labels.DEMO_LINE}"] if document.demonstration else []
    lines += ["", document.title().upper(), ""]
    lines += [f"{label + ':':<12}{value}" for label, value in document.patient_rows()]
    for heading, paragraphs in document.body():
        lines += ["", heading.upper(), *paragraphs]
    lines += ["", *document.signature_lines(), "", "How this text came about"]
    if document.provenance is None:
        lines.append("Written without a model.")
    else:
        lines += [f"{label}: {value}" for label, value in document.provenance.rows()]
    return "\n".join(wrapped(line, _LINE_WIDTH) for line in lines) + "\n"


def export(document: ReportDocument, folder: Path) -> tuple[Path, Path]:
    """Write the report as PDF and as text into ``folder`` (made if missing) and return both paths, PDF first.

    Raises:
        ResourceError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    contents = ((".pdf", to_pdf(document)), (".txt", to_text(document).encode()))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for copy in range(1, _MOST_COPIES):
            stem = _stem(document) + (f"-{copy}" if copy > 1 else "")
            written = _write(folder, stem, contents)
            if written is not None:
                return written[0], written[1]
    except OSError as cause:
        reason = (cause.strerror or "it cannot be written").lower()
        raise ResourceError(f"The report could not be saved in the folder '{folder.name}': {reason}.") from cause
    raise ResourceError(f"The folder '{folder.name}' already holds too many copies of this report.")


def _stem(document: ReportDocument) -> str:
    """A file name of safe characters: the study's day and the report's id, nothing of the patient."""
    day = document.study_date.strftime("%Y%m%d-") if document.study_date else ""
    identity = re.sub(r"[^A-Za-z0-9_-]+", "-", clean(document.report_id)).strip("-")[:64]
    return f"interval-report-{day}{identity or 'unnamed'}"


def _write(folder: Path, stem: str, contents: Sequence[tuple[str, bytes]]) -> list[Path] | None:
    """Both files under one free name, or None if a file of that name exists."""
    made: list[Path] = []
    complete = False
    try:
        for suffix, data in contents:
            path = folder / (stem + suffix)
            if not _publish(path, data):
                return None
            made.append(path)
        complete = True
        return made
    finally:
        if not complete:
            for path in made:
                path.unlink(missing_ok=True)


def _publish(path: Path, data: bytes) -> bool:
    """Write ``data`` beside ``path``, flush it to the disk, then give it its name; False if the name is taken."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        return _name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, path: Path) -> bool:
    try:
        os.link(part, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        part.rename(path)
    return True

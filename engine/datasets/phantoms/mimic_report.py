"""A visit's report as MIMIC-CXR writes one: a title, headers in capitals, lines that begin with a space, ``___``.

Five layouts, as they occur there. Only the first and the third hold a findings section.
"""

from __future__ import annotations

import re
import textwrap

import numpy as np

from engine.datasets.phantoms.visits import Visit

LAYOUTS = ("full", "impression", "views", "paragraph", "joint")
SHARES = (0.62, 0.12, 0.1, 0.08, 0.08)
HIDDEN = "___"
"""What stands for every name, date and age."""

_TITLE = " " * 33 + "FINAL REPORT"
_WIDTH = 78
_GAP = "\n\n"


def mimic_report(visit: Visit, with_lateral: bool, rng: np.random.Generator) -> tuple[str, str]:
    """The report of a visit, and the layout it was given."""
    layout = LAYOUTS[int(rng.choice(len(LAYOUTS), p=SHARES))]
    before = (f"{HIDDEN}.", f"Chest radiograph from {HIDDEN}.", HIDDEN)[int(rng.integers(3))]
    lines = [_TITLE]
    for header, text in _sections(visit, layout, with_lateral, before if visit.has_prior else "None."):
        first, *rest = text.split(_GAP)
        lines += textwrap.wrap(f"{header}:  {first}", _WIDTH) if first else [f"{header}: "]
        for paragraph in rest:
            lines += ["", *textwrap.wrap(paragraph, _WIDTH)]
        lines.append("")
    return "\n ".join(lines[:-1]) + "\n", layout


def _sections(visit: Visit, layout: str, with_lateral: bool, before: str) -> list[tuple[str, str]]:
    """Headers and texts of a layout; paragraphs are parted by an empty line."""
    view = visit.film.view
    reason = re.sub(r"\b[0-9]+\b", HIDDEN, visit.text.indication)
    findings, impression = visit.text.findings, visit.text.impression
    if layout == "full":
        technique = "Chest PA and lateral." if with_lateral else f"Single {view} view of the chest."
        return [
            ("EXAMINATION", exam(view, with_lateral)),
            ("INDICATION", reason),
            ("TECHNIQUE", technique),
            ("COMPARISON", before),
            ("FINDINGS", _GAP + findings),
            ("IMPRESSION", _GAP + impression),
        ]
    if layout == "impression":
        compared = f"{view} chest compared to {HIDDEN}:" if visit.has_prior else f"{view} chest."
        return [("HISTORY", reason), ("IMPRESSION", compared + _GAP + impression)]
    if layout == "views":
        header = "CHEST, TWO VIEWS" if with_lateral else "CHEST, ONE VIEW"
        return [("REASON FOR EXAM", reason), ("COMPARISONS", before), (header, findings), ("CONCLUSION", impression)]
    if layout == "paragraph":
        return [("INDICATION", reason), ("COMPARISON", before + _GAP + findings + _GAP + impression)]
    both = f"{findings} {impression}"
    return [("HISTORY", reason), ("COMPARISON", before), ("FINDINGS AND IMPRESSION", both)]


def exam(view: str, with_lateral: bool) -> str:
    """What the examination is called."""
    return "CHEST (PA AND LAT)" if with_lateral else f"CHEST ({'PORTABLE ' if view == 'AP' else ''}{view})"

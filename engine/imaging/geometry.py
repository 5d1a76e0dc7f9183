"""How an image was taken: view, side, orientation and the size of a pixel, each with what it rests on.

A view is never guessed: what neither ViewPosition nor ViewCodeSequence nor the series' own words say is UNKNOWN, and
the user is asked. Codes are those of DCMR CID 4010 "DX View" in SNOMED CT and in the retired SNOMED-RT that older
devices write.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from engine.imaging import tags
from engine.imaging.types import Spacing, View

__all__ = ["body_part", "laterality", "orientation", "spacing", "view"]

OBLIQUE = 0.26
"""Cosine above which a direction is named as well: 15 degrees away from the plane of the other axes."""

_POSITIONS = {
    "PA": View.PA,
    "AP": View.AP,
    "LL": View.LATERAL,
    "RL": View.LATERAL,
    "LAT": View.LATERAL,
    "LATERAL": View.LATERAL,
    "LLO": View.LATERAL,
    "RLO": View.LATERAL,
}

# 399352003, which some lists give for AP, is lateral-medial.
_CODES = {
    "272479007": View.PA,
    "R-40888": View.PA,
    "R-10214": View.PA,
    "399348003": View.AP,
    "R-10206": View.AP,
    "399067008": View.LATERAL,
    "R-102CD": View.LATERAL,
    "399173006": View.LATERAL,  # left lateral
    "R-10236": View.LATERAL,
    "399198007": View.LATERAL,  # right lateral
    "R-10232": View.LATERAL,
}

_WORDS = {
    View.PA: r"P\.?A\.?|POSTERO-?\s?ANTERIOR|P-A|P/A",
    View.AP: r"A\.?P\.?|ANTERO-?\s?POSTERIOR|A-P|A/P",
    View.LATERAL: r"LAT\.?|LATERAL|LL|SEITLICH|PROFIL",
}

_DESCRIPTIONS = (
    ("SeriesDescription", "series description"),
    ("ProtocolName", "protocol name"),
    ("AcquisitionDeviceProcessingDescription", "processing description"),
)


def view(ds: Dataset) -> tuple[View, str, tuple[str, ...]]:
    """The view, its basis in words, and a note where the file contradicts itself."""
    position = tags.text(ds, "ViewPosition", 32).upper()
    stated = _POSITIONS.get(position)
    coded = _coded(ds)
    if stated is not None:
        if coded is not None and coded != stated:
            return stated, "view position", (f"View position says {stated}, the view code says {coded}.",)
        return stated, "view position", ()
    if coded is not None:
        return coded, "view code", ()
    for keyword, words in _DESCRIPTIONS:
        found = _in_words(tags.text(ds, keyword))
        if found is not None:
            return found, words, ()
    return View.UNKNOWN, f"view position {position} is no frontal or lateral view" if position else "not stated", ()


def _coded(ds: Dataset) -> View | None:
    for item in tags.items(ds, "ViewCodeSequence"):
        found = _CODES.get(tags.text(item, "CodeValue", 32).upper())
        if found is not None:
            return found
    return None


def _in_words(text: str) -> View | None:
    """The one view that the text names as a word; None if it names none or several ("PA and LAT")."""
    named = {
        each for each, pattern in _WORDS.items() if re.search(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9])", text.upper())
    }
    return named.pop() if len(named) == 1 else None


def body_part(ds: Dataset) -> tuple[str, tuple[str, ...]]:
    """BodyPartExamined, with the words for the thorax all as "CHEST", and a note if it is another part."""
    found = tags.text(ds, "BodyPartExamined", 32).upper()
    if re.search(r"CHEST|THORAX|LUNG|\bRIBS?\b|STERNUM|HEART", found):
        return "CHEST", ()
    return found, (f"Body part is {found}, not the chest.",) if found else ()


def laterality(ds: Dataset) -> str:
    """The side as the file codes it: L, R, B, U, or empty."""
    return tags.text(ds, "ImageLaterality", 16).upper() or tags.text(ds, "Laterality", 16).upper()


def orientation(ds: Dataset, shown: View) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where rows and columns run in the patient, and a note if a frontal view is stored mirrored.

    As PatientOrientation says, in letters such as "L" and "F" (PS3.3 C.7.6.1.1.1), or as follows from the direction
    cosines of ImageOrientationPatient (C.7.6.2.1.1).
    """
    found = tuple(each.upper() for each in tags.texts(ds, "PatientOrientation", 16))[:2]
    if len(found) < 2:
        found = _directions(tags.numbers(ds, "ImageOrientationPatient")) or found
    if shown.frontal and found and found[0].startswith("R"):
        return found, ("Stored mirrored: the patient's right is on the right of the picture.",)
    return found, ()


def _directions(cosines: list[float]) -> tuple[str, ...]:
    """Of a row and a column, each by its letters, the main one first; () for what are no direction cosines."""
    if len(cosines) != 6:
        return ()
    vectors = cosines[:3], cosines[3:]
    if any(abs(sum(value * value for value in vector) - 1) > 0.01 for vector in vectors):
        return ()
    named = []
    for vector in vectors:
        axes = sorted(zip(map(abs, vector), vector, ("LR", "PA", "HF"), strict=True), reverse=True)
        named.append("".join(letters[value < 0] for size, value, letters in axes if size > OBLIQUE))
    return tuple(named)


def spacing(ds: Dataset) -> tuple[Spacing | None, tuple[str, ...]]:
    """The size of a pixel with its basis (PS3.3 10.7.1), or None; a note for each value that cannot be right.

    PixelSpacing counts as calibrated only with a PixelSpacingCalibrationType. ImagerPixelSpacing is at the detector, or
    divided by EstimatedRadiographicMagnificationFactor at the patient.
    """
    notes: list[str] = []
    pixel = _pair(ds, "PixelSpacing", "Pixel spacing", notes)
    imager = _pair(ds, "ImagerPixelSpacing", "Imager pixel spacing", notes)
    calibration = tags.text(ds, "PixelSpacingCalibrationType", 16).upper()
    if pixel and calibration in ("FIDUCIAL", "GEOMETRY"):
        return Spacing(*pixel, f"calibrated, {calibration.lower()}"), tuple(notes)
    if imager:
        factor = tags.number(ds, "EstimatedRadiographicMagnificationFactor")
        if factor is not None and not 1 <= factor <= 3:
            notes.append("Magnification factor ignored: it is impossible.")
            factor = None
        if factor is not None:
            basis = f"estimated, magnification {factor:.2f}"
            return Spacing(imager[0] / factor, imager[1] / factor, basis), tuple(notes)
        return Spacing(*imager, "at detector"), tuple(notes)
    if pixel:
        return Spacing(*pixel, "calibration not stated"), tuple(notes)
    scanned = _pair(ds, "NominalScannedPixelSpacing", "Scanned pixel spacing", notes)
    return (Spacing(*scanned, "on the scanned film") if scanned else None), tuple(notes)


def _pair(ds: Dataset, keyword: str, words: str, notes: list[str]) -> tuple[float, float] | None:
    if tags.value(ds, keyword) is None:
        return None
    found = tags.numbers(ds, keyword)
    if len(found) == 2 and all(0.01 <= each <= 10 for each in found):
        return found[0], found[1]
    notes.append(f"{words} ignored: it is zero, broken or impossible.")
    return None

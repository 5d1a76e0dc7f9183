"""CT phantoms: synthetic axial slices of chest and upper abdomen, with captions and questions in English and Chinese.

    patient = sample_patient(7, seed=0)                    # slices, and what is in them
    grey = draw(patient.slices[0], 168)                    # uint8, as its window shows it
    write_slices(folder, 60, seed=0, size=168)             # pictures, captions and questions, parted by patient

Everything is a function of seed and number. They are drawings, not simulated scans: enough to learn the way from data
to a judged model by, and to test it. Nothing here was ever a patient.
"""

from __future__ import annotations

from engine.datasets.ct_phantoms.drawing import draw
from engine.datasets.ct_phantoms.sampling import Lesion, Patient, Slice, sample_patient
from engine.datasets.ct_phantoms.wording import LANGUAGES, caption, questions
from engine.datasets.ct_phantoms.writing import write_slices

__all__ = [
    "LANGUAGES",
    "Lesion",
    "Patient",
    "Slice",
    "caption",
    "draw",
    "questions",
    "sample_patient",
    "write_slices",
]

"""Phantoms: synthetic frontal chest radiographs in pairs, with reports and the whole truth about them.

    case = sample_case(7)                      # a patient: current film, mostly a prior one, report, truth
    grey = display(case.current, 224)          # uint8, as a radiologist sees it
    write_training(folder, 1000, seed=1)       # pictures and Libra's training and evaluation files
    write_studies(folder, 10, seed=1)          # real DICOM studies with masks
    write_mimic(folder, 100, seed=1)           # several studies a patient, as MIMIC-CXR-JPG lies on disk

Everything is a function of seed, site and split. Nothing here was ever a patient.
"""

from __future__ import annotations

from engine.datasets.phantoms.mimic_tree import write_mimic
from engine.datasets.phantoms.model import Case, Film, FindingTruth, Rendered, Site
from engine.datasets.phantoms.picture import coarse_masks, display, render, show
from engine.datasets.phantoms.sampling import sample_case, transform_between
from engine.datasets.phantoms.sites import SITE_A, SITE_B, SITES
from engine.datasets.phantoms.studies import CaseFiles, write_case, write_studies
from engine.datasets.phantoms.training_set import write_training

__all__ = [
    "SITES",
    "SITE_A",
    "SITE_B",
    "Case",
    "CaseFiles",
    "Film",
    "FindingTruth",
    "Rendered",
    "Site",
    "coarse_masks",
    "display",
    "render",
    "sample_case",
    "show",
    "transform_between",
    "write_case",
    "write_mimic",
    "write_studies",
    "write_training",
]

"""The least a model must beat: a linear classifier on thumbnails of the current image.

One logistic regression for each finding on 16 x 16 grey values, its threshold chosen for the best F1 on the training
images. It sees brightness and its place, nothing finer, and no prior. Folders are as the phantom generator writes them:
``eval.jsonl`` for the images, ``truth.jsonl`` for what is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engine.datasets.libra import read_questions
from engine.errors import DatasetError, UnreadableFile
from engine.evaluation.meaning import Reading, finding_measures
from engine.evaluation.statistics import Floats, Patients, Score
from engine.evaluation.truth import Said, StudyTruth, own_classes, read_truth
from engine.reports.findings import Change, Side

SIDE = 16


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """``values`` float64 [studies, 256] in 0..1 and the truth of each study, in the same order."""

    values: Floats
    studies: tuple[StudyTruth, ...]


def load(folder: Path, limit: int | None = None) -> Thumbnails:
    """The current images of a folder as thumbnails, at most ``limit`` of them.

    Raises:
        DatasetError: a question without truth. UnreadableFile: an image that cannot be read.
    """
    questions = read_questions(folder / "eval.jsonl")[:limit]
    truth = read_truth(folder / "truth.jsonl")
    missing = [question.id for question in questions if question.id not in truth]
    if missing:
        raise DatasetError(f"The truth file says nothing of study {missing[0]}.")
    values = np.stack([_thumbnail(question.images[0]) for question in questions])
    return Thumbnails(values, tuple(truth[question.id] for question in questions))


def _thumbnail(path: Path) -> Floats:
    try:
        with Image.open(path) as picture:
            small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, UnidentifiedImageError, ValueError) as cause:
        raise UnreadableFile(f"'{path.name}' is not a picture that can be read.") from cause
    return np.asarray(small, dtype=np.float64).ravel() / 255


def evaluate(training: Thumbnails, test: Thumbnails, *, seed: int = 0) -> dict[str, Score]:
    """Train on one set, score on the other: the same finding scores as for texts, with intervals over patients."""
    classes = list(own_classes(training.studies))
    claims: list[dict[str, Said]] = [{} for _ in test.studies]
    for name in classes:
        there = np.array([bool(_present(study, name)) for study in training.studies])
        for claim, present in zip(claims, _predict(training.values, there, test.values, seed), strict=True):
            claim[name] = Said(bool(present), Side.UNSPECIFIED, Change.NOT_COMPARED)
    readings = [Reading(study, "", claim, study.has_prior) for study, claim in zip(test.studies, claims, strict=True)]
    patients = Patients([study.patient for study in test.studies])
    return patients.scores(finding_measures(readings, classes))


def _present(study: StudyTruth, name: str) -> bool:
    fact = study.facts.get(name)
    return fact is not None and fact.present


def _predict(values: Floats, there: np.ndarray, unseen: Floats, seed: int) -> Sequence[bool]:
    """What the classifier of one finding says of the unseen images."""
    if there.all() or not there.any():
        return [bool(there.all())] * len(unseen)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, random_state=seed))
    model.fit(values, there)
    threshold = _best_threshold(model.predict_proba(values)[:, 1], there)
    return [bool(probability >= threshold) for probability in model.predict_proba(unseen)[:, 1]]


def _best_threshold(probabilities: Floats, there: np.ndarray) -> float:
    """The threshold with the best F1, half-way between the probabilities it separates."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    claimed = np.arange(1, len(order) + 1)
    last = int(np.argmax(2 * np.cumsum(there[order]) / (claimed + there.sum())))
    return float((ranked[last] + ranked[last + 1]) / 2) if last + 1 < len(ranked) else float(ranked[last])

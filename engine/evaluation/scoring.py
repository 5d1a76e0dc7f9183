"""Answers against references and truth: every score with its interval, or why there is none.

Libra's keys (BLEU1..4, METEOR, ROUGE-L, Temporal_entity_score, Bert_score) are there whenever there are reference
texts; the scores of meaning come from a truth file where one is given, else from the reference texts. Studies are
matched by id; what has no partner is counted and said. Whether a study was to be compared follows what the model was
shown: answers made without the prior (``metadata.prior`` is "none") must not compare, a dummy prior counts as a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.datasets.libra import Answer, Reference
from engine.errors import InputError
from engine.evaluation import meaning, wording
from engine.evaluation.keys import LIBRA_KEYS
from engine.evaluation.statistics import Difference, Measure, Patients, Score
from engine.evaluation.truth import StudyTruth, from_reference, own_classes
from engine.reports.findings import CHEXPERT
from engine.reports.labels import EXTRACTOR_LINE


@dataclass(frozen=True)
class ScoreSheet:
    """Scores by key in the order they are shown, with what they rest on.

    ``missing`` are ids of studies without an answer, ``unknown`` ids of answers without a study; neither is scored.
    ``patients`` counts who is resampled; ``notes`` are sentences to print beside the figures.
    """

    scores: Mapping[str, Score]
    studies: int
    patients: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


class Evaluation:
    """References and truth, prepared once, to score one or several sets of answers against.

    Raises:
        InputError: neither references nor truth.
    """

    def __init__(self, references: Mapping[str, Reference], truth: Mapping[str, StudyTruth]) -> None:
        if not references and not truth:
            raise InputError("There is nothing to score against: give references, a truth file, or both.")
        self._references = references
        self._truth = truth
        self._classes = own_classes(truth.values()) if truth else dict(CHEXPERT)
        self._ids = tuple(truth) if truth else tuple(references)

    def score(self, answers: Mapping[str, Answer], *, intervals: bool = True) -> ScoreSheet:
        """Score one set of answers.

        Raises:
            InputError: not one answer belongs to a study.
        """
        ids = self._answered(answers)
        measures = self._measures(ids, answers)
        patients = self._patients(ids)
        scores = patients.scores(measures, intervals=intervals)
        missing = tuple(identity for identity in self._ids if identity not in answers)
        unknown = tuple(identity for identity in answers if identity not in set(self._ids))
        notes = self._notes(len(ids), missing, unknown)
        return ScoreSheet(self._ordered(scores), len(ids), patients.count, missing, unknown, notes)

    def compare(self, first: Mapping[str, Answer], second: Mapping[str, Answer]) -> dict[str, Difference]:
        """Second minus first, over the studies both answered.

        Raises:
            InputError: no study was answered by both.
        """
        both = [identity for identity in self._answered(first) if identity in second]
        if not both:
            raise InputError("The two answer files have no study in common.")
        patients = self._patients(both)
        found = patients.compare(self._measures(both, first), self._measures(both, second))
        return {name: found[name] for name in self._ordered(dict.fromkeys(found, Score(None))) if name in found}

    def _answered(self, answers: Mapping[str, Answer]) -> list[str]:
        ids = [identity for identity in self._ids if identity in answers]
        if not ids:
            raise InputError("None of the answers belongs to one of the studies: their ids do not match.")
        return ids

    def _patients(self, ids: Sequence[str]) -> Patients:
        return Patients([self._study(identity).patient for identity in ids])

    def _study(self, identity: str) -> StudyTruth:
        if identity in self._truth:
            return self._truth[identity]
        reference = self._references[identity]
        return from_reference(identity, reference.text, patient=reference.about.patient, has_prior=reference.has_prior)

    def _measures(self, ids: Sequence[str], answers: Mapping[str, Answer]) -> dict[str, Measure]:
        texts = [answers[identity].text for identity in ids]
        readings = []
        for identity, text in zip(ids, texts, strict=True):
            study = self._study(identity)
            compared = _compared(study, answers[identity])
            readings.append(meaning.read(study, text, self._classes, compared=compared))
        found = meaning.measures(readings, list(self._classes))
        if all(identity in self._references for identity in ids):
            return wording.measures([self._references[identity].text for identity in ids], texts) | found
        return wording.shape(texts) | found

    def _ordered(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Libra's keys first; where there are reference texts, also those of them that cannot be computed."""
        worded = "BLEU1" in scores
        ordered: dict[str, Score] = {}
        for name in LIBRA_KEYS:
            if name in scores:
                ordered[name] = scores[name]
            elif worded and name in wording.UNAVAILABLE:
                ordered[name] = Score(None, note=wording.UNAVAILABLE[name])
        return ordered | {name: score for name, score in scores.items() if name not in ordered}

    def _notes(self, scored: int, missing: Sequence[str], unknown: Sequence[str]) -> tuple[str, ...]:
        source = "the truth file" if self._truth else "the reference texts (14 CheXpert classes)"
        notes = [
            f"Findings and changes are read from the texts by rules ({EXTRACTOR_LINE}) and compared with {source}."
        ]
        known = self._truth or any(reference.about.patient for reference in self._references.values())
        if not known:
            notes.append("Patients are not known: every study counts as its own patient, intervals may be too narrow.")
        if missing:
            notes.append(f"{len(missing)} of {scored + len(missing)} studies have no answer and are not scored.")
        if unknown:
            notes.append(f"{len(unknown)} answers belong to no study and are not scored.")
        return tuple(notes)


def _compared(study: StudyTruth, answer: Answer) -> bool | None:
    """Whether the model had two images to compare: what the answer's metadata says, else what the study has."""
    shown = answer.metadata.get("prior")
    if shown == "none":
        return False
    if shown in ("true", "dummy"):
        return True
    return study.has_prior

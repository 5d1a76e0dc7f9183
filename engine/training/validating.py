"""Validation by what the model writes: held-out questions are answered as a draft is, and the texts are scored.

Not by the most likely next word after the true ones, which says little of a report: the model has to live with its own
words. Answers go through the drafting engine with the weights as they are at that moment.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist

from engine.datasets.libra import Answer, Reference, TrainingSample, read_answers, read_questions, read_references
from engine.drafting import Decoding, Engine
from engine.errors import DatasetError
from engine.evaluation.answering import answer
from engine.evaluation.scoring import Evaluation
from engine.evaluation.validation import Metric, metric
from engine.models.libra import LoadedLibra
from engine.models.record import RADIOGRAPHS
from engine.training.recipe import Validation

log = logging.getLogger(__name__)

LOSS = "loss"
SHOWN = ("BLEU4", "ROUGE-L", "Temporal_entity_score", "finding_f1_micro", "progression_accuracy",
         "prior_hallucination_rate", "missed_comparison_rate")  # fmt: skip
"""Scores of reports of chest radiographs that every evaluation gives besides the one that decides."""

SHOWN_OF_OTHERS = ("BLEU4", "ROUGE-L")
"""Of texts about other images: what reads findings and comparisons would find none, and call that right."""

SHOWN_OF_ANSWERS = ("vqa_score", "vqa_closed_accuracy", "vqa_open_f1", "vqa_open_recall")
"""Of short answers to questions."""


class Validator:
    """Held-out questions with their references, and the figure that says which weights are best.

    Args:
        modalities: DICOM modalities of the images.

    Raises:
        DatasetError: the questions cannot be used, or have no references.
        UsageError: an unknown metric.
    """

    def __init__(self, wanted: Validation, modalities: Collection[str] = RADIOGRAPHS) -> None:
        self.wanted = wanted
        self._modalities = frozenset(map(str.upper, modalities))
        self.questions = read_questions(wanted.questions, wanted.images)[: wanted.limit]
        references = read_references(wanted.questions)
        self.references: dict[str, Reference] = {q.id: references[q.id] for q in self.questions if q.reference}
        if len(self.references) < len(self.questions):
            missing = len(self.questions) - len(self.references)
            raise DatasetError(f"{missing} questions of '{wanted.questions.name}' have no reference to compare with.")
        self.metric: Metric | None = None if wanted.metric == LOSS else metric(wanted.metric)
        self.higher_is_better = self.metric is not None and self.metric.higher_is_better

    def learnt(self) -> list[TrainingSample]:
        """The questions with their true answers, as conversations."""
        return [
            TrainingSample(one.id, one.images, ((one.text, one.reference or ""),), one.about) for one in self.questions
        ]

    def texts(self, loaded: LoadedLibra, folder: Path, name: str) -> dict[str, str]:
        """The answer to every question (id -> text); written to ``folder/NAME.jsonl`` as well.

        In several processes each answers its share.
        """
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / (f"{name}.jsonl" if world == 1 else f"{name}.{rank}-of-{world}.jsonl")
        file.unlink(missing_ok=True)  # of a run that was killed and is resumed
        engine = Engine(loaded)
        decoding = Decoding(max_new_tokens=self.wanted.max_new_tokens)
        outcome = answer(engine, self.questions[rank::world], file, decoding=decoding)
        if outcome.failed:
            identity, reason = outcome.failed[0]
            raise DatasetError(f"A validation question cannot be answered ({identity}): {reason}")
        found = {key: value.text for key, value in read_answers(file).items()} if outcome.written else {}
        if world > 1:
            shares: list[dict[str, str]] = [{} for _ in range(world)]
            dist.all_gather_object(shares, found)
            found = {key: text for share in shares for key, text in share.items()}
        return {question.id: found[question.id] for question in self.questions}

    def scores(self, texts: Mapping[str, str]) -> dict[str, float]:
        """The deciding score and those that are shown, as far as they are defined for these studies."""
        answers = {key: Answer(key, "", text, "", "") for key, text in texts.items()}
        evaluation = Evaluation(self.references, {})
        shown: tuple[str, ...] = SHOWN
        if evaluation.task == "vqa":
            shown = SHOWN_OF_ANSWERS
        elif self._modalities.isdisjoint(RADIOGRAPHS):
            shown = SHOWN_OF_OTHERS
        sheet = evaluation.score(answers, intervals=False, wanted=shown).scores
        found: dict[str, float] = {}
        for name in shown:
            value = sheet[name].value if name in sheet else None
            if value is not None and math.isfinite(value):
                found[name] = value
        if self.metric is not None:
            found[self.metric.name] = self.metric(self.references, texts)
        return found

    def generated(self, texts: Mapping[str, str], stage: str, step: int, count: int = 8) -> list[dict[str, Any]]:
        """Some of the texts beside their references, for a person to read: lines of samples.jsonl."""
        return [
            {"stage": stage, "step": step, "id": question.id, "text": texts[question.id],
             "reference": self.references[question.id].text}
            for question in self.questions[:count]
        ]  # fmt: skip

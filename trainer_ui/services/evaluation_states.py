"""What an evaluation is doing really: told from its answers, its scores and its job, which may disagree."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.jobs.job import Job
from engine.jobs.job import State as JobState
from trainer_ui.services import jobs
from trainer_ui.services.jobs import Colour

EVALUATE, SCORE = "evaluate", "score"
JUDGED = "judged answers"
"""What a command counts while it asks a judge."""

SILENT_S = 600.0
"""Seconds after which an evaluation without a job that answers nothing more is taken for interrupted."""

Where = Literal[
    "waiting", "starting", "answering", "judging", "scoring", "stopping", "interrupted", "failed", "answered", "scored"
]

WORDS: Mapping[Where, tuple[str, Colour]] = {
    "waiting": ("waiting", "gray"),
    "starting": ("starting", "blue"),
    "answering": ("answering", "blue"),
    "judging": ("asking the judge", "blue"),
    "scoring": ("scoring", "blue"),
    "stopping": ("stopping", "orange"),
    "interrupted": ("interrupted: can be resumed", "orange"),
    "failed": ("some have not answered", "red"),
    "answered": ("answered, not scored", "orange"),
    "scored": ("scored", "green"),
}


@dataclass(frozen=True)
class Answers:
    """How far one model in one wording is: ``answered`` of ``total`` questions, None where that is not known."""

    name: str
    answered: int
    total: int | None
    left_out: int = 0
    error: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is to come any more."""
        return self.total is not None and self.answered + self.left_out >= self.total

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, (self.answered + self.left_out) / self.total) if self.total else 0.0

    @property
    def words(self) -> str:
        """Such as "base: 120 of 284"."""
        of = f" of {self.total:,}" if self.total is not None else ""
        left_out = f", {self.left_out:,} left out" if self.left_out else ""
        return f"{self.name}: {self.answered:,}{of}{left_out}"


def where_is(
    models: tuple[Answers, ...], answered: float, scored: bool, job: Job | None, waiting: Sequence[str]
) -> tuple[Where, str]:
    """What an evaluation is doing, and a sentence to go with that.

    Args:
        models: how far each is; () before it has begun.
        answered: when the last answer was written, seconds since 1970.
        scored: whether there are scores.
        job: the latest that worked on it.
        waiting: the ids of all jobs that wait, in their order.
    """
    if job is not None and job.active:
        return _at_work(models, job, waiting)
    if not models:
        return _never_begun(job)
    ended = job.ended if job is not None and job.ended is not None else 0.0
    missing = [one for one in models if not one.whole]
    if not missing:
        if scored:
            return "scored", ""
        failed = job is not None and job.state in (JobState.FAILED, JobState.CRASHED)
        return "answered", "Scoring ended with an error: the last lines of its job say which." if failed else ""
    if answered > ended and time.time() - answered < SILENT_S:
        return "answering", "It was started outside the studio."
    broken = [one for one in missing if one.error]
    if broken:
        return "failed", " ".join(f"{one.name}: {one.error}" for one in broken)
    return "interrupted", "It ended before all had answered. What was answered is kept."


def _at_work(models: tuple[Answers, ...], job: Job, waiting: Sequence[str]) -> tuple[Where, str]:
    if job.state is JobState.QUEUED:
        place = waiting.index(job.id) if job.id in waiting else 0
        return "waiting", "It is next." if place == 0 else f"It is number {place + 1} in the queue."
    if job.stopping:
        return "stopping", "It ends after the answers it is at. Then it can be resumed."
    told = job.progress
    if told is not None and told.words == JUDGED:
        return "judging", f"{told.done:,} of {told.total:,} answers are judged."
    if job.kind == SCORE or (told is not None and told.words == "systems"):
        return "scoring", ""
    if told is None:
        return "starting", "The model is being read. This takes a moment."
    return "answering", f"About {jobs.duration(told.seconds_left)} left." if told.seconds_left is not None else ""


def _never_begun(job: Job | None) -> tuple[Where, str]:
    if job is not None and job.state is JobState.FAILED:
        return "failed", "It could not begin: the last lines of its job say why."
    return "interrupted", "It ended before it had begun."

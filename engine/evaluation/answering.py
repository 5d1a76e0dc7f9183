"""Answers for a question file: one draft a question, written line by line, resumable, matched by id.

Each answer is a line of Libra's answer format, flushed before the next begins, so that an interrupted run loses nothing
it has said. ``metadata`` records what made the answer: the model's hash, the decoding and what stood in for the prior.
A question whose image cannot be read is left out and named at the end; the others go on.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from engine.datasets.libra import IMAGE_TEXT, Answer, Question, read_answers
from engine.drafting import Asking, Comparison, Decoding, Draft, ModelInfo
from engine.drafting.question import CONTEXT
from engine.errors import InputError, UsageError
from engine.imaging.reader import Reader

log = logging.getLogger(__name__)

Prior = Literal["true", "dummy", "none"]


class Drafter(Protocol):
    """What answers questions: `engine.drafting.Engine`, or a small stand-in."""

    info: ModelInfo

    def draft(self, comparison: Comparison, asking: Asking, *, decoding: Decoding | None) -> Draft:
        """The finished draft."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended: answers written now, answers found from before, and (id, reason) of questions left out."""

    written: int
    kept: int
    failed: tuple[tuple[str, str], ...]


def answer(
    engine: Drafter,
    questions: Sequence[Question],
    output: Path,
    *,
    decoding: Decoding,
    prior: Prior = "true",
    resume: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Answer every question that ``output`` does not answer yet.

    Args:
        engine: what drafts.
        questions: in the order they are answered.
        output: the answer file; must not exist unless ``resume``.
        decoding: the same for all.
        prior: "true" shows the prior where a question has one; "dummy" shows the current image in its place, still as
            a pair; "none" shows the current image alone.
        resume: keep the answers ``output`` already has; a line cut off by a crash is dropped.
        report: called with the questions done and their total.

    Raises:
        UsageError: ``output`` exists without ``resume``, or its answers were made with another model or settings.
        ModelError, ResourceError: from the engine; what was answered so far is kept.
    """
    made_with = {"prior": prior, "model_sha256": engine.info.sha256, "decoding": _plain(decoding)}
    kept = _kept(output, made_with) if resume else _fresh(output)
    failed: list[tuple[str, str]] = []
    done = 0
    with output.open("a", encoding="utf-8") as stream, Reader() as reader:
        for number, question in enumerate(questions, 1):
            if question.id not in kept:
                try:
                    line = _answer(engine, question, decoding, prior, made_with, reader).to_line()
                except InputError as error:
                    failed.append((question.id, str(error)))
                    log.warning("a question was left out: %s", type(error).__name__)
                else:
                    stream.write(line)
                    stream.flush()
                    done += 1
            if report is not None:
                report(number, len(questions))
    return Outcome(done, len(questions) - done - len(failed), tuple(failed))


def _answer(
    engine: Drafter, question: Question, decoding: Decoding, prior: Prior, made_with: dict[str, Any], reader: Reader
) -> Answer:
    began = time.perf_counter()
    prompt, _, context = question.text.replace(IMAGE_TEXT, "").strip().partition(CONTEXT)
    draft = engine.draft(_shown(question, prior, reader), Asking(prompt=prompt, context=context), decoding=decoding)
    shown = prior if len(question.images) == 2 else "none"
    metadata = made_with | {
        "prior": shown,
        "has_prior": len(question.images) == 2,
        "finished": draft.finished,
        "tokens": len(draft.token_ids),
        "seconds": round(time.perf_counter() - began, 3),
        "checks": [check.code for check in draft.checks],
        "demonstration": engine.info.demonstration,
    }
    return Answer(question.id, question.text, draft.text, uuid.uuid4().hex, engine.info.name, metadata)


def _shown(question: Question, prior: Prior, reader: Reader) -> Comparison:
    current = question.images[0]
    if len(question.images) == 1 or prior == "none":
        return Comparison.open(current, reader=reader)
    return Comparison.open(current, current if prior == "dummy" else question.images[1], reader=reader)


def _plain(decoding: Decoding) -> dict[str, Any]:
    return {name: value for name, value in vars(decoding).items() if value is not None}


def _fresh(output: Path) -> frozenset[str]:
    if output.exists():
        raise UsageError(f"'{output.name}' exists already. Give --resume to go on with it, or another name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    return frozenset()


def _kept(output: Path, made_with: dict[str, Any]) -> frozenset[str]:
    """Ids already answered, after cutting off a last line that was never finished."""
    if not output.exists() or not output.stat().st_size:
        return frozenset() if output.exists() else _fresh(output)
    data = output.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with output.open("r+b") as stream:
            stream.truncate(len(whole))
    if not whole:
        return frozenset()
    answers = read_answers(output)
    for found in answers.values():
        before = dict(found.metadata)
        same_prior = before.get("prior") == made_with["prior"] or not before.get("has_prior")
        if before.get("model_sha256") != made_with["model_sha256"] or not same_prior:
            raise UsageError(
                f"'{output.name}' holds answers of another model or with another prior; choose a new name."
            )
        if json.dumps(before.get("decoding"), sort_keys=True) != json.dumps(made_with["decoding"], sort_keys=True):
            raise UsageError(f"'{output.name}' holds answers made with other decoding settings; choose a new name.")
    return frozenset(answers)

"""Answers for a question file: one draft a question, written line by line, resumable, matched by id.

Each answer is a line of Libra's answer format, flushed as soon as there is one, so that an interrupted run loses
nothing it has said. Questions are answered side by side, so the lines come in no order: who reads them goes by their
ids. ``metadata`` records what made the answer: the model's hash, the decoding and what stood in for the prior. A
question whose image cannot be read is left out and named at the end; the others go on.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine import paths
from engine.datasets.libra import IMAGE_TEXT, Answer, Question, read_answers
from engine.drafting import Asking, Comparison, Decoding, Draft, ModelInfo
from engine.drafting.question import CONTEXT
from engine.errors import InputError, IntervalError, UsageError
from engine.imaging.reader import Reader

if TYPE_CHECKING:
    from engine.drafting.batches import BatchSize, Item, Result

log = logging.getLogger(__name__)

Prior = Literal["true", "dummy", "none"]

OPEN = 32
"""Questions whose images are held at once: enough to find some of about the same length to answer side by side."""


class Drafter(Protocol):
    """What answers questions: `engine.drafting.Engine`, or a small stand-in."""

    info: ModelInfo

    def draft_many(
        self, items: Sequence[Item], *, decoding: Decoding | None, batch_size: BatchSize
    ) -> Iterator[Result]:
        """The place of each item with its draft or error, in any order."""
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
    batch_size: BatchSize = "auto",
    resume: bool = False,
    beside: Sequence[Path] = (),
    report: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Answer every question that ``output`` does not answer yet.

    Args:
        engine: what drafts.
        questions: answered one after the other where ``batch_size`` is 1, else about so many at a time.
        output: the answer file; must not exist unless ``resume``.
        decoding: the same for all.
        prior: "true" shows the prior where a question has one; "dummy" shows the current image in its place, still as
            a pair; "none" shows the current image alone.
        batch_size: of the engine: so many answers are written side by side at most.
        resume: keep the answers ``output`` already has; a line cut off by a crash is dropped.
        beside: other files with answers of the same model, made in the same way; their questions are not asked again.
        report: called with the questions done and their total.

    Raises:
        UsageError: ``output`` exists without ``resume``, or answers there are were made with another model, in another
            precision, with other settings or to other questions.
        ModelError, ResourceError: from the engine; what was answered so far is kept.
    """
    made_with = {"prior": prior, "model_sha256": engine.info.sha256, "decoding": plain(decoding)}
    if engine.info.served:  # which model it was, only the server's word for it can tell
        made_with["served"] = engine.info.path
    known = _Known(engine.info, made_with, {question.id: question.text for question in questions})
    kept = known.kept(output) if resume else _fresh(output)
    for other in beside:
        kept |= known.answers(other)
    kept &= known.asked.keys()
    waiting = [question for question in questions if question.id not in kept]
    failed: dict[str, str] = {}
    written = 0
    opened = 1 if batch_size == 1 else OPEN
    with output.open("a", encoding="utf-8") as stream, Reader() as reader:
        for begin in range(0, len(waiting), opened):
            some = waiting[begin : begin + opened]
            for question, result in _drafts(engine, some, decoding, prior, batch_size, reader):
                if isinstance(result, InputError):
                    failed[question.id] = str(result)
                    log.warning("a question was left out: %s", type(result).__name__)
                elif isinstance(result, IntervalError):
                    raise result
                else:
                    stream.write(_line(question, result, prior, made_with))
                    stream.flush()
                    written += 1
                if report is not None:
                    report(len(questions) - len(waiting) + written + len(failed), len(questions))
    left_out = tuple((question.id, failed[question.id]) for question in waiting if question.id in failed)
    return Outcome(written, len(questions) - len(waiting), left_out)


def _drafts(
    engine: Drafter, questions: Sequence[Question], decoding: Decoding, prior: Prior, batch_size: BatchSize,
    reader: Reader,
) -> Iterator[tuple[Question, Draft | IntervalError]]:  # fmt: skip
    """What becomes of each question, in any order."""
    asked: list[Question] = []
    items: list[Item] = []
    for question in questions:
        prompt, _, context = question.text.replace(IMAGE_TEXT, "").strip().partition(CONTEXT)
        try:
            comparison = _shown(question, prior, reader)
        except InputError as error:
            yield question, error
        else:
            asked.append(question)
            items.append((comparison, Asking(prompt=prompt, context=context)))
    for place, result in engine.draft_many(items, decoding=decoding, batch_size=batch_size):
        yield asked[place], result


def _line(question: Question, draft: Draft, prior: Prior, made_with: dict[str, Any]) -> str:
    has_prior = len(question.images) == 2
    metadata = made_with | {
        "prior": prior if has_prior else "none",
        "has_prior": has_prior,
        "finished": draft.finished,
        "tokens": len(draft.token_ids) or draft.timings.tokens,
        "seconds": round(draft.timings.total_s, 3),
        "together": draft.timings.together,
        "checks": [check.code for check in draft.checks],
        "demonstration": draft.model.demonstration,
        "dtype": draft.model.dtype,
        "quantization": draft.model.quantization,
    }
    return Answer(question.id, question.text, draft.text, uuid.uuid4().hex, draft.model.name, metadata).to_line()


def _shown(question: Question, prior: Prior, reader: Reader) -> Comparison:
    current = question.images[0]
    if len(question.images) == 1 or prior == "none":
        return Comparison.open(current, reader=reader)
    return Comparison.open(current, current if prior == "dummy" else question.images[1], reader=reader)


def plain(decoding: Decoding) -> dict[str, Any]:
    """The settings that say something, as an answer's metadata has them."""
    return {name: value for name, value in vars(decoding).items() if value is not None}


def _fresh(output: Path) -> frozenset[str]:
    if output.exists():
        raise UsageError(f"'{output.name}' exists already. Give --resume to go on with it, or another name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    return frozenset()


@dataclass(frozen=True)
class _Known:
    """Answers there are, and whether they may stand beside those to come."""

    info: ModelInfo
    made_with: Mapping[str, Any]
    asked: Mapping[str, str]

    def kept(self, output: Path) -> frozenset[str]:
        """Ids already answered, after cutting off a last line that was never finished."""
        if not output.exists():
            return _fresh(output)
        data = output.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with output.open("r+b") as stream:
                stream.truncate(whole)
        return self.answers(output)

    def answers(self, file: Path) -> frozenset[str]:
        """Ids answered by the whole lines of a file, which another process may be writing.

        Raises UsageError for answers made in another way.
        """
        data = file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            return frozenset()
        with paths.scratch("answers") as folder:
            copy = folder / file.name  # errors name the file by this
            copy.write_bytes(whole)
            answers = read_answers(copy)
        precisions: set[tuple[str, str]] = set()
        for found in answers.values():
            before = found.metadata
            same_prior = before.get("prior") == self.made_with["prior"] or not before.get("has_prior")
            same_model = all(before.get(key) == self.made_with.get(key) for key in ("model_sha256", "served"))
            if not same_model or not same_prior:
                raise UsageError(
                    f"'{file.name}' holds answers of another model or with another prior; choose a new name."
                )
            if json.dumps(before.get("decoding"), sort_keys=True) != json.dumps(
                self.made_with["decoding"], sort_keys=True
            ):
                raise UsageError(f"'{file.name}' holds answers made with other decoding settings; choose a new name.")
            if found.prompt and found.prompt != self.asked.get(found.question_id, found.prompt):
                raise UsageError(
                    f"'{file.name}' holds answers to questions that were put otherwise; choose a new name."
                )
            if before.get("dtype") and before.get("quantization"):
                precisions.add((str(before["dtype"]), str(before["quantization"])))
        # Several are there where memory ran out in the middle and the engine went on in a smaller one.
        if precisions and (self.info.dtype, self.info.quantization) not in precisions:
            dtype, method = sorted(precisions)[0]
            raise UsageError(
                f"'{file.name}' holds answers in {dtype} with the quantisation {method}, and the model is now loaded "
                f"in {self.info.dtype} with {self.info.quantization}. Give --dtype {dtype} --quantization {method} to "
                "go on with it, or choose a new name."
            )
        return frozenset(answers)

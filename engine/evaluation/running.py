"""Every contender's answers to the same questions: one model in memory after the other, all of it resumable.

A model that cannot be loaded or fails in the middle does not hold up the others; what it has answered is kept. Several
processes share the questions of one folder (sharding.py).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.datasets.libra import Question
from engine.drafting import Decoding
from engine.errors import Cancelled, IntervalError, UsageError
from engine.evaluation import sharding
from engine.evaluation.answering import Drafter, Outcome, Prior, answer
from engine.evaluation.contenders import Contender
from engine.evaluation.folder import Folder, now
from engine.evaluation.sharding import Shard
from engine.models.memory import give_back

if TYPE_CHECKING:
    # Not at run time: it brings torch, and the command line imports this module's types first.
    from engine.drafting.batches import BatchSize

log = logging.getLogger(__name__)

KEPT_OF_INFO = ("sha256", "family", "dtype", "quantization", "parameters", "demonstration", "conversation", "license")


@dataclass(frozen=True)
class Way:
    """How all contenders are asked."""

    decoding: Decoding
    prior: Prior = "true"
    batch_size: BatchSize = "auto"
    resume: bool = False


@dataclass(frozen=True)
class Run:
    """What became of one contender: its outcome, or the error that ended it. ``whole``: nothing is missing any more."""

    name: str
    outcome: Outcome | None
    error: IntervalError | None = None
    whole: bool = False


def run(
    folder: Folder,
    contenders: Sequence[Contender],
    questions: Sequence[Question],
    load: Callable[[Contender], Drafter],
    way: Way,
    *,
    shard: Shard | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Run]:
    """Answer this process' share of the questions with each contender.

    Args:
        folder: where the answers go.
        contenders: one after the other; neighbours of the same model in other wordings share the loaded model.
        questions: all of them, also those of other processes.
        load: gives a contender's model.
        way: how they are asked; without ``resume`` a contender must not have answered before.
        shard: this process among several; the only one unless given.
        report: told the contender, the questions done and their number.

    Raises:
        UsageError: answers are there without ``resume``, before anything is loaded. Cancelled.
    """
    shard = shard or Shard()
    for one in contenders:
        written = shard.file(folder.answers(one.name))
        if written.exists() and not way.resume:
            raise UsageError(
                f"'{one.name}' has answered in '{folder.path.name}' before. Give --resume to go on, or another name."
            )
    for one in contenders:
        folder.enter(one)
    sharding.choose_card(shard)
    runs = []
    holder = _Holder(load)
    for one in contenders:
        try:
            runs.append(_one(folder, one, questions, holder, way, shard, report))
        except Cancelled:
            raise
        except IntervalError as error:
            log.warning("a contender ended with %s", type(error).__name__)
            folder.note(one.name, error=str(error))
            runs.append(Run(one.name, None, error.with_traceback(None)))
    return runs


class _Holder:
    """The one model that is in memory."""

    def __init__(self, load: Callable[[Contender], Drafter]) -> None:
        self._load = load
        self._key: tuple[str, Path | None, Path | None] | None = None
        self._engine: Drafter | None = None

    def engine(self, one: Contender) -> Drafter:
        """The contender's model; another one is given back first."""
        key = (one.place, one.adapter, one.base)
        if self._engine is None or key != self._key:
            self._engine, self._key = None, None
            gc.collect()
            give_back()
            self._engine, self._key = self._load(one), key
        return self._engine


def _one(
    folder: Folder, one: Contender, questions: Sequence[Question], holder: _Holder, way: Way, shard: Shard,
    report: Callable[[str, int, int], None] | None,
) -> Run:  # fmt: skip
    answers = folder.answers(one.name)
    mine = [one.prompt.of(question) for question in shard.mine(questions)]
    sharding.begin(shard, answers)
    own = shard.file(answers)
    beside = [part for part in sharding.parts(answers) if part != own]
    if way.resume and sharding.answered([own, *beside]).issuperset(question.id for question in mine):
        outcome = Outcome(0, len(mine), ())  # nothing is missing: the model need not be loaded
    else:
        engine = holder.engine(one)
        served = {"served": engine.info.path} if engine.info.served else {}
        said = {key: getattr(engine.info, key) for key in KEPT_OF_INFO} | served
        folder.note(one.name, **said, began=now(), error=None)
        outcome = answer(
            engine,
            mine,
            own,
            decoding=way.decoding,
            prior=way.prior,
            batch_size=way.batch_size,
            resume=way.resume,
            beside=beside,
            report=None if report is None else lambda done, total: report(one.name, done, total),
        )
        folder.note(one.name, ended=now())
    whole = sharding.finish(shard, answers, outcome.failed, questions)
    return Run(one.name, outcome, whole=whole)

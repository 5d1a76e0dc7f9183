"""Every answer of an evaluation put to a judge: once for each question, reference and answer, whoever gave it.

An answer that several systems gave is judged once. A reply that is no verdict is asked for again, once, with what is
wrong with it; then it stays invalid. Every line is written as soon as it is known, so that whatever ends this loses
nothing and the next run goes on. Answers that the judge's server refuses are left out and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine import paths
from engine.errors import ModelError
from engine.evaluation.folder import now
from engine.evaluation.judge import kept
from engine.evaluation.judge.kept import Item, Record
from engine.evaluation.judge.verdict import Invalid, Message, ask, ask_again, read
from engine.jobs.locking import held

PATIENCE = 5
"""Answers refused one after the other after which the judge is not asked any more."""


class Declined(Exception):
    """The judge cannot be asked about this one text."""


class Judge(Protocol):
    """What judges. ``id`` names it so that the same id says the same of the same text, as far as it can."""

    id: str

    def reply(self, messages: Sequence[Message]) -> str:
        """What it says. Raises Declined for this text, ModelError and ResourceError for all."""
        ...


@dataclass(frozen=True)
class Judged:
    """What came of it: answers put to the judge now, known from before, and left out because it declined."""

    asked: int
    known: int
    left_out: int


def judge_all(
    folder: Path,
    judge: Judge,
    items: Mapping[str, Sequence[Item]],
    report: Callable[[int, int], None] | None = None,
) -> Judged:
    """Judge the answers of each system; what ``folder`` holds of this judge is not asked for again.

    Args:
        folder: the evaluation's.
        items: name of the system -> its answers.
        report: told how many answers are judged, and of how many.

    Raises:
        ModelError, ResourceError: of the judge, or when it declined `PATIENCE` answers in a row; what was said is kept.
    """
    place = paths.ensure(folder / kept.FOLDER)
    total = sum(map(len, items.values()))
    done = 0
    with held(place / ".lock"):
        asking = _Asking(judge, _known(place))
        noted = False
        for name, answers in items.items():
            file = kept.file_of(folder, name)
            kept.mend(file)
            own = kept.records(file)
            with file.open("a", encoding="utf-8") as stream:
                for item in answers:
                    key = kept.key(judge.id, item)
                    if (item.id, key) not in own and (replies := asking.replies(key, item)) is not None:
                        stream.write(Record(item.id, key, replies).to_line(judge.id, now()))
                        stream.flush()
                    if not noted and key in asking.known:  # one that says nothing does not take another's place
                        kept.note(folder, judge.id, now())
                        noted = True
                    done += 1
                    if report is not None:
                        report(done, total)
    return Judged(asking.asked, total - asking.asked - asking.left_out, asking.left_out)


class _Asking:
    """The judge, with what it has said before; counts what it is asked and what it declines."""

    def __init__(self, judge: Judge, known: dict[str, tuple[str, ...]]) -> None:
        self._judge, self.known = judge, known
        self._declined: set[str] = set()
        self._in_a_row = 0
        self.asked = self.left_out = 0

    def replies(self, key: str, item: Item) -> tuple[str, ...] | None:
        """Its replies about an item, known or new; None where it declined."""
        if key not in self.known and key not in self._declined:
            try:
                self.known[key] = _replies(self._judge, item)
            except Declined as cause:
                self._declined.add(key)
                self._in_a_row += 1
                if self._in_a_row >= PATIENCE:
                    raise ModelError(
                        f"The judge declined {PATIENCE} answers in a row: {cause}. What was judged is kept."
                    ) from cause
            else:
                self.asked += 1
                self._in_a_row = 0
        self.left_out += key in self._declined
        return self.known.get(key)


def _known(place: Path) -> dict[str, tuple[str, ...]]:
    """Key -> replies, of all that was ever said in this folder."""
    return {key: one.replies for file in sorted(place.glob("*.jsonl")) for (_, key), one in kept.records(file).items()}


def _replies(judge: Judge, item: Item) -> tuple[str, ...]:
    """The judge's replies: one, or two where the first is no verdict."""
    messages = ask(item.question, item.reference, item.answer)
    first = judge.reply(messages)
    fault = read(first)
    if not isinstance(fault, Invalid):
        return (first,)
    try:
        return first, judge.reply(ask_again(messages, first, fault))
    except Declined:  # the second question is longer and may not fit
        return (first,)

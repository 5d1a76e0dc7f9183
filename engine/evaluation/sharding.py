"""One evaluation by several processes: who answers what, and their answers put together.

Processes are told apart as torchrun does it, by RANK and WORLD_SIZE in the environment, whoever starts them. Question
number i is answered by rank i % world, into a file of its own; the last one to finish puts all files together. Nobody
waits for anybody, so ranks may run at different times, and a rank that died is started again by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import paths
from engine.datasets.libra import Answer, Question, read_answers
from engine.errors import UsageError
from engine.jobs.locking import held

FAILED = ".failed.json"


@dataclass(frozen=True)
class Shard:
    """One of ``world`` processes; ``card`` is the GPU that is its own on its machine."""

    rank: int = 0
    world: int = 1
    card: int = 0

    def mine(self, questions: Sequence[Question]) -> list[Question]:
        """The questions this process answers."""
        return list(questions[self.rank :: self.world])

    def file(self, answers: Path) -> Path:
        """Where this process writes its part of an answer file."""
        if self.world == 1:
            return answers
        return answers.with_name(f"{answers.stem}.part-{self.rank}-of-{self.world}{answers.suffix}")


def from_environment() -> Shard:
    """The shard that torchrun, or whoever starts the processes, says this one is.

    Raises:
        UsageError: numbers that cannot be.
    """
    words = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1"), os.environ.get("LOCAL_RANK", "0")
    try:
        rank, world, card = map(int, words)
    except ValueError:
        rank, world, card = -1, 0, 0
    if not 0 <= rank < world or card < 0:
        raise UsageError(f"RANK={words[0]} and WORLD_SIZE={words[1]} in the environment are not a rank of a world.")
    return Shard(rank, world, card)


def choose_card(shard: Shard) -> None:
    """Have this process use its own GPU, where it is one of several and there are as many."""
    if shard.world == 1:
        return
    import torch

    if torch.cuda.is_available() and shard.card < torch.cuda.device_count():
        torch.cuda.set_device(shard.card)


def parts(answers: Path) -> list[Path]:
    """The files that hold answers of one contender: the whole, and what processes have written and nobody put in."""
    whole = [answers] if answers.exists() else []
    return whole + sorted(answers.parent.glob(f"{_escaped(answers.stem)}.part-*-of-*{answers.suffix}"))


def failed(answers: Path) -> dict[str, str]:
    """Question id -> why it was left out, as all processes have said when they finished."""
    found: dict[str, str] = {}
    for file in _failures(answers):
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def answered(files: Sequence[Path]) -> set[str]:
    """Ids of the questions that these files answer; files that are not there answer none."""
    return set().union(*(_ids(file) for file in files if file.exists()))


def read(answers: Path) -> dict[str, Answer]:
    """All answers of a contender, also those nobody has put together yet: its processes may still be writing.

    Raises:
        DatasetError: lines that are no answers.
    """
    lines = _together(parts(answers))
    if not lines:
        return {}
    with paths.scratch("answers") as folder:
        whole = folder / answers.name  # errors name the file by this
        whole.write_text("".join(lines.values()), encoding="utf-8")
        return read_answers(whole)


def begin(shard: Shard, answers: Path) -> None:
    """Forget what was left out the last time: this process tries its questions again."""
    for file in _failures(answers) if shard.world == 1 else (_said(shard, answers), _said(Shard(), answers)):
        file.unlink(missing_ok=True)


def finish(shard: Shard, answers: Path, left_out: Sequence[tuple[str, str]], questions: Sequence[Question]) -> bool:
    """Say what was left out, and put the parts together if nothing of any process is missing; whether that was done."""
    if left_out:
        _said(shard, answers).write_text(json.dumps(dict(left_out)), encoding="utf-8")
    with held(answers.with_name(f".{answers.stem}.lock")):
        done = answered(parts(answers)).union(failed(answers))
        if not done.issuperset(question.id for question in questions):
            return False
        merge(answers, [question.id for question in questions])
    return True


def merge(answers: Path, order: Sequence[str]) -> None:
    """Put all parts into the answer file, in the order of the questions; an answer that is there twice comes once."""
    found = parts(answers)
    if found == [answers] or not found:
        return
    lines = _together(found)
    places = {identity: place for place, identity in enumerate(order)}
    fresh = answers.with_name(f".{answers.name}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as stream:
        stream.writelines(lines[identity] for identity in sorted(lines, key=lambda one: places.get(one, len(places))))
    fresh.replace(answers)
    for part in found:
        if part != answers:
            part.unlink()


def _failures(answers: Path) -> list[Path]:
    return [
        file
        for pattern in (FAILED, f".part-*{FAILED}")
        for file in answers.parent.glob(f"{_escaped(answers.stem)}{pattern}")
    ]


def _said(shard: Shard, answers: Path) -> Path:
    return shard.file(answers).with_suffix(FAILED)


def _together(found: Sequence[Path]) -> dict[str, str]:
    """Question id -> line, of all files; of two answers to one question the first."""
    lines: dict[str, str] = {}
    for part in found:
        for identity, line in _lines(part):
            lines.setdefault(identity, line)
    return lines


def _ids(part: Path) -> set[str]:
    return {identity for identity, _ in _lines(part)}


def _lines(part: Path) -> Iterator[tuple[str, str]]:
    """(question id, line) of every whole line; a damaged one answers nothing, so its question is asked again."""
    for line in part.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            yield str(json.loads(line)["question_id"]), line + "\n"
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _escaped(name: str) -> str:
    """A file's name for glob; contenders' names hold none of its signs but are not trusted."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)

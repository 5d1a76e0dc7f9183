"""The evaluations of this machine: what each is doing really, how far each model is, and what can be done with it.

An evaluation is a folder below ``home()/evaluations``; one that waits in the queue for the first time has none yet and
is here all the same. What its job says and what lies in the folder are held against each other: a folder does not know
that whoever was answering has been killed.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import NotFound, UsageError
from engine.evaluation import sharding
from engine.evaluation.folder import DOCUMENT
from engine.jobs import files, queue
from engine.jobs.job import Job
from engine.jobs.job import State as JobState
from trainer_ui.services import datasets, evaluation_words, judges
from trainer_ui.services.evaluation_states import EVALUATE, SCORE, WORDS, Answers, Where, where_is
from trainer_ui.services.evaluation_words import Checkpoints, Wanted
from trainer_ui.services.jobs import Colour
from trainer_ui.services.judges import Judge

SCORES, CASES = "scores.json", "cases.jsonl"
Signature = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[^\W_][\w .-]{0,63}")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        where: what it is doing really; ``why`` a sentence to go with that, "" where there is nothing to say.
        models: how far each is; () before it has begun.
        questions: the name of the question file.
        made: begun or queued, seconds since 1970.
        job: the id of the latest job that worked on it, "" for none.
        begun: whether its folder is there; scored: whether there are scores to look at.
        outdated: answers came after the scores.
    """

    name: str
    path: Path
    where: Where
    why: str
    models: tuple[Answers, ...]
    questions: str
    made: float
    job: str
    begun: bool
    scored: bool
    outdated: bool

    @property
    def words(self) -> str:
        """Its state in words."""
        return "scored, but answers came after" if self.where == "scored" and self.outdated else WORDS[self.where][0]

    @property
    def colour(self) -> Colour:
        """Of the badge with the words."""
        return "orange" if self.outdated and self.where == "scored" else WORDS[self.where][1]

    @property
    def live(self) -> bool:
        """Whether what is shown of it may change by itself."""
        return self.where in ("waiting", "starting", "answering", "judging", "scoring", "stopping")

    @property
    def stoppable(self) -> bool:
        """Whether its job can be asked to stop."""
        return bool(self.job) and self.where in ("waiting", "starting", "answering", "judging", "scoring")

    @property
    def resumable(self) -> bool:
        """Whether answers are missing that can be made."""
        return self.begun and self.where in ("interrupted", "failed")

    @property
    def scorable(self) -> bool:
        """Whether there are answers to be scored and nobody is at it."""
        return self.begun and not self.live and any(one.answered for one in self.models)

    @property
    def when(self) -> str:
        """When it was begun, short."""
        return datetime.fromtimestamp(self.made).strftime("%Y-%m-%d %H:%M")


def root() -> Path:
    """Where evaluations are made. Not created here."""
    return paths.home() / "evaluations"


def overview() -> tuple[Evaluation, ...]:
    """All of them: those that run first, then those that wait, then the newest."""
    listed = queue.jobs()
    latest = _latest(listed)
    folders = [entry for entry in root().iterdir() if (entry / DOCUMENT).is_file()] if root().is_dir() else []
    waiting = [job.id for job in listed if job.state is JobState.QUEUED]
    found = [_evaluation(folder, latest.get(folder), waiting) for folder in folders]
    found += [
        _evaluation(path, job, waiting) for path, job in latest.items() if path not in folders and job.kind == EVALUATE
    ]
    return tuple(sorted(found, key=lambda one: (not one.live, one.where == "waiting", -one.made)))


def find(name: str) -> Evaluation:
    """The evaluation of this name. Raises NotFound."""
    one = next((one for one in overview() if one.name == name), None)
    if one is None:
        raise NotFound(f"There is no evaluation {name}: it may have been deleted.")
    return one


def signature(found: tuple[Evaluation, ...]) -> Signature:
    """Changes when a page that shows them has to be drawn anew."""
    return tuple((one.name, one.words) for one in found)


def document(path: Path) -> dict[str, Any]:
    """What evaluation.json says; {} where it says nothing."""
    return files.read(path / DOCUMENT) or {}


def left_out(path: Path) -> dict[str, dict[str, str]]:
    """Name of a model -> question id -> why it could not be answered, where that is so."""
    names = [str(entry["name"]) for entry in document(path).get("contenders") or ()]
    found = {name: sharding.failed(path / "answers" / f"{name}.jsonl") for name in names}
    return {name: reasons for name, reasons in found.items() if reasons}


def fresh(name: str) -> Path:
    """The folder for an evaluation of this name. Raises UsageError for a name that cannot be had."""
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise UsageError("A name begins with a letter or a digit; letters, digits, blanks, - _ and . may follow.")
    if name.casefold() in _taken():
        raise UsageError(f"There is an evaluation {name} already. Choose another name.")
    return root() / name


def suggested(base: str) -> str:
    """A name that is free: ``base``, or with a number behind it."""
    base = re.sub(r"[^\w .-]+", "-", base).strip(" .-_")[:48] or "evaluation"
    taken = _taken()
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name.casefold() not in taken)


def begin(wanted: Wanted) -> Job:
    """Queue an evaluation: answers, then scores. Raises UsageError, OSError."""
    folder = fresh(wanted.name)
    said = evaluation_words.words(wanted, folder)
    evaluation_words.remember(wanted.checkpoints)
    if wanted.judge is not None:
        judges.remember(wanted.judge)
    return queue.add(EVALUATE, f"Evaluate {folder.name}", said, folder)


def resume(name: str) -> Job:
    """Queue what is missing of an evaluation. Raises NotFound, UsageError."""
    one = find(name)
    if not one.resumable:
        raise UsageError(f"{name} is {one.words}: there is nothing to resume.")
    before = _began(one)
    said = evaluation_words.again(before) if before else evaluation_words.rebuilt(document(one.path), one.path)
    return queue.add(EVALUATE, f"Resume {name}", said, one.path)


def score(name: str, against: str, checkpoints: Checkpoints, judge: Judge | None = None) -> Job:
    """Queue the scoring of what has been answered, for the task it was scored for before; a judge is asked first.

    Raises NotFound, UsageError, OSError.
    """
    one = find(name)
    if not one.scorable:
        raise UsageError(f"{name} is {one.words}: there is nothing to score.")
    evaluation_words.remember(checkpoints)
    if judge is not None:
        judges.remember(judge)
    task = evaluation_words.task_of(_began(one)) or ("vqa" if _task(one.path) == "vqa" else "")
    said = evaluation_words.scoring(one.path, against, checkpoints, task=task, judge=judge)
    title = f"Judge and score {name}" if judge is not None else f"Score {name}"
    return queue.add(SCORE, title, said, one.path)


def stop(name: str) -> None:
    """Ask it to stop, or take it out of the queue; what was answered stays. Raises NotFound, UsageError."""
    one = find(name)
    if not one.stoppable:
        raise UsageError(f"{name} is {one.words}: there is nothing to stop.")
    queue.request_stop(one.job)


def delete(name: str) -> None:
    """Delete an evaluation with its answers and its scores, for good. Raises NotFound, UsageError."""
    one = find(name)
    if one.live:
        raise UsageError(f"{name} has not ended. Stop it first.")
    if one.begun:
        gone = one.path.with_name(f".deleted-{time.time_ns()}")  # out of sight first: no half of it is ever shown
        one.path.rename(gone)
        shutil.rmtree(gone)
    for job in queue.jobs():
        if job.result == one.path and not job.active:
            queue.remove(job.id)


def _began(one: Evaluation) -> tuple[str, ...]:
    """The words of the job that began an evaluation, or went on with it; () where it was begun elsewhere."""
    began = [job for job in queue.jobs() if job.kind == EVALUATE and job.result == one.path]
    return max(began, key=lambda job: job.made).words if began else ()


def _task(path: Path) -> str:
    """What its answers were last scored as."""
    return str((files.read(path / SCORES) or {}).get("task") or "")


def _taken() -> set[str]:
    begun = {job.result.name for job in queue.jobs() if job.active and job.result is not None and _ours(job)}
    there = {entry.name for entry in root().iterdir()} if root().is_dir() else set()
    return {name.casefold() for name in begun | there}


def _ours(job: Job) -> bool:
    return job.kind in (EVALUATE, SCORE) and job.result is not None and job.result.parent == root()


def _latest(listed: tuple[Job, ...]) -> Mapping[Path, Job]:
    """The latest job of every evaluation."""
    found: dict[Path, Job] = {}
    for job in listed:
        if _ours(job) and job.result is not None:
            known = found.get(job.result)
            if known is None or (job.active, job.made) > (known.active, known.made):
                found[job.result] = job
    return found


def _evaluation(path: Path, job: Job | None, waiting: list[str]) -> Evaluation:
    said = document(path)
    models = _models(path, said)
    scores = path / SCORES
    answered = _newest(path)
    scored = scores.is_file()
    where, why = where_is(models, answered, scored, job, waiting)
    questions = (said.get("asked") or {}).get("questions") or {}
    return Evaluation(
        name=path.name,
        path=path,
        where=where,
        why=why,
        models=models,
        questions=Path(str(questions.get("file", ""))).name,
        made=_made(said) or (job.made if job is not None else answered),
        job=job.id if job is not None else "",
        begun=bool(said),
        scored=scored,
        outdated=scored and answered > scores.stat().st_mtime,
    )


def _models(path: Path, said: Mapping[str, Any]) -> tuple[Answers, ...]:
    total = _total(said.get("asked") or {})
    found = []
    for entry in said.get("contenders") or ():
        answers = path / "answers" / f"{entry['name']}.jsonl"
        count = sum(_lines(part, *_stamp(part)) for part in sharding.parts(answers))
        left_out = len(sharding.failed(answers))
        known = total if total is not None else (count + left_out if entry.get("ended") else None)
        found.append(Answers(str(entry["name"]), count, known, left_out, str(entry.get("error") or "")))
    return tuple(found)


def _total(asked: Mapping[str, Any]) -> int | None:
    """How many questions there are; None where their file is gone."""
    file = (asked.get("questions") or {}).get("file")
    data = datasets.inspect(Path(str(file))) if file else None
    if data is None:
        return None
    return min(data.rows, int(asked["limit"])) if asked.get("limit") else data.rows


def _made(said: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(said["made"])).timestamp()
    except (KeyError, ValueError):
        return 0.0


def _newest(path: Path) -> float:
    """When the last answer was written, seconds since 1970; 0 for none."""
    return max((_stamp(file)[1] / 1e9 for file in (path / "answers").glob("*.jsonl")), default=0.0)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _lines(path: Path, size: int, changed: int) -> int:
    """Whole lines of a file, as long as it stays as it is; none of one that was just put into another."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0

"""An evaluation's folder scored: every contender and the naive baselines, each against one of them, part by part.

Differences are tested on the headline scores alone, contenders against the one chosen, over the studies both answered;
their p values are corrected after Holm over all those tests together. Everything else has intervals and no test.
Baselines are there to be seen beside the models and are not among the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from engine.datasets.libra import Answer, Question, Reference, read_questions, read_references
from engine.datasets.libra import read_training as read_samples
from engine.errors import DatasetError, InputError, UsageError
from engine.evaluation import sharding, subgroups
from engine.evaluation.cases import Case, cases
from engine.evaluation.comparing import Comparison, compared
from engine.evaluation.folder import Folder, changed, file_of
from engine.evaluation.judge import results
from engine.evaluation.judge.kept import Item
from engine.evaluation.judge.results import Said
from engine.evaluation.keys import headline
from engine.evaluation.naive import Naive, naive, rows_of
from engine.evaluation.naive_vqa import Turns, usual_answer
from engine.evaluation.scoring import Evaluation, Scorer, ScoreSheet, Tally, Task
from engine.evaluation.subgroups import Part, Study
from engine.evaluation.truth import read_truth

Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class System:
    """One that answered, scored.

    Attributes:
        name, title: in the folder, and for people.
        baseline: whether it is a naive one and no model.
        about: of a contender, what evaluation.json says.
        note: where a baseline's answers come from, or why there is no figure.
        sheet: its scores; None where it has answered nothing.
        comparison: with the chosen system; empty for that one itself.
        parts: its scores by sex, age, view and prior.
        precisions: in which it wrote, "dtype, quantisation".
        left_out: questions it could not answer.
        cut_off: answers that ended because they were too long.
        seconds: of half of its answers at most; None where not known.
    """

    name: str
    title: str
    baseline: bool
    about: Mapping[str, Any]
    note: str
    sheet: ScoreSheet | None
    comparison: Comparison = field(default_factory=Comparison)
    parts: Sequence[Part] = ()
    precisions: tuple[str, ...] = ()
    left_out: int = 0
    cut_off: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Assessment:
    """An evaluation, scored.

    Attributes:
        document: evaluation.json.
        systems: contenders in their order, then baselines.
        against: name of the system the others are compared with.
        tested: keys that were tested; ``tests``: how many tests the correction is over.
        studies, patients: of the evaluation, whoever answered them.
        with_prior: studies with a prior; None where that is not known of all.
        positives: class of findings -> studies in which it is there.
        notes: sentences that hold for all figures.
        cases: every answer by itself.
        task: what the answers are.
        judge: what a judge said of short answers, where one was asked.
    """

    document: Mapping[str, Any]
    systems: Sequence[System]
    against: str
    tested: tuple[str, ...]
    tests: int
    studies: int
    patients: int
    with_prior: int | None
    positives: Mapping[str, int]
    notes: tuple[str, ...]
    cases: Sequence[Case]
    task: Task = "report"
    judge: results.Results | None = None


def assess(
    folder: Folder,
    *,
    against: str = "",
    scorers: Sequence[Scorer] = (),
    references: Path | None = None,
    truth: Path | None = None,
    task: Task | None = None,
    grades: Path | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Assessment:
    """Score a folder.

    Args:
        folder: with answers; processes may still be writing some.
        against: the system that the others are compared with; the base of the first tuned model unless given, else the
            first model.
        scorers: that need a checkpoint or an environment.
        references, truth: instead of the files that the evaluation names.
        task: what the answers are; unless given, what the references look like.
        grades: of people, for the same answers as a judge's, in place of those that the folder keeps.
        report: told how many systems are scored, and of how many.

    Raises:
        DatasetError: a file is not there any more or has changed. UsageError: there is no such system.
        InputError: nobody has answered, or there is nothing to score against.
    """
    document = folder.document()
    material = _Material.read(document, references, truth)
    evaluation = Evaluation(material.references, material.truth, scorers, task)
    shown = headline(evaluation.task)
    contenders = _contenders(folder, document)
    asked = {entry["name"]: results.items(material.references, found) for entry, found in contenders}
    said = Said.read(folder.path, asked if evaluation.task == "vqa" else {})
    baselines = material.baselines(evaluation)
    total = len(contenders) + len(baselines)
    systems: list[System] = []
    tallies: dict[str, Tally] = {}
    found: list[Case] = []
    named: list[tuple[System, Mapping[str, Answer]]] = [
        *((_contender(folder, entry, answers), answers) for entry, answers in contenders),
        *((_baseline(one), one.answers) for one in baselines),
    ]
    for number, (system, answers) in enumerate(named, 1):
        if not set(answers).isdisjoint(evaluation.ids):
            tally = tallies[system.name] = said.added_to(evaluation.tally(answers), system.name)
            system = replace(
                system,
                sheet=evaluation.sheet(tally, answers),
                parts=subgroups.parts(tally, material.studies, shown),
            )
            judged = said.of.get(system.name, {})
            found += cases(evaluation, system.name, answers, material.references, tally, judged)
        systems.append(system)
        if report is not None:
            report(number, total)
    against = _chosen(against, systems)
    naive_ones = {system.name for system in systems if system.baseline}
    held = compared(evaluation, tallies, against, shown, untested=naive_ones)
    systems = [replace(one, comparison=held.found.get(one.name, Comparison())) for one in systems]
    priors = [material.studies[identity].has_prior for identity in evaluation.ids if identity in material.studies]
    return Assessment(
        document=document,
        systems=systems,
        against=against,
        tested=held.keys,
        tests=held.tests,
        studies=len(evaluation.ids),
        patients=len(set(map(evaluation.owner, evaluation.ids))),
        with_prior=None if None in priors or not priors else sum(map(bool, priors)),
        positives=_positives(evaluation),
        notes=material.notes,
        cases=found,
        task=evaluation.task,
        judge=said.results(evaluation, tallies, against, grades),
    )


def to_judge(
    folder: Folder, *, references: Path | None = None, truth: Path | None = None, task: Task | None = None
) -> dict[str, list[Item]]:
    """What there is for a judge: name of the system -> its answers that have a reference.

    Raises:
        UsageError: the answers are reports. Besides, as `assess`.
    """
    document = folder.document()
    material = _Material.read(document, references, truth)
    evaluation = Evaluation(material.references, material.truth, (), task)
    if evaluation.task != "vqa":
        raise UsageError("A judge grades short answers to questions, and these look like reports: --task vqa if not.")
    found = _contenders(folder, document)
    return {entry["name"]: results.items(material.references, answers) for entry, answers in found if answers}


def _contenders(folder: Folder, document: Mapping[str, Any]) -> Sequence[tuple[Mapping[str, Any], Answers]]:
    """Who was asked, with their answers. Raises InputError where nobody has answered."""
    found = [(entry, sharding.read(folder.answers(entry["name"]))) for entry in document["contenders"]]
    if not any(answers for _, answers in found):
        raise InputError(f"Nobody has answered in '{folder.path.name}' yet.")
    return found


@dataclass(frozen=True)
class _Material:
    """All that answers are held against."""

    questions: Sequence[Question]
    rows: Sequence[Mapping[str, Any]]
    references: Mapping[str, Reference]
    truth: Mapping[str, Any]
    studies: Mapping[str, Study]
    training: Turns
    notes: tuple[str, ...]

    def baselines(self, evaluation: Evaluation) -> tuple[Naive, ...]:
        """What could be answered without a look at the images."""
        if evaluation.task == "vqa":
            return (usual_answer(self.references, self.training),)
        return naive(self.rows, set(evaluation.ids), [answer for _, answer in self.training])

    @classmethod
    def read(cls, document: Mapping[str, Any], references: Path | None, truth: Path | None) -> _Material:
        """What the evaluation names, or what is given instead."""
        asked = document["asked"]
        for key in ("questions", "references", "truth"):
            if changed(asked, key):
                raise DatasetError(
                    f"'{Path(asked[key]['file']).name}' has changed since it was evaluated on; its answers cannot be "
                    "held against it. Evaluate again in a new folder."
                )
        file = _there(asked, "questions")
        images = Path(asked["images"]) if asked.get("images") else None
        assert file is not None
        questions = read_questions(file, images)[: asked["limit"]]
        ids = {question.id for question in questions}
        elsewhere = references or _there(asked, "references")
        found = _own(questions) if elsewhere is None else _about(read_references(elsewhere), questions)
        truth = truth or _there(asked, "truth")
        facts = {key: value for key, value in (read_truth(truth) if truth else {}).items() if key in ids}
        training = _there(asked, "training")
        samples = read_samples(training) if training else []
        studies = {
            question.id: Study(
                question.about, facts[question.id].has_prior if question.id in facts else _paired(question)
            )
            for question in questions
        }
        kept = {key: value for key, value in found.items() if key in ids}
        notes = []
        if not facts and len(kept) < len(questions):
            notes.append(f"{len(questions) - len(kept)} of {len(questions)} questions have no reference text.")
        return cls(
            questions, rows_of(file, found), kept, facts, studies, [turn for s in samples for turn in s.turns],
            tuple(notes),
        )  # fmt: skip


def _there(asked: Mapping[str, Any], key: str) -> Path | None:
    """A file the evaluation names. Raises DatasetError where it has gone."""
    file = file_of(asked, key)
    if file is not None and not file.is_file():
        raise DatasetError(f"The {key} file '{file.name}' is not where it was; put it back or name it: --{key} FILE.")
    return file


def _own(questions: Sequence[Question]) -> dict[str, Reference]:
    """The references that the questions carry themselves."""
    return {question.id: _of(question, question.reference) for question in questions if question.reference is not None}


def _about(references: Mapping[str, Reference], questions: Sequence[Question]) -> dict[str, Reference]:
    """References from another file, about whom the questions say."""
    asked = {question.id: question for question in questions}
    return {
        identity: _of(asked[identity], one.text) if identity in asked else one for identity, one in references.items()
    }


def _of(question: Question, text: str) -> Reference:
    said = question.kind, question.form, question.text, str(question.images[0])
    return Reference(text, question.about, _paired(question), *said)


def _paired(question: Question) -> bool:
    return len(question.images) == 2 and question.images[0] != question.images[1]


def _contender(folder: Folder, entry: Mapping[str, Any], answers: Mapping[str, Answer]) -> System:
    said = [answer.metadata for answer in answers.values()]
    seconds = [float(one["seconds"]) for one in said if isinstance(one.get("seconds"), int | float)]
    precisions = {f"{one['dtype']}, {one['quantization']}" for one in said if one.get("dtype")}
    left_out = set(sharding.failed(folder.answers(entry["name"]))) - answers.keys()
    note = "" if answers else f"n/a, because it has answered nothing. {entry.get('error') or ''}".strip()
    return System(
        name=entry["name"],
        title=entry["name"],
        baseline=False,
        about=entry,
        note=note,
        sheet=None,
        precisions=tuple(sorted(precisions)),
        left_out=len(left_out),
        cut_off=sum(one.get("finished") == "length" for one in said),
        seconds=median(seconds) if seconds else None,
    )


def _baseline(one: Naive) -> System:
    return System(one.name, one.title, True, {}, one.note, None)


def _chosen(against: str, systems: Sequence[System]) -> str:
    """The system that the others are compared with."""
    scored = {system.name for system in systems if system.sheet is not None}
    if against:
        if against not in scored:
            raise UsageError(f"'{against}' has no scores here. There are: {', '.join(sorted(scored))}.")
        return against
    bases = [str(system.about.get("tuned_from") or "") for system in systems if system.sheet is not None]
    return next((base for base in bases if base in scored), "") or next(s.name for s in systems if s.sheet is not None)


def _positives(evaluation: Evaluation) -> dict[str, int]:
    if evaluation.task == "vqa":
        return {}
    facts = (fact for identity in evaluation.ids for fact in evaluation.study(identity).facts.values())
    return dict(Counter(fact.name for fact in facts if fact.present))

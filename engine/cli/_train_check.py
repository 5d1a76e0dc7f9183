"""What ``train RECIPE --check`` finds: whether a recipe would run, before anything is trained.

Everything is looked at, also where something else is wrong already: the model's headers, every row of every file, who
is in the training and in the validation files, the figure that chooses the best weights, and the memory. An *error* is
what training itself would stop at; a *warning* is what it would not, and what should be known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.cli._progress import Progress
from engine.errors import DatasetError, IntervalError, ModelError

if TYPE_CHECKING:
    from engine.datasets.checking import Checked, Issue
    from engine.training.preview import Forecast, Reader
    from engine.training.recipe import Recipe, Validation
    from engine.training.validating import Validator

Severity = Literal["ok", "warning", "error"]
SHOWN = 200
"""Rows that are named of each finding."""

WORKERS = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what, in a word or two.
        says: what was found, as sentences.
        rows: (row, reason) of the file, the first SHOWN; ``more`` are not named.
    """

    subject: str
    severity: Severity
    says: str
    rows: tuple[tuple[int, str], ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Verdict:
    """All findings, and the memory of every stage as far as it could be planned."""

    findings: tuple[Finding, ...]
    memory: tuple[Forecast, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands against starting."""
        return not any(found.severity == "error" for found in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        memory = [asdict(one) | {"fits": one.fits, "says": one.words()} for one in self.memory]
        return {"ok": self.ok, "findings": [asdict(found) for found in self.findings], "memory": memory}

    def lines(self) -> Iterator[str]:
        """For a person at a terminal."""
        for found in self.findings:
            yield f"{found.severity:<8} {found.subject}: {found.says}"
            yield from (f"           row {row}: {reason}" for row, reason in found.rows[:10])
            left = found.more + max(0, len(found.rows) - 10)
            if left:
                yield f"           ... and {left} more"


def check(recipe: Recipe) -> Verdict:
    """Look at everything that a recipe names. What is wrong is in the verdict; raises nothing of ours for it."""
    findings: list[Finding] = []
    reader, found = _model(recipe)
    findings.append(found)
    training, readable = _training(recipe, reader)
    findings += training
    if recipe.llamafactory is not None:
        findings.append(_factory())
    validator: Validator | None = None
    if recipe.validation is None:
        says = "None. Nothing will say which weights are the best, or when the model begins to learn by heart."
        findings.append(Finding("validation", "warning", says))
    else:
        validator, about = _validation(recipe.validation)
        findings += about
        if validator is not None and readable:
            findings.append(_patients(recipe, validator))
    memory: list[Forecast] = []
    if reader is not None and readable and recipe.start is not None:
        memory, about_memory = _memory(recipe)
        findings += about_memory
    return Verdict(tuple(findings), tuple(memory))


def _model(recipe: Recipe) -> tuple[Reader | None, Finding]:
    from engine.models import adapters
    from engine.training.preview import Reader

    if recipe.start is None:
        return None, Finding("start model", "ok", "None: it begins with random weights. Its memory is planned later.")
    try:
        if adapters.is_adapter(recipe.start.expanduser()) and recipe.lora is not None:
            raise ModelError(f"{recipe.start.name} is an adapter. Merge it first, then train on the merged model.")
        reader = Reader(recipe.start, recipe.conversation, recipe.llamafactory)
    except IntervalError as error:
        return None, Finding("start model", "error", _words(error))
    if recipe.projector is not None and not recipe.projector.expanduser().exists():
        return reader, Finding("start model", "error", f"There is no projector {recipe.projector}.")
    room = min(reader.room, recipe.max_length or reader.room)
    return reader, Finding("start model", "ok", f"{recipe.start.name} can be read and has room for {room:,} positions.")


def _factory() -> Finding:
    from engine.training.factory.driver import ready

    try:
        ready()
    except IntervalError as error:
        return Finding("LLaMA-Factory", "error", _words(error))
    return Finding("LLaMA-Factory", "ok", "Its environment is ready.")


def _training(recipe: Recipe, reader: Reader | None) -> tuple[list[Finding], bool]:
    """What is wrong with the files to learn from, and whether all of their rows can be read."""
    from engine.datasets.checking import check as check_file

    findings, readable = [], True
    for file in recipe.samples:
        subject = f"training data, {file.name}"
        checked = check_file(file, recipe.images, workers=WORKERS, progress=Progress(file.name, "images"))
        readable &= checked.ok
        if checked.form != "training":
            says = "It holds questions to be answered, not samples with conversations to learn from."
            findings.append(Finding(subject, "error", says))
            readable = False
            continue
        issues = list(checked.issues)
        if reader is not None:
            too_long, odd = _measured(checked, reader, recipe)
            issues = [one for one in issues if one.kind != "long-text"] + too_long  # words are a guess, tokens are not
            if odd:
                findings.append(_finding(subject, "error", f"{len(odd):,} samples cannot be put to this model.", odd))
                readable = False
        findings += _of_file(subject, checked, issues, "samples")
    return findings, readable


def _measured(checked: Checked, reader: Reader, recipe: Recipe) -> tuple[list[Issue], list[tuple[int, str]]]:
    """Samples that are longer than the model has room for, and (row, reason) of those it cannot be shown at all."""
    from engine.datasets.checking import Issue
    from engine.datasets.libra import TrainingSample

    room = min(reader.room, recipe.max_length or reader.room)
    severity: Literal["warning", "error"] = "warning" if recipe.too_long == "leave out" else "error"
    progress = Progress(checked.file.name, "samples measured")
    too_long: list[Issue] = []
    odd: list[tuple[int, str]] = []
    for done, (case, row) in enumerate(zip(checked.cases, checked.numbers, strict=True), 1):
        progress(done, len(checked.cases))
        try:
            positions = reader.show(case).positions if isinstance(case, TrainingSample) else 0
        except DatasetError as error:
            odd.append((row, str(error)))
            continue
        if positions > room:
            reason = f"{positions:,} positions with its images; there is room for {room:,}"
            too_long.append(Issue(row, case.id, severity, "too-long", reason))
    return too_long, odd


def _of_file(subject: str, checked: Checked, issues: Sequence[Issue], rows: str) -> list[Finding]:
    from engine.datasets.checking import KINDS

    if not issues:
        says = f"{checked.rows:,} {rows} with {checked.images:,} images; nothing is wrong."
        return [Finding(subject, "ok", says)]
    findings = []
    for severity in ("error", "warning"):
        some = [one for one in issues if one.severity == severity]
        if some:
            counts = Counter(one.kind for one in some)
            kinds = ", ".join(f"{KINDS[kind]} ({count:,})" for kind, count in counts.items())
            says = f"{kinds[0].upper()}{kinds[1:]}, in {checked.rows:,} {rows}."
            findings.append(_finding(subject, severity, says, [(one.row, one.reason) for one in some]))
    return findings


def _validation(wanted: Validation) -> tuple[Validator | None, list[Finding]]:
    from engine.datasets.checking import check as check_file
    from engine.training.validating import Validator

    subject = f"validation, {wanted.questions.name}"
    checked = check_file(wanted.questions, wanted.images, workers=WORKERS, progress=Progress(subject, "images"))
    if checked.form == "training":
        says = "It holds samples to learn from. Validation takes questions with references (eval.jsonl)."
        return None, [Finding(subject, "error", says)]
    findings = _of_file(subject, checked, checked.issues, "questions")
    if not checked.ok:
        return None, findings
    try:
        validator = Validator(wanted)
        if validator.metric is not None and validator.metric.warning:
            findings.append(Finding("best weights", "warning", validator.metric.warning))
        if validator.metric is not None:
            perfect = validator.metric(
                validator.references, {name: one.text for name, one in validator.references.items()}
            )
            if not math.isfinite(perfect):
                says = f"{wanted.metric} is not defined for these questions, so it could not choose. Take another one."
                findings.append(Finding("best weights", "error", says))
    except IntervalError as error:
        return None, [*findings, Finding("best weights", "error", _words(error))]
    if not any(found.subject == "best weights" for found in findings):
        some = min(wanted.limit, checked.rows)
        says = f"Chosen by {wanted.metric}, of what is written to {some:,} held-out questions."
        findings.append(Finding("best weights", "ok", says))
    return validator, findings


def _patients(recipe: Recipe, validator: Validator) -> Finding:
    from engine.datasets.leakage import refuse_shared_patients
    from engine.datasets.libra import read_training

    samples = [sample for file in recipe.samples for sample in read_training(file, recipe.images)]
    try:
        refuse_shared_patients(samples, validator.questions)
    except DatasetError as error:
        severity: Severity = "error" if recipe.shared_patients == "refuse" else "warning"
        return _finding("patients", severity, str(error), error.rows)
    return Finding("patients", "ok", "Nobody who is learnt from is in the validation, by patient and by image.")


def _memory(recipe: Recipe) -> tuple[list[Forecast], list[Finding]]:
    from engine.training.preview import forecast

    try:
        planned = forecast(recipe)
    except IntervalError as error:
        return [], [Finding("memory", "error", _words(error))]
    return planned, [Finding("memory", "ok" if one.fits else "error", one.words()) for one in planned]


def _finding(subject: str, severity: Severity, says: str, rows: Sequence[tuple[int, str]]) -> Finding:
    return Finding(subject, severity, says, tuple(rows[:SHOWN]), max(0, len(rows) - SHOWN))


def _words(error: IntervalError) -> str:
    """An error with the first of its problems."""
    problems = error.problems[:3] if isinstance(error, ModelError) else ()
    return " ".join((str(error), *(problem for problem in problems if problem not in str(error))))

"""Models on their way to the viewer and back: what may be promoted, under which name, beside which evaluation.

The commands ``promote`` and ``promote --undo`` do it and refuse what must not be; here is said beforehand what they
would say, as far as small files tell it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine import paths
from engine.errors import UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from engine.models import promotion
from engine.models.promotion import OF_MERGED, Promotion
from trainer_ui.services import certificates, evaluations, exports, model_folders

KIND = "promote"

Fit = Literal["weights", "adapter", "folder", "other"]
"""An evaluation is of these weights, of the adapter they were merged from, of this folder by its name, or of others."""

_ORDER: tuple[Fit, ...] = ("weights", "adapter", "folder", "other")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that has scores, and whether it is of the model."""

    name: str
    path: Path
    fit: Fit
    models: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it may be shown beside the model."""
        return self.fit != "other"

    @property
    def words(self) -> str:
        """For a list to choose from."""
        said = {
            "weights": "of these weights",
            "adapter": "of the adapter it was merged from",
            "folder": "of this folder",
            "other": "of other weights",
        }
        return f"{self.name} ({said[self.fit]})"


def promoted() -> tuple[Promotion, ...]:
    """The models in the viewer that were promoted, newest first."""
    return promotion.promoted()


def known(source: Path) -> tuple[Evaluation, ...]:
    """The evaluations that have scores: those of this model first, then the newest."""
    found = [_evaluation(one.path, source) for one in evaluations.overview() if one.scored]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.fit)))


def hindrance(source: Path) -> str:
    """Why a model cannot be promoted, in a sentence; "" where nothing is known against it."""
    certificate = certificates.read(source)
    if certificate is not None and not certificate.passed:
        return "Its certificate says that it is not what it was merged from."
    if certificate is None and OF_MERGED in promotion.content(source / "interval.json"):
        return "It was merged and never compared with base and adapter: merge it again."
    if source.resolve().is_relative_to(paths.models().resolve()):
        return "It is in the viewer already."
    return ""


def suggested(source: Path) -> str:
    """A name that is free in the viewer: the model's own, or with a number behind it."""
    return exports.free(model_folders.called(source), _taken())


def promote(source: Path, name: str, evaluation: Path | None) -> Job:
    """Queue a promotion. Raises UsageError for a name that cannot be had, and for what is known not to be possible."""
    name = exports.checked(name)
    if name.casefold() in _taken():
        raise UsageError(f"There is a model {name} in the viewer already. Choose another name, or take that one back.")
    reason = hindrance(source)
    if reason:
        raise UsageError(f"It cannot be promoted. {reason}")
    words = ["promote", str(source), "--name", name]
    words += ["--evaluation", str(evaluation)] if evaluation is not None else []
    return queue.add(KIND, f"Promote {name}", words, paths.models() / name)


def take_back(name: str) -> Job:
    """Queue taking a promoted model out of the viewer. Raises UsageError for one that was not promoted."""
    if name not in {one.name for one in promoted()}:
        raise UsageError(f"{name} is not in the viewer any more, or was not promoted.")
    return queue.add(KIND, f"Take {name} back", ["promote", "--undo", name])


def going(name: str) -> bool:
    """Whether a model is being taken back."""
    return any(job.active and job.kind == KIND and job.words[-2:] == ("--undo", name) for job in queue.jobs())


def _evaluation(path: Path, source: Path) -> Evaluation:
    scores = promotion.content(path / evaluations.SCORES)
    models = scores.get("models")
    names = tuple(models) if isinstance(models, dict) else ()
    return Evaluation(path.name, path, _fit(scores, source), names)


def _fit(scores: Mapping[str, Any], source: Path) -> Fit:
    certificate = certificates.read(source)
    if certificate is not None:
        found = promotion.contender(scores, certificate.sha256, certificate.made_of, certificate.quantization)
        return found[1] if found is not None else "other"
    models = scores.get("models")
    abouts = [one.get("about") for one in models.values() if isinstance(one, dict)] if isinstance(models, dict) else []
    named = [about.get(key) for about in abouts if isinstance(about, dict) for key in ("model", "adapter")]
    here = source.resolve()
    return "folder" if any(isinstance(one, str) and Path(one) == here for one in named) else "other"


def _taken() -> set[str]:
    root = paths.models()
    there = {entry.name for entry in root.iterdir()} if root.is_dir() else set()
    coming = {job.result.name for job in queue.jobs() if job.active and job.kind == KIND and job.result is not None}
    return {name.casefold() for name in there | coming}

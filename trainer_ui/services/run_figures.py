"""What a run has written down, ready to be drawn and read: curves, scores, reports it wrote, memory, speed, files.

Read from the run's folder each time it has changed; nothing is computed anew, and no torch is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from engine.jobs import console
from engine.training import curves, run_folder
from engine.training.run_folder import RunFolder
from trainer_ui.services import recipe_settings, recipes

MOST_POINTS = 5000
"""Points that are drawn of a curve."""

LATELY = 8
"""Intervals of the log that the speed is the median of."""

Points = Sequence[tuple[float, float]]

PARTS = {"text_loss": "words", "image_loss": "findings in the image", "change_loss": "change since the prior"}
"""Parts of the loss, where it has several."""

_FILES = {
    "model": "the trained model or adapter, with its card",
    "projector": "the connector alone",
    "stages": "checkpoints, and the best weights",
    "validation": "what was answered at each validation",
    "log.jsonl": "its figures along the steps",
    "samples.jsonl": "reports written at each validation",
    "recipe.yaml": "the recipe",
    "llamafactory.yaml": "the settings that LLaMA-Factory was given",
    "llamafactory.log": "what LLaMA-Factory has printed",
    "data.json": "hashes of the files it learnt from",
    "curves.svg": "its curves as a picture",
}


@dataclass(frozen=True)
class Curves:
    """The curves of a run, over the steps of all its stages one after the other (or over what they have seen).

    Attributes:
        loss: of training; ``parts`` of it, where there are several; ``held_out`` the loss on the validation.
        rate: the learning rate.
        scores: of the validations, by the score's name.
        metric: which of them (or "loss") chooses the best weights; "" without validation.
        best: where it was best: (x, value); None before there is one.
        stages: (name, first x, last x) of each.
    """

    loss: Points
    parts: Mapping[str, Points]
    held_out: Points
    rate: Points
    scores: Mapping[str, Points]
    metric: str
    best: tuple[float, float] | None
    stages: tuple[tuple[str, float, float], ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not self.loss and not self.held_out


@dataclass(frozen=True)
class Written:
    """A report the model wrote for a held-out study, and the reference."""

    study: str
    text: str
    reference: str


@dataclass(frozen=True)
class Evaluation:
    """One validation: where, its scores, whether it was the best so far, and what was written."""

    stage: str
    step: int
    scores: Mapping[str, float]
    best: bool
    written: tuple[Written, ...]


@dataclass(frozen=True)
class Memory:
    """Memory of a stage in bytes: as planned, after three steps, the most so far; None where it is not known."""

    stage: str
    planned: int | None
    room: int | None
    probe: int | None
    peak: int | None
    checkpointing: bool


@dataclass(frozen=True)
class Speed:
    """Steps and samples in a second, lately."""

    steps: float
    samples: float


@dataclass(frozen=True)
class Part:
    """Something that lies in a run's folder: name, what it is, bytes."""

    name: str
    what: str
    size: int


def lines(path: Path) -> tuple[dict[str, Any], ...]:
    """The figures of a run, one line for each step and validation."""
    return _lines(path, _stamp(path / "log.jsonl"))


def along(path: Path, *, seen: bool = False) -> Curves:
    """The curves of a run over its steps, or, where ``seen``, over the samples it has gone through."""
    recipe = settings(path)
    found = [line for line in lines(path) if "stage" in line and isinstance(line.get("step"), int | float)]
    if seen:
        weight = {str(stage.get("name")): _per_step(stage, recipe) for stage in _stages(recipe)}
        found = [line | {"step": line["step"] * weight.get(line["stage"], 1)} for line in found]
    flat = [
        line | {"held_out": line["evaluation"].get("loss")} if isinstance(line.get("evaluation"), dict) else line
        for line in found
    ]
    names = ("loss", "learning_rate", "held_out", *PARTS)
    drawn = curves.series(flat, names)
    parts = {name: drawn[name] for name in PARTS if name in drawn}
    metric = str(recipes.value(recipe, ("validation", "metric")) or "ROUGE-L") if recipe.get("validation") else ""
    scores = dict(curves.evaluations(found))
    held_out = drawn.get("held_out", ())
    return Curves(
        loss=drawn.get("loss", ()),
        parts=parts if len(parts) > 1 else {},
        held_out=held_out,
        rate=drawn.get("learning_rate", ()),
        scores=scores,
        metric=metric,
        best=_best(held_out if metric == recipe_settings.LOSS else scores.get(metric, ()), metric),
        stages=tuple(_extents(found)),
    )


def evaluations(path: Path) -> tuple[Evaluation, ...]:
    """The validations of a run with what was written at each, in their order."""
    written: dict[tuple[Any, Any], list[Written]] = {}
    for one in _generated(path, _stamp(path / "samples.jsonl")):
        key = one.get("stage"), one.get("step")
        written.setdefault(key, []).append(
            Written(str(one.get("id", "")), str(one.get("text", "")), str(one.get("reference", "")))
        )
    return tuple(
        Evaluation(
            str(line["stage"]),
            int(line["step"]),
            {name: float(value) for name, value in line["evaluation"].items() if isinstance(value, int | float)},
            bool(line.get("best")),
            tuple(written.get((line["stage"], line["step"]), ())),
        )
        for line in lines(path)
        if isinstance(line.get("evaluation"), dict)
    )


def memory(path: Path) -> tuple[Memory, ...]:
    """What was planned and seen of each stage that has begun."""
    stages = RunFolder(path).document("forecast.json").get("stages")
    latest = {line["stage"]: line.get("memory_bytes") for line in lines(path) if "memory_bytes" in line}
    return tuple(
        Memory(
            name,
            _number(one.get("planned_bytes")),
            _number(one.get("room_bytes")),
            _number(one.get("probe_bytes")),
            max((n for n in map(_number, (one.get("peak_bytes"), latest.get(name))) if n is not None), default=None),
            bool(one.get("checkpointing")),
        )
        for name, one in (stages.items() if isinstance(stages, dict) else ())
        if isinstance(one, dict)
    )


def speed(path: Path) -> Speed | None:
    """How fast it learns; None before two lines of one stage are there.

    The median of the latest intervals, so that a validation in one of them does not count.
    """
    found = [line for line in lines(path) if "seconds" in line]
    paces = []
    for before, after in pairwise(found):
        steps, seconds = after["step"] - before["step"], after["seconds"] - before["seconds"]
        if before.get("stage") == after.get("stage") and steps > 0 and seconds > 0:  # else it was resumed in between
            paces.append(steps / seconds)
    if not paces:
        return None
    pace = median(paces[-LATELY:])
    recipe = settings(path)
    stage = next((one for one in _stages(recipe) if one.get("name") == found[-1]["stage"]), {})
    return Speed(pace, pace * _per_step(stage, recipe))


def data(path: Path) -> dict[str, Any]:
    """What it learns from: the files' hashes, samples, patients, validation questions; {} before that is known."""
    return RunFolder(path).document("data.json")


def contents(path: Path) -> tuple[Part, ...]:
    """What lies in a run's folder and is worth knowing."""
    return tuple(
        Part(name, what, _size(path / name)) for name, what in _FILES.items() if (path / name).exists()
    )  # fmt: skip


def settings(path: Path) -> dict[str, Any]:
    """The recipe of a run as a document; {} where it cannot be read."""
    return recipes.document(recipe_text(path)) or {}


def recipe_text(path: Path) -> str:
    """The recipe of a run as it was given; "" where it cannot be read."""
    try:
        return RunFolder(path).recipe.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def factory_settings(path: Path) -> str:
    """The settings LLaMA-Factory was given, as YAML; "" for a run that it does not train, or has not begun."""
    try:
        return (path / "llamafactory.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def factory_words(path: Path) -> str:
    """The end of what LLaMA-Factory has printed; "" where there is nothing."""
    return console.tail(path / "llamafactory.log")


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most ``most`` of the points: first and last, and of each stretch between them the lowest and the highest.

    So a peak stays where it is, which an even choice would lose.
    """
    if len(points) <= most:
        return points
    inner, stretches = points[1:-1], max(1, (most - 2) // 2)
    kept: list[tuple[float, float]] = [points[0]]
    for number in range(stretches):
        stretch = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        if stretch:
            extremes = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
            kept += sorted(extremes)
    return [*kept, points[-1]]


@lru_cache(maxsize=64)
def _lines(path: Path, stamp: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    """As RunFolder.figures gives them, in a time that grows with the log and no faster: a page looks every second."""
    found = {
        (line.get("stage"), line.get("step"), "evaluation" in line): line
        for line in run_folder.lines(RunFolder(path).log)
    }
    place = {stage: number for number, stage in enumerate(dict.fromkeys(stage for stage, _, _ in found))}
    order = sorted(found, key=lambda key: (place[key[0]], float(key[1] or 0), key[2]))
    return tuple(found[key] for key in order)


@lru_cache(maxsize=16)
def _generated(path: Path, stamp: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    return tuple(RunFolder(path).generated())


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _best(points: Points, metric: str) -> tuple[float, float] | None:
    finite = [point for point in points if point[1] == point[1]]
    if not finite:
        return None
    higher = recipe_settings.about(metric).higher_is_better
    return (max if higher else min)(finite, key=lambda point: point[1])


def _extents(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float, float]]:
    begin = 0.0
    for stage in dict.fromkeys(line["stage"] for line in found):
        end = begin + max(float(line["step"]) for line in found if line["stage"] == stage)
        yield str(stage), begin, end
        begin = end


def _stages(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    stages = recipe.get("stages")
    return [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []


def _per_step(stage: Mapping[str, Any], recipe: Mapping[str, Any]) -> int:
    """Samples of a step."""
    batch, gathered = _number(stage.get("batch_size")) or 1, _number(stage.get("accumulate")) or 1
    return batch * gathered * (_number(recipes.value(recipe, ("llamafactory", "processes"))) or 1)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())

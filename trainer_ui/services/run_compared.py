"""Several runs held against each other: which settings differ, and what each was at its best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer_ui.services import recipe_settings, run_figures
from trainer_ui.services.recipe_settings import ADVANCED, ADVANCED_STAGE, STAGE, WHAT
from trainer_ui.services.run_figures import Evaluation
from trainer_ui.services.runs import Run

UNSET = "–"
_OWN = ("name", "output")
"""Settings in which runs always differ."""


@dataclass(frozen=True)
class Difference:
    """A setting, and what each run has there, in their order."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A run at its best.

    Attributes:
        run: its name.
        metric: what its best was chosen by; "" without validation.
        step: of its best; None before there is one.
        scores: at that step.
    """

    run: str
    metric: str
    step: int | None
    scores: Mapping[str, float]


def differences(runs: Sequence[Run]) -> tuple[Difference, ...]:
    """The settings that are not the same in all of the runs; what a recipe does not say stands as its default."""
    flat = [dict(_flat(run_figures.settings(run.path))) for run in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    found = []
    for name in names:
        values = [one.get(name, _default(name)) for one in flat]
        if name not in _OWN and any(value != values[0] for value in values):
            found.append(Difference(_title(name), tuple(_words(value) for value in values)))
    return tuple(found)


def standings(runs: Sequence[Run]) -> tuple[Standing, ...]:
    """Each run at the validation that its own recipe calls its best: the last one that was."""
    return tuple(_standing(run) for run in runs)


def metrics(standings: Sequence[Standing]) -> tuple[str, ...]:
    """The scores that any of them has, those that chose first."""
    chosen = [one.metric for one in standings if one.metric in one.scores]
    return tuple(dict.fromkeys([*chosen, *(name for one in standings for name in one.scores)]))


def winners(standings: Sequence[Standing], metric: str) -> tuple[str, ...]:
    """The runs with the best value of a score; () where fewer than two have one, or all have the same."""
    values = {one.run: one.scores[metric] for one in standings if metric in one.scores}
    if len(values) < 2 or len(set(values.values())) == 1:
        return ()
    best = (max if recipe_settings.about(metric).higher_is_better else min)(values.values())
    return tuple(run for run, value in values.items() if value == best)


def same_questions(runs: Sequence[Run]) -> bool:
    """Whether all were validated on the same file, by its hash: else their scores cannot be held side by side."""
    told = []
    for run in runs:
        settings, files = run_figures.settings(run.path), run_figures.data(run.path).get("files", {})
        validation = settings.get("validation")
        named = str(validation.get("questions", "")) if isinstance(validation, dict) else ""
        limit = validation.get("limit", 100) if isinstance(validation, dict) else None
        told.append((files.get(named.replace("\\", "/").rsplit("/", 1)[-1]) if named else None, limit))
    return all(one == told[0] for one in told) and told[0][0] is not None


def _standing(run: Run) -> Standing:
    found = run_figures.evaluations(run.path)
    metric = run_figures.along(run.path).metric
    best: Evaluation | None = next((one for one in reversed(found) if one.best), None)
    return Standing(run.name, metric, best.step if best else None, best.scores if best else {})


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their place, such as "stages.1.lora.rank"; stages are counted from 1."""
    for key, value in content.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, 1):
                yield from _flat(one, f"{name}.{number}.")
        else:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    """Values that mean the same as one: a single file in a list, numbers that were written as texts."""
    if isinstance(value, list):
        return _plain(value[0]) if len(value) == 1 else tuple(map(str, value))
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _known() -> dict[str, recipe_settings.Setting]:
    own = {".".join(setting.place): setting for setting in (*WHAT, *ADVANCED)}
    return own | {f"stages.{'.'.join(setting.place)}": setting for setting in (*STAGE, *ADVANCED_STAGE)}


def _place(name: str) -> tuple[str, str]:
    """Where the setting's description is, and which stage it is of ("" for the recipe)."""
    head, _, rest = name.partition(".")
    number, _, inner = rest.partition(".")
    return (f"stages.{inner}", number) if head == "stages" and number.isdecimal() else (name, "")


def _title(name: str) -> str:
    place, stage = _place(name)
    setting = _known().get(place)
    title = setting.label if setting is not None else place.removeprefix("stages.").replace("_", " ").replace(".", ": ")
    return f"{title} (stage {stage})" if stage and stage != "1" else title


def _default(name: str) -> Any:
    setting = _known().get(_place(name)[0])
    return _plain(setting.default) if setting is not None else None


def _words(value: Any) -> str:
    if value is None or value == "":
        return UNSET
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value)
    return recipe_settings.plainly(value) if isinstance(value, float) else str(value)

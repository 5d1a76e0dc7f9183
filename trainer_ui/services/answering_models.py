"""Models that can answer an evaluation's questions: installed ones, those of finished runs, merged ones, any folder.

Told by their small files alone, at once and without torch; whether one can really be used its loading says. The names
are those of `engine.evaluation.contenders`, so that what is shown before the start is what the tables will say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from engine import paths
from engine.errors import UsageError
from engine.jobs import files
from engine.models import places
from engine.training import run_folder

Source = Literal["installed", "run", "merged", "other"]

NOTES: dict[Source, str] = {"installed": "installed", "run": "of a run", "merged": "merged", "other": "a folder"}

_CONFIG, _ADAPTER, _OURS, _TRAINED = "config.json", "adapter_config.json", "interval.json", "training.json"
_LIBRA = ("mm_vision_tower", "mm_projector_type")
_OTHER = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class AnsweringModel:
    """A model.

    Attributes:
        path: its folder; of an adapter, the adapter's.
        name: in the tables.
        base: the name of the model it was made from, "" for none.
        base_path: the folder of that; None where it is not on this machine.
        adapter: whether it cannot do without its base.
        demonstration: whether it knows nothing of patients.
    """

    path: Path
    name: str
    source: Source
    base: str = ""
    base_path: Path | None = None
    adapter: bool = False
    demonstration: bool = False

    @property
    def words(self) -> str:
        """For a list to choose from."""
        notes = [NOTES[self.source]]
        if self.base:
            notes.append(f"{'adapter on' if self.adapter else 'made from'} {self.base}")
        if self.demonstration:
            notes.append("demonstration")
        return f"{self.name} ({', '.join(notes)})"

    @property
    def lacks(self) -> str:
        """What keeps it from answering; "" where nothing is known to."""
        if self.adapter and self.base_path is None:
            named = self.base or "its base, which it does not name"
            return f"{self.name} is an adapter, and {named} is not on this machine."
        return ""


def found() -> tuple[AnsweringModel, ...]:
    """All of them: the installed ones by name, then those of finished runs, the newest first, then merged ones."""
    return (*_installed(), *_of_runs(), *_merged())


def at(folder: Path) -> AnsweringModel:
    """The model in a folder that was named. Raises UsageError where there is none."""
    if not _answers(folder):
        raise UsageError(f"{folder} holds no model and no adapter that can describe an image.")
    return _read(folder, _named(folder), "other")


def of_run(name: str) -> AnsweringModel | None:
    """The model of a run; None where there is none yet."""
    return next((model for model in _of_runs() if model.path.parent.name == name), None)


def who_answers(chosen: Sequence[AnsweringModel], *, with_bases: bool) -> tuple[AnsweringModel, ...]:
    """The chosen ones, no two of one name; ``with_bases``: each after the one it was made from, which comes once."""
    here = {model.path.resolve(): model for model in chosen}
    order: dict[Path, AnsweringModel] = {}
    for place, model in here.items():
        base = model.base_path
        if with_bases and base is not None and base.resolve() not in order:
            order[base.resolve()] = here.get(base.resolve()) or _read(base, _named(base), "installed")
        order.setdefault(place, model)
    names: set[str] = set()
    told = []
    for model in order.values():
        numbered = (f"{model.name}-{number}" for number in count(2))
        name = model.name if model.name not in names else next(one for one in numbered if one not in names)
        names.add(name)
        told.append(replace(model, name=name))
    return tuple(told)


def _installed() -> Iterator[AnsweringModel]:
    root = paths.models()
    for folder in _folders(root):
        for place in (folder,) if _is_there(folder) else tuple(_folders(folder)):
            if _answers(place):
                yield _read(place, _named(place), "installed")


def _of_runs() -> Iterator[AnsweringModel]:
    for run in run_folder.folders():
        state = run.state()
        if state is not None and state.state == run_folder.DONE and _answers(run.model):
            yield _read(run.model, _OTHER.sub("-", run.name).strip("-+."), "run")


def _merged() -> Iterator[AnsweringModel]:
    for folder in _folders(paths.home() / "exports"):
        if _answers(folder):
            yield _read(folder, _named(folder), "merged")


def _read(folder: Path, name: str, source: Source) -> AnsweringModel:
    ours, adapter = files.read(folder / _OURS) or {}, files.read(folder / _ADAPTER)
    trained = files.read(folder / _TRAINED) or {}
    named = [(adapter or {}).get("base_model_name_or_path"), _base(ours), _base(trained)]
    names = [one for one in named if isinstance(one, str) and one]
    base_path = next((place for one in names if (place := places.find(one, folder)) is not None), None)
    if base_path is not None and base_path.resolve() == folder.resolve():
        base_path, names = None, []
    return AnsweringModel(
        folder,
        name or "model",
        source,
        base=_named(base_path) if base_path is not None else Path(names[0]).name if names else "",
        base_path=base_path,
        adapter=adapter is not None and not (folder / "model.safetensors").is_file(),
        demonstration=bool(ours.get("demonstration")),
    )


def _base(record: dict[str, object]) -> object:
    base = record.get("base")
    return base.get("name") if isinstance(base, dict) else base


def _named(folder: Path) -> str:
    return _OTHER.sub("-", folder.resolve().name).strip("-+.")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (entry for entry in sorted(place.iterdir()) if entry.is_dir() and not entry.name.startswith("."))


def _is_there(folder: Path) -> bool:
    return (folder / _CONFIG).is_file() or (folder / _ADAPTER).is_file()


def _answers(folder: Path) -> bool:
    """Whether it is a model or an adapter, and no part of one (a vision tower, a language model)."""
    if (folder / _ADAPTER).is_file():
        return True
    config = files.read(folder / _CONFIG) or {}
    if any(config.get(key) for key in _LIBRA):
        return True
    kinds = " ".join(map(str, config.get("architectures") or ()))
    return "vision_config" in config and ("ForConditionalGeneration" in kinds or "ForCausalLM" in kinds)

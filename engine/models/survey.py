"""A folder seen as what it is: model, adapter, projector, vision tower or language model; and what it lacks.

What is wrong with the folder itself and what it needs from elsewhere are kept apart: a model may be installed before
its vision tower, and cannot be used before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.models import adapters, contents, language, recognition, towers
from engine.models.catalogue import Published, entry, identify
from engine.models.preprocessing import Padding
from engine.models.provenance import read
from engine.models.recognition import ModelFolder
from engine.models.tokens import TOKENIZER_FILES
from engine.models.weights import Weights, look

_ELSEWHERE = ("which is not on this machine", "name it with --base")
"""What recognition.py and towers.py say of a part that lies in no folder they know."""


@dataclass(frozen=True)
class Survey:
    """One folder, surveyed.

    Attributes:
        path: the folder.
        kind: one of contents.py's kinds, "" for none.
        model: the examined model, for all but towers and language models.
        tower: the examined vision tower, for a tower or a model that has one.
        config: the configuration: the model's, its base's where an adapter has none, or the tower's.
        weights: the headers of everything that would be loaded, a model's tower aside.
        problems: what is wrong with the folder itself, one sentence each.
        missing: what it needs and this machine does not have, one sentence each.
        published: the published model it is or looks like, or None; ``known_by`` says why: "interval.json" for a
            download, "configuration" for one that looks alike.
    """

    path: Path
    kind: str
    model: ModelFolder | None
    tower: towers.Tower | None
    config: Mapping[str, Any]
    weights: Weights
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    published: Published | None
    known_by: str

    def check(self) -> None:
        """Raise ModelError listing every problem of the folder itself, if there is one."""
        if self.problems:
            raise ModelError(
                f"The folder {self.path} holds no model that can be used: {self.problems[0]}.", problems=self.problems
            )


def survey(
    path: Path,
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    tower: str | Path | None = None,
    template: str | None = None,
) -> Survey:
    """Survey a folder by its headers; the options are those of recognition.examine, and so is what is raised."""
    if not path.is_dir():
        raise ModelError(f"There is no model folder {path}.")
    kind = contents.kind(path)
    if kind == contents.TOWER:
        found_tower = towers.examine(path, Padding.NONE)
        config, problems = found_tower.config, found_tower.problems
        return _survey(path, kind, None, found_tower, found_tower.weights, config, problems)
    if kind == contents.LANGUAGE_MODEL and adapter is None:
        return _language_model(path)
    model = recognition.examine(path, base=base, adapter=adapter, tower=tower, template=template)
    problems = model.problems
    if kind == contents.ADAPTER and not model.weights.entries:  # without its base the adapter was not looked into
        problems += tuple(one for one in adapters.examine(path).problems if one not in problems)
    return _survey(path, kind, model, model.tower, model.weights, model.config, problems)


def _language_model(path: Path) -> Survey:
    found = look(path)
    config = recognition.examine(path).config
    kind = language.kind(config)
    problems = list(found.problems)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        problems.append(f"no tokenizer: one of {', '.join(TOKENIZER_FILES)} is missing")
    try:
        expected = language.outline(kind, language.configuration(kind, config)) if kind else {}
        problems += found.contradictions(expected) if not found.problems else []
    except ModelError as error:
        problems.append(str(error))
    return _survey(path, contents.LANGUAGE_MODEL, None, None, found, config, tuple(problems))


def _survey(
    path: Path,
    kind: str,
    model: ModelFolder | None,
    tower: towers.Tower | None,
    weights: Weights,
    config: Mapping[str, Any],
    problems: tuple[str, ...],
) -> Survey:
    missing = tuple(problem for problem in problems if any(words in problem for words in _ELSEWHERE))
    source = read(path).get("source")
    downloaded = entry(source) if isinstance(source, str) else None
    published = downloaded or (identify(config) if kind == contents.MODEL else None)
    return Survey(
        path=path,
        kind=kind,
        model=model,
        tower=tower,
        config=config,
        weights=weights,
        problems=tuple(problem for problem in problems if problem not in missing),
        missing=missing,
        published=published,
        known_by="" if published is None else "interval.json" if downloaded else "configuration",
    )

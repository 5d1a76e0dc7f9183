"""Who can judge short answers: language models of this machine, or an address; and the options that say so.

Told by small files and by the words of an address alone: nothing is loaded, sent or looked up here. What was chosen
last is remembered, but not that texts may be sent to an address: that is asked every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine import paths
from engine.errors import UsageError
from engine.evaluation.judge import endpoint
from engine.jobs import files
from trainer_ui.services import answering_models, kept, recipes

Kind = Literal["none", "folder", "address"]

KINDS: dict[Kind, str] = {
    "none": "Nobody",
    "folder": "A language model on this machine",
    "address": "A model behind an address",
}
"""Who judges, in words."""

NOT_SENT = "No text leaves this machine."
_KEPT = "judge"
_WHAT = "Questions, reference answers and answers"


@dataclass(frozen=True)
class Judge:
    """A judge: a folder of this machine, or an address, with the name of one of its models where it has several.

    ``anywhere``: the user has said that texts may be sent to an address that is not this machine.
    """

    place: str
    model: str = ""
    anywhere: bool = False

    @property
    def kind(self) -> Kind:
        """A folder, or an address."""
        return "address" if endpoint.is_address(self.place) else "folder"

    def words(self) -> list[str]:
        """As options."""
        named = ["--judge-model", self.model] if self.model else []
        allowed = ["--judge-anywhere"] if self.anywhere else []
        return ["--judge", self.place, *named, *allowed]


@dataclass(frozen=True)
class Told:
    """What must be said of an address before texts are sent there; ``local``: it is this machine."""

    local: bool
    sentence: str


def found() -> dict[Path, str]:
    """Folders with a model that can judge -> what to call it: language models first, then models that draft."""
    listed = {folder: f"{folder.name} (language model)" for folder in _language_models()}
    drafting = [one for one in answering_models.found() if not one.adapter]
    return listed | {one.path: f"{one.name} (drafts reports, not made to judge)" for one in drafting}


def at(folder: Path) -> Judge:
    """The judge in a folder. Raises UsageError where there is no model."""
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} holds no model: there is no config.json.")
    return Judge(recipes.spoken(folder))


def address(url: str) -> Told:
    """What is to be said of an address. Raises UsageError where it is none."""
    one = endpoint.address(url)
    unseen = " Whether that program sends them on cannot be seen from here." if one.local else ""
    return Told(one.local, one.leaving(_WHAT) + unseen)


def remembered() -> Judge | None:
    """Who judged last, without leave to send anything; None for nobody, or a folder that is gone."""
    said = kept.read(_KEPT)
    place = str(said.get("place") or "")
    if not place or not (endpoint.is_address(place) or recipes.whole(place).is_dir()):
        return None
    return Judge(place, str(said.get("model") or ""))


def remember(judge: Judge) -> None:
    """Keep who judges, for the next time. Raises OSError."""
    with kept.changed(_KEPT) as content:
        content.clear()
        content |= {"place": judge.place, "model": judge.model}


def _language_models() -> Iterator[Path]:
    """Models of the models' folder that know words alone."""
    root = paths.models()
    for folder in _folders(root):
        for place in (folder, *_folders(folder)):
            config = files.read(place / "config.json") or {}
            kinds = " ".join(map(str, config.get("architectures") or ()))
            if "ForCausalLM" in kinds and "vision_config" not in config and "mm_vision_tower" not in config:
                yield place


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (entry for entry in sorted(place.iterdir()) if entry.is_dir() and not entry.name.startswith("."))

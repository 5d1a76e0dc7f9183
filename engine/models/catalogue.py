"""Published models: where they are, what they need, under which terms, and how one is told by its configuration.

The entries (catalogue.json) hold what could be confirmed and nothing else; an empty licence means: see the model card.
A model is told by its configuration, never by the name of a folder. Nothing is looked up on a network here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Published:
    """One published model.

    Attributes:
        hub_id, name: where it is on huggingface.co, and what to call it.
        kind: "model" or "vision tower".
        towers: hub ids of the vision towers it needs beside it.
        language_model: hub id of the language model it was made from; its weights are in the model itself.
        projector: the kind of its connector, in Libra's words.
        conversation: name of its conversation template; "" for its family's own.
        fields: the configuration fields that tell it, with a dot between nested keys; empty where none are known to.
        license: as its card names it; "" where that could not be confirmed.
        research_only: its card, or that of the model it was made from, says so; False says nothing.
        notes: what else should be known.
        unsupported: why this program cannot use it, "" where it can.
    """

    hub_id: str
    name: str
    kind: str = "model"
    towers: tuple[str, ...] = ()
    language_model: str = ""
    projector: str = ""
    conversation: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    research_only: bool = False
    notes: str = ""
    unsupported: str = ""

    def describes(self, config: Mapping[str, Any]) -> bool:
        """Whether every identifying field is in ``config`` with its value."""
        return bool(self.fields) and all(_value(config, key) == value for key, value in self.fields.items())


def _read(file: Path) -> tuple[Published, ...]:
    entries = json.loads(file.read_text(encoding="utf-8"))
    return tuple(Published(**{**entry, "towers": tuple(entry.get("towers", ()))}) for entry in entries)


CATALOGUE = _read(Path(__file__).with_suffix(".json"))


def match(config: Mapping[str, Any]) -> Published | None:
    """The published model whose identifying fields are all in ``config`` and whose template is known, or None."""
    return next((one for one in CATALOGUE if one.conversation and one.describes(config)), None)


def identify(config: Mapping[str, Any]) -> Published | None:
    """The published model whose identifying fields are all in ``config``, or None. One trained further looks alike."""
    return next((one for one in CATALOGUE if one.describes(config)), None)


def entry(hub_id: str) -> Published | None:
    """The entry of that hub id; hub ids are the same in any case."""
    return next((one for one in CATALOGUE if one.hub_id.lower() == hub_id.lower()), None)


def _value(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value

"""What a finished run leaves: a model in Libra's format or an adapter over its base, with a card that says how it came.

An adapter's folder is the one Libra writes (factors, ``non_lora_trainables.bin`` with a connector that was trained,
config.json) and names its base with the base's hashes, so that it is never put on another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from engine import paths
from engine.models import provenance
from engine.models.saving import save_model
from engine.training.adaptation import write_adapter
from engine.training.card import card
from engine.training.recipe import Recipe
from engine.training.run_folder import RunFolder, write_json
from engine.training.start import Start

LIBRARIES = ("torch", "transformers", "accelerate", "peft", "sentencepiece")
KEPT = ("step", "seconds", "loss", "image_loss", "change_loss", "text_loss", "memory_bytes")
PROJECTOR = "mm_projector.bin"


def write(folder: RunFolder, recipe: Recipe, start: Start) -> None:
    """Write ``model/`` of a run whose stages are done."""
    model = start.model.eval()
    connector_trained = recipe.projector is not None or any("connector" in stage.train for stage in recipe.stages)
    name = recipe.name
    license = recipe.license or start.loaded.info.license
    demonstration = start.loaded.info.demonstration if recipe.demonstration is None else recipe.demonstration
    if recipe.lora is not None:
        assert recipe.start is not None
        connector = model.connector if connector_trained else None
        files = write_adapter(folder.model, model.language_model, recipe.lora, base_name(recipe.start), connector)
        (folder.model / "config.json").write_text(json.dumps(dict(start.loaded.config), indent=2) + "\n", "utf-8")
        provenance.write(
            folder.model, {}, name=name, license=license, conversation=start.template.name,
            sha256={file: provenance.digest(folder.model / file, lambda size: None) for file in files},
            base_sha256=provenance.hashes(recipe.start),
            padding=start.processor.padding.value, demonstration=demonstration, card="README.md",
        )  # fmt: skip
    else:
        save_model(
            model, start.tokenizer, start.processor, folder.model,
            conversation=start.template.name, name=name, license=license, demonstration=bool(demonstration),
            config=start.loaded.config or None, stop_ids=start.loaded.stop_ids,
            dtype=torch.bfloat16 if start.bfloat16 else None,
        )  # fmt: skip
    if stated(recipe):
        provenance.write(folder.model, provenance.read(folder.model), **stated(recipe))
    if not start.new and connector_trained:
        _write_projector(folder, start)
    made = record(folder, recipe)
    (folder.model / "README.md").write_text(card(made, name=name, license=license), encoding="utf-8")


def record(folder: RunFolder, recipe: Recipe, versions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write ``model/training.json`` from what a run has left in its folder: recipe, data, stages, scores, versions.

    ``versions``: of the libraries it was trained with; this program's own unless given.
    """
    stages: dict[str, dict[str, Any]] = {}
    for line in folder.figures():
        stage = stages.setdefault(line["stage"], {})
        if "evaluation" in line:
            stage.setdefault("evaluations", []).append({"step": line["step"], **line["evaluation"]})
            if line["best"]:
                stage["best"] = {"step": line["step"], **line["evaluation"]}
        else:
            stage.update({key: line[key] for key in KEPT if key in line})
    data = folder.document("data.json")
    document: dict[str, Any] = {
        "recipe": yaml.safe_load(folder.recipe.read_text(encoding="utf-8")),
        "data": data.get("files", {}),
        "counts": {key: value for key, value in data.items() if key != "files"},
        "stages": stages,
        "memory": folder.document("forecast.json"),
        "versions": dict(versions) if versions is not None else {name: version(name) for name in LIBRARIES},
    }
    if recipe.start is not None:
        document["base"] = {"name": base_name(recipe.start), "sha256": provenance.hashes(recipe.start)}
    write_json(folder.model / "training.json", document)
    return document


def _write_projector(folder: RunFolder, start: Start) -> None:
    """The connector alone, as projectors are published: a start for other runs."""
    place = folder.path / "projector"
    place.mkdir(exist_ok=True)
    state = {f"model.mm_projector.{n}": t.detach().cpu() for n, t in start.model.connector.state_dict().items()}
    torch.save(state, place / PROJECTOR)
    config: Mapping[str, Any] = start.loaded.config
    (place / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n", encoding="utf-8")


def stated(recipe: Recipe) -> dict[str, list[str]]:
    """What a recipe says of the images and languages of its result, as interval.json has it."""
    found = {"modalities": recipe.modalities, "languages": recipe.languages}
    return {key: list(words) for key, words in found.items() if words}


def base_name(base: Path) -> str:
    """What an adapter calls its base: its name under models/, so that it may move with it, else its path."""
    root, place = paths.models().resolve(), base.expanduser().resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)

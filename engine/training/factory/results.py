"""What a run through LLaMA-Factory leaves: an adapter over its base, or a whole model, with its card.

The files are those LLaMA-Factory wrote, in the layout of the hub. Beside them stand the limits of the pictures it
learnt from, which drafting repeats: without them a large film would be ten times as many image tokens as in training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.errors import ModelError
from engine.models import provenance
from engine.models.adapters import CONFIG
from engine.models.contents import SMALL_FILES
from engine.models.merging import OF_ONE
from engine.models.recognition import ModelFolder
from engine.training.card import card
from engine.training.recipe import Recipe
from engine.training.results import base_name, record, stated
from engine.training.run_folder import RunFolder

OURS = ("interval.json", "training.json", "README.md")


def write(folder: RunFolder, recipe: Recipe, start: ModelFolder, weights: Path, versions: Mapping[str, str]) -> None:
    """Write ``model/`` of a run from the folder that holds its weights.

    Args:
        start: the model it began with, with the limits of the recipe.
        versions: of LLaMA-Factory and its libraries.

    Raises:
        ModelError: there are no weights.
    """
    assert recipe.start is not None
    files = sorted(one for one in weights.glob("*.safetensors"))
    if not files:
        raise ModelError(f"LLaMA-Factory has left no weights in {weights}.")
    shutil.rmtree(folder.model, ignore_errors=True)
    folder.model.mkdir()
    for file in files:
        shutil.copyfile(file, folder.model / file.name)
    if recipe.lora is not None:
        settings = json.loads((weights / CONFIG).read_text(encoding="utf-8"))
        settings["base_model_name_or_path"] = base_name(recipe.start)
        (folder.model / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    else:
        _complete(folder.model, weights, start.path)
    whole = recipe.lora is None
    said = provenance.read(start.path).items() if whole else ()  # an adapter's base says it itself
    known = {key: value for key, value in said if key not in OF_ONE}
    name = recipe.name
    license = recipe.license or start.license
    provenance.write(
        folder.model, known, name=name, license=license, conversation=start.template,
        sha256={file.name: provenance.digest(folder.model / file.name, lambda size: None) for file in files},
        base_sha256=None if whole else provenance.hashes(recipe.start),
        image_max_pixels=start.record.image_max_pixels, image_min_pixels=start.record.image_min_pixels,
        **stated(recipe),
        demonstration=start.demonstration if recipe.demonstration is None else recipe.demonstration,
        card="README.md",
    )  # fmt: skip
    made = record(folder, recipe, versions)
    (folder.model / "README.md").write_text(card(made, name=name, license=license), encoding="utf-8")


def _complete(model: Path, weights: Path, start: Path) -> None:
    """The small files that a whole model needs: those of the start, and LLaMA-Factory's configuration and index."""
    for name in SMALL_FILES:
        if name not in OURS and (start / name).is_file():
            shutil.copyfile(start / name, model / name)
    for file in (weights / "config.json", *weights.glob("*.index.json")):
        shutil.copyfile(file, model / file.name)

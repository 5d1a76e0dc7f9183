"""List the installed models, inspect one, or measure one on held-out phantoms and write its card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import _card

if TYPE_CHECKING:
    from engine.models.recognition import ModelFolder


def register(parser: argparse.ArgumentParser) -> None:
    """``models list`` and ``models inspect PATH``, both with ``--json``, and ``models card PATH``."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|inspect|card")
    listing = commands.add_parser("list", help="the models under models/")
    listing.add_argument("--json", action="store_true", help="one JSON object on standard output")
    inspecting = commands.add_parser("inspect", help="one model folder")
    inspecting.add_argument("path", type=Path, metavar="PATH")
    inspecting.add_argument("--tower", type=Path, metavar="DIR", help="vision tower, instead of the one it names")
    inspecting.add_argument("--json", action="store_true", help="one JSON object on standard output")
    _card.register(commands.add_parser("card", help="measure a model on held-out phantoms and write its card"))


def run(args: argparse.Namespace) -> int:
    """List or inspect. ``inspect`` ends with the exit status of a model that cannot be used when there are problems."""
    from engine.errors import ModelError
    from engine.models.recognition import examine

    if args.command == "list":
        return _list(as_json=args.json)
    if args.command == "card":
        return _card.run(args)
    folder = examine(args.path, tower=args.tower)
    description = describe(folder)
    print(json.dumps(description, ensure_ascii=False) if args.json else _in_words(description))
    return ModelError.exit_status if folder.problems else 0


def describe(folder: ModelFolder) -> dict[str, Any]:
    """What ``inspect --json`` prints."""
    config = folder.config
    tower = folder.tower
    return {
        "path": str(folder.path),
        "name": folder.name,
        "family": folder.family,
        "usable": not folder.problems,
        "problems": list(folder.problems),
        "warnings": list(folder.warnings),
        "parameters": folder.weights.parameters,
        "tower_parameters": tower.weights.parameters if tower else 0,
        "bytes": sum(file.stat().st_size for file in folder.weights.files),
        "dtype": folder.weights.dtype,
        "hidden_size": config.get("hidden_size"),
        "layers": config.get("num_hidden_layers"),
        "vocabulary": config.get("vocab_size"),
        "projector": config.get("mm_projector_type"),
        "tower": str(tower.folder) if tower else config.get("mm_vision_tower"),
        "image_size": list(tower.processor.crop) if tower and tower.processor else None,
        "conversation": folder.template,
        "conversation_from": folder.template_basis,
        "license": folder.license,
        "demonstration": folder.demonstration,
    }


def _list(*, as_json: bool) -> int:
    from engine import paths
    from engine.models.places import is_model
    from engine.models.recognition import examine

    root = paths.models()
    folders = sorted(child for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
    found = [describe(examine(folder)) for folder in folders if is_model(folder)]
    if as_json:
        print(json.dumps({"models": found}, ensure_ascii=False))
    elif not found:
        print(f"There are no models in {root}.")
    for model in [] if as_json else found:
        state = "ready" if model["usable"] else f"not usable: {model['problems'][0]}"
        print(f"{Path(model['path']).name:24} {_millions(model):>9}  {model['dtype'] or '-':9} {state}")
    return 0


def _millions(model: dict[str, Any]) -> str:
    return f"{(model['parameters'] + model['tower_parameters']) / 1e6:,.1f} M"


def _in_words(model: dict[str, Any]) -> str:
    lines = [
        f"Name          {model['name']}" + (" (demonstration)" if model["demonstration"] else ""),
        f"Folder        {model['path']}",
        f"Family        {model['family'] or 'not supported'}",
        f"Parameters    {_millions(model)}, {model['dtype'] or 'no weights'}, {model['bytes'] / 1e6:,.1f} MB",
        f"Language      width {model['hidden_size']}, {model['layers']} layers, vocabulary {model['vocabulary']}",
        f"Projector     {model['projector']}",
        f"Vision tower  {model['tower']}" + (f", images {model['image_size']}" if model["image_size"] else ""),
        f"Conversation  {model['conversation']} ({model['conversation_from']})",
        f"Licence       {model['license'] or 'see its model card'}",
    ]
    lines += [f"Warning       {warning}" for warning in model["warnings"]]
    lines += [f"Problem       {problem}" for problem in model["problems"]]
    return "\n".join(lines)

"""List, inspect, add, download, verify and remove models, or measure one on held-out phantoms and write its card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine.cli import _card, _model_changes, _model_words


def register(parser: argparse.ArgumentParser) -> None:
    """The subcommands; all but ``card`` have ``--json``."""
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="list|inspect|add|download|verify|remove|card"
    )
    listing = commands.add_parser("list", help="the models under models/")
    listing.add_argument("--available", action="store_true", help="also the published ones that are not installed")
    listing.add_argument("--json", action="store_true", help="one JSON object on standard output")
    inspecting = commands.add_parser("inspect", help="one model, adapter or vision tower")
    inspecting.add_argument("path", type=Path, metavar="PATH", help="its folder, or its name under models/")
    inspecting.add_argument("--base", type=Path, metavar="DIR", help="base of an adapter, instead of the one it names")
    inspecting.add_argument("--adapter", type=Path, metavar="DIR", help="an adapter to put on it")
    inspecting.add_argument("--tower", type=Path, metavar="DIR", help="vision tower, instead of the one it names")
    inspecting.add_argument("--beams", type=int, default=1, metavar="N", help="of the draft its memory is planned for")
    inspecting.add_argument("--json", action="store_true", help="one JSON object on standard output")
    _model_changes.register(commands)
    _card.register(commands.add_parser("card", help="measure a model on held-out phantoms and write its card"))


def run(args: argparse.Namespace) -> int:
    """Run the subcommand. ``inspect`` of what cannot be used ends with the exit status that says so."""
    if args.command == "list":
        return _list(args)
    if args.command == "inspect":
        return _inspect(args)
    return _card.run(args) if args.command == "card" else _model_changes.run(args)


def _inspect(args: argparse.Namespace) -> int:
    from engine.errors import ModelError
    from engine.models import installed
    from engine.models.survey import survey

    bases = [installed.locate(path) if path is not None else None for path in (args.base, args.adapter, args.tower)]
    base, adapter, tower = bases
    found = survey(installed.locate(args.path), base=base, adapter=adapter, tower=tower)
    description = _model_words.describe(found) | {"plans": _model_words.plans(found, args.beams)}
    print(json.dumps(description, ensure_ascii=False) if args.json else _model_words.in_words(description))
    return 0 if description["usable"] else ModelError.exit_status


def _list(args: argparse.Namespace) -> int:
    from engine import paths
    from engine.models import contents, installed
    from engine.models.survey import survey

    root = paths.models()
    found = [_model_words.describe(survey(folder)) for folder in installed.folders()]
    parts = [one for one in found if one["kind"] in (contents.TOWER, contents.LANGUAGE_MODEL)]
    models = [one for one in found if one not in parts]
    available = _available(found) if args.available else []
    if args.json:
        result = {"models": models, "parts": parts} | ({"available": available} if args.available else {})
        print(json.dumps(result, ensure_ascii=False))
        return 0
    if not models:
        print(f"There are no models in {root}.")
    for one in (*models, *parts):
        print(_model_words.row(one, Path(one["path"]).relative_to(root).as_posix()))
    if available:
        print(
            "\nPublished and not installed; 'python launch.py models download HUB_ID' fetches one with what it needs:"
        )
    for one in available:
        print(_model_words.available_row(one))
    return 0


def _available(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from engine import paths
    from engine.models import places
    from engine.models.catalogue import CATALOGUE

    here = {one["published"]["hub_id"] for one in found if one["published"] is not None}
    towers = {tower for one in CATALOGUE for tower in one.towers}
    towers |= {one.hub_id for one in CATALOGUE if one.kind == "vision tower"}
    at_hand = {tower: places.find(tower, paths.models()) is not None for tower in towers}
    return [
        _model_words.available(one, {tower: at_hand[tower] for tower in one.towers})
        for one in CATALOGUE
        if one.hub_id not in here and not at_hand.get(one.hub_id, False)
    ]

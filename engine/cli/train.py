"""``train RECIPE.yaml``: train a TAC model; the recipe says everything, the command only starts it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("recipe", type=Path, help="a YAML file; engine/training/recipes/demo.yaml is the demo model's")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Train and name the folder of the result; losses go to stderr while it runs."""
    from engine.training.trainer import run as train

    def report(stage: str, figures: dict[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"{stage}: {shown}", file=sys.stderr, flush=True)

    model = train(args.recipe, report)
    if args.json:
        print(json.dumps({"model": str(model)}))
    else:
        print(f"The trained model is in {model}.", file=sys.stderr)
    return 0

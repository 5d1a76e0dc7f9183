"""Train a model as a recipe says, go on with a run that was interrupted, or say what a run is doing.

Recipes to begin with are in engine/training/recipes. A run is stopped at a checkpoint by Ctrl-C, by SIGTERM or by a
file STOP in its folder; `train --resume RUN` goes on. On several GPUs or machines: `torchrun ... launch.py --no-venv
train RECIPE --output RUN`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.jobs import progress


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "recipe", nargs="?", type=Path, help="a YAML file; engine/training/recipes/demo.yaml is the demo model's"
    )
    what.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    parser.add_argument("--output", type=Path, metavar="RUN", help="the run's folder, instead of the recipe's")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Train and name the folder of the result; losses go to stderr while it runs."""
    from engine.errors import UsageError
    from engine.training.run import resume, run

    if args.resume is not None and args.output is not None:
        raise UsageError("--output belongs to a new run; a resumed one has its folder.")
    model = run(args.recipe, args.output, _report) if args.recipe else resume(args.resume, _report)
    if args.json:
        print(json.dumps({"run": str(model.parent), "model": str(model)}))
    else:
        print(f"The trained model is in {model}.", file=sys.stderr)
    return 0


def _report(stage: str, figures: dict[str, float]) -> None:
    """One line for a person, and how far it is for whoever follows the job."""
    done, total = int(figures.get("step", 0)), int(figures.get("steps", 0))
    shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name not in ("step", "steps"))
    print(f"{stage}: {done} of {total}  {shown}".rstrip(), file=sys.stderr, flush=True)
    if total:
        progress.report(done, total, f"{stage}: steps")

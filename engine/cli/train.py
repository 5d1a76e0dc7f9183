"""Train a model as a recipe says, go on with a run that was interrupted, or check a recipe before it is run.

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
    parser.add_argument(
        "--check",
        action="store_true",
        help="train nothing: say what is wrong with the recipe's files and what memory it would take; exit status 3 if "
        "it cannot be started",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Train and name the folder of the result; losses go to stderr while it runs."""
    from engine.errors import UsageError

    if args.check:
        return _check(args)
    from engine.training.run import resume, run

    if args.resume is not None and args.output is not None:
        raise UsageError("--output belongs to a new run; a resumed one has its folder.")
    model = run(args.recipe, args.output, _report) if args.recipe else resume(args.resume, _report)
    if args.json:
        print(json.dumps({"run": str(model.parent), "model": str(model)}))
    else:
        print(f"The trained model is in {model}.", file=sys.stderr)
    return 0


def _check(args: argparse.Namespace) -> int:
    """Say what is to be said before a run is begun."""
    from engine.cli import _train_check
    from engine.errors import DatasetError, UsageError
    from engine.training.recipe import read_recipe

    if args.recipe is None:
        raise UsageError("--check looks at a recipe: name its file.")
    verdict = _train_check.check(read_recipe(args.recipe))
    print(json.dumps(verdict.to_json(), ensure_ascii=False) if args.json else "\n".join(verdict.lines()))
    return 0 if verdict.ok else DatasetError.exit_status


def _report(stage: str, figures: dict[str, float]) -> None:
    """One line for a person, and how far it is for whoever follows the job."""
    done, total = int(figures.get("step", 0)), int(figures.get("steps", 0))
    shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name not in ("step", "steps"))
    print(f"{stage}: {done} of {total}  {shown}".rstrip(), file=sys.stderr, flush=True)
    if total:
        progress.report(done, total, f"{stage}: steps")

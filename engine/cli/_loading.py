"""How a model is loaded: the options that the drafting commands share, and the engine they make. No command itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time only after the options are parsed: ``--help`` must not wait for the engine.
    from engine.drafting import Engine


def register(parser: argparse.ArgumentParser) -> None:
    """The options, ``--model`` aside: whether it must be given differs between the commands."""
    running = parser.add_argument_group("the model")
    running.add_argument("--base", type=Path, metavar="DIR", help="base of an adapter or projector given as --model")
    running.add_argument("--adapter", type=Path, metavar="DIR", help="LoRA adapter to put on --model")
    running.add_argument("--tower", type=Path, metavar="DIR", help="vision tower (default: the one the model names)")
    running.add_argument("--conversation", metavar="NAME", help="conversation template (default: the model's)")
    running.add_argument(
        "--quantization",
        choices=("auto", "none", "int8", "nf4"),
        default="auto",
        help="of the language model's layers (default: none if there is memory enough)",
    )
    running.add_argument(
        "--dtype",
        choices=("auto", "fastest", "float32", "bfloat16", "float16"),
        default="auto",
        help="fastest: bfloat16 where the processor computes in it (default: float32, on a GPU bfloat16)",
    )
    running.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    running.add_argument("--threads", type=int, metavar="N", help="processor threads")


def load(args: argparse.Namespace) -> Engine:
    """The engine that the parsed options ask for; what should be known about it goes to standard error."""
    from engine.drafting import Engine

    engine = Engine.load(
        args.model,
        base=args.base,
        adapter=args.adapter,
        tower=args.tower,
        conversation=args.conversation,
        quantization=args.quantization,
        dtype=args.dtype,
        device=args.device,
        threads=args.threads,
        beams=args.num_beams,
    )
    for warning in engine.warnings:
        print(warning, file=sys.stderr)
    return engine

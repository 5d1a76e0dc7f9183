"""How a model is loaded: the options that the drafting commands share, and the engine they make. No command itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time only after the options are parsed: ``--help`` must not wait for the engine.
    from engine.drafting.loading import AnyEngine

MODEL = "folder of the model, or the address of a server that runs it (http://127.0.0.1:8000/v1)"


def place(word: str) -> Path | str:
    """What ``--model`` says: a folder, or an address, which is no path."""
    from engine.remote.address import is_address

    return word if is_address(word) else Path(word)


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
    served = parser.add_argument_group("a model behind an address (docs/served.md)")
    served.add_argument("--served-as", metavar="NAME", help="which of the server's models (default: its only one)")
    served.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow a server that is not this machine: IMAGES AND QUESTIONS ARE SENT THERE",
    )
    served.add_argument(
        "--image-max-pixels", type=int, metavar="N", help="shrink pictures to this (default: 589824 for Qwen2-VL)"
    )
    served.add_argument("--image-min-pixels", type=int, metavar="N", help="enlarge smaller pictures to this")


def load(args: argparse.Namespace) -> AnyEngine:
    """The engine that the parsed options ask for; what should be known about it goes to standard error."""
    from engine.drafting import loading

    engine = loading.load(
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
        served_as=args.served_as,
        allow_remote=args.allow_remote,
        image_max_pixels=args.image_max_pixels,
        image_min_pixels=args.image_min_pixels,
    )
    for warning in engine.warnings:
        print(warning, file=sys.stderr)
    return engine

"""How words are chosen: the options that the drafting commands share, and the settings they make. No command itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time only after the options are parsed: ``--help`` must not wait for the engine.
    from engine.drafting import Decoding


def register(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The options; ``several`` adds the one that asks for more than one text."""
    choosing = parser.add_argument_group("choosing the words (default: greedy, the same every time)")
    choosing.add_argument("--num-beams", type=int, default=1, metavar="N", help="beam search with N > 1")
    choosing.add_argument("--length-penalty", type=float, metavar="X", help="of beam search (default 1)")
    choosing.add_argument(
        "--no-repeat-ngram", type=int, metavar="N", help="never repeat N tokens (default: 3 with beams, else no ban)"
    )
    choosing.add_argument("--temperature", type=float, default=0.0, metavar="T", help="sample with T > 0")
    choosing.add_argument("--top-p", type=float, metavar="P", help="sample from the likeliest tokens only")
    choosing.add_argument("--seed", type=int, metavar="N", help="of the sampling")
    choosing.add_argument("--max-new-tokens", type=int, default=512, metavar="N")
    if several:
        choosing.add_argument(
            "--num-return-sequences", type=int, default=1, metavar="N", help="the N best beams or samples"
        )
    else:
        parser.set_defaults(num_return_sequences=1)


def decoding(args: argparse.Namespace) -> Decoding:
    """The settings that the parsed options make. Raises UsageError for what does not go together."""
    from engine.drafting import Decoding

    return Decoding(
        num_beams=args.num_beams,
        length_penalty=args.length_penalty,
        no_repeat_ngram=args.no_repeat_ngram,
        temperature=args.temperature,
        top_p=args.top_p,
        seed=args.seed,
        max_new_tokens=args.max_new_tokens,
        num_return_sequences=args.num_return_sequences,
    )

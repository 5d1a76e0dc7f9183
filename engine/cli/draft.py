"""Draft a report section from a current radiograph and, if there is one, a prior."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.cli import _decoding, _loading


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``draft``; those left out are decided by the rules in the help texts."""
    parser.add_argument("--model", required=True, type=_loading.place, metavar="DIR|URL", help=_loading.MODEL)
    parser.add_argument("--current", required=True, type=Path, metavar="FILE", help="the radiograph to report")
    parser.add_argument("--prior", type=Path, metavar="FILE", help="an earlier radiograph of the same patient")

    asking = parser.add_argument_group("the question")
    question = asking.add_mutually_exclusive_group()
    question.add_argument("--section", choices=("findings", "impression"), default="findings")
    question.add_argument("--prompt", metavar="TEXT", help="a question of your own, instead of a section's")
    asking.add_argument("--context", default="", metavar="TEXT", help="indication, history")
    asking.add_argument(
        "--language",
        choices=("en", "zh", "en+zh"),
        default="en",
        help="of the report: English, Chinese, or both, where the model writes it (default: en)",
    )
    asking.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="text that ends the answer; again for more"
    )
    asking.add_argument(
        "--hints",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="texts the answer may repeat in part, such as the prior's report: quicker, the same answer",
    )

    _loading.register(parser)
    _decoding.register(parser, several=True)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else there")


def run(args: argparse.Namespace) -> int:
    """Draft; the text, or with ``--json`` everything about it, goes to standard output."""
    from engine.drafting import Asking, Comparison, Draft, Progress, Token

    decoding = _decoding.decoding(args)
    asking = Asking(
        section=args.section,
        prompt=args.prompt,
        context=args.context,
        stops=tuple(args.stop),
        hints=tuple(map(_text, args.hints)),
        language=args.language,
    )
    comparison = Comparison.open(args.current, args.prior)
    engine = _loading.load(args)
    if engine.info.demonstration:
        print("Demonstration model: it was made to show the program, not to read radiographs.", file=sys.stderr)

    streaming = not args.json and args.num_beams == 1
    events = engine.stream(comparison, asking, decoding=decoding)
    for event in events:
        if isinstance(event, Progress):
            print(f"{event.message} ...", file=sys.stderr)
        elif isinstance(event, Token) and streaming:
            print(event.delta, end="", flush=True)
        elif isinstance(event, Draft):
            _show(event, as_json=args.json, streamed=streaming)
    return 0


def _text(file: Path) -> str:
    from engine.errors import UsageError

    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise UsageError(f"The text {file.name} cannot be read; it must be a text file in UTF-8.") from None


def _show(draft: object, *, as_json: bool, streamed: bool) -> None:
    from engine.drafting import Draft

    assert isinstance(draft, Draft)
    if as_json:
        print(json.dumps(draft.to_json(), ensure_ascii=False))
        return
    print() if streamed else print(draft.text)
    for other in draft.sequences[1:]:
        print(f"\n{other.text}")
    if not draft.has_prior:
        print("No prior: the current image stood in for it.", file=sys.stderr)
    for check in draft.checks:
        print(f"Check: {check.message}", file=sys.stderr)
    timings = draft.timings
    print(
        f"{timings.tokens} tokens in {timings.total_s:.1f} s (first after {timings.first_token_s:.1f} s, "
        f"model loaded in {timings.load_s:.1f} s)",
        file=sys.stderr,
    )

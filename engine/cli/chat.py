"""Ask about a radiograph, or about a current one and its prior: several questions, each knowing the answers before it.

Questions come from standard input, one a line. A line that begins with a slash is a word of the command itself:

    /findings, /impression    the question a draft of this section asks
    /again                    forget the conversation
    /help                     these words
    /quit                     the end, like the end of the input

Ctrl-C stops the answer that is being written; between two answers it ends the command.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli import _decoding, _loading, in_words
from engine.errors import Cancelled, IntervalError, TooLong

if TYPE_CHECKING:
    from engine.drafting import Asking, Comparison, Decoding, Draft, Turn
    from engine.drafting.loading import AnyEngine

HELP = "/findings and /impression ask for a section, /again forgets the conversation, /quit ends."


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``chat``."""
    parser.add_argument("--model", required=True, type=_loading.place, metavar="DIR|URL", help=_loading.MODEL)
    parser.add_argument("--current", required=True, type=Path, metavar="FILE", help="the radiograph to ask about")
    parser.add_argument("--prior", type=Path, metavar="FILE", help="an earlier radiograph of the same patient")
    parser.add_argument("--context", default="", metavar="TEXT", help="indication, history")
    _loading.register(parser)
    _decoding.register(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object for each answer on standard output, nothing else there"
    )


def run(args: argparse.Namespace) -> int:
    """Answer until the questions end."""
    from engine.drafting import Comparison

    decoding = _decoding.decoding(args)
    comparison = Comparison.open(args.current, args.prior)
    engine = _loading.load(args)
    if engine.info.demonstration:
        _say("Demonstration model: it was made to show the program, not to read radiographs.")
    if comparison.prior is None:
        _say("No prior: the current image stands in for it.")
    Chat(engine, comparison, decoding, args.context, as_json=args.json).run()
    return 0


@dataclass
class Chat:
    """The conversation so far. A question that fails or is stopped is no part of it.

    ``shown`` is what has been printed of the answer that is being written.
    """

    engine: AnyEngine
    comparison: Comparison
    decoding: Decoding
    context: str
    as_json: bool
    turns: list[Turn] = field(default_factory=list)
    shown: str = ""

    def run(self) -> None:
        """Take questions from standard input until it ends or says so."""
        for line in _lines():
            if line == "/quit":
                return
            if line == "/again":
                self.turns.clear()
                _say("The conversation is forgotten.")
            elif line == "/help":
                _say(HELP)
            elif line.startswith("/"):
                self._section(line)
            elif line:
                self._ask(line, None)

    def _section(self, line: str) -> None:
        from engine.drafting import SECTIONS

        if line[1:] in SECTIONS:
            self._ask(SECTIONS[line[1:]], line[1:])
        else:
            _say(f"There is no {line.split()[0]}. {HELP}")

    def _ask(self, question: str, section: str | None) -> None:
        """Put one question; ``section`` is the one whose own question it is."""
        from engine.drafting import Asking, Turn

        asking = Asking(
            section=section or "findings",
            prompt=None if section else question,
            context=self.context,
            earlier=tuple(self.turns),
            hints=tuple(turn.answer for turn in self.turns),
        )
        try:
            draft = self._answer(asking)
        except Cancelled:
            raise
        except TooLong as error:
            _say(f"{in_words(error)} /again forgets the conversation." if self.turns else in_words(error))
        except IntervalError as error:
            _say(in_words(error))
        else:
            if draft is not None:
                self._end(draft, question)
                if draft.finished != "cancelled" and draft.text.strip():
                    self.turns.append(Turn(question, draft.text))

    def _answer(self, asking: Asking) -> Draft | None:
        """The answer, shown while it is written; None where it was stopped before its first word."""
        from engine.drafting import Draft, Progress, Token

        streams = not self.as_json and self.decoding.num_beams == 1
        self.shown = ""
        with _stoppable() as stopped:
            events = self.engine.stream(
                self.comparison, asking, decoding=self.decoding, cancelled=lambda: stopped.is_set
            )
            with closing(events):  # type: ignore[type-var]
                for event in events:
                    if isinstance(event, Draft):
                        return event
                    if isinstance(event, Token) and streams:
                        print(event.delta, end="", flush=True)
                        self.shown = event.text_so_far
                    elif isinstance(event, Progress):
                        if stopped.is_set:
                            _say("Stopped before its first word.")
                            return None
                        if _is_terminal():
                            _say(f"{event.message} ...")
        return None

    def _end(self, draft: Draft, question: str) -> None:
        if self.as_json:
            print(json.dumps({"question": question, **draft.to_json()}, ensure_ascii=False), flush=True)
            return
        # The last letters may have waited for more of a word that never came.
        print(draft.text.removeprefix(self.shown) if draft.text.startswith(self.shown) else "", flush=True)
        for check in draft.checks:
            _say("Stopped: it is not part of the conversation." if check.code == "cancelled" else check.message)


@dataclass
class _Stopped:
    """Whether Ctrl-C was pressed."""

    is_set: bool = False


@contextmanager
def _stoppable() -> Iterator[_Stopped]:
    """Within it the first Ctrl-C is only noted: the model stops after a token, never in the middle of one.

    The next Ctrl-C is an interruption as ever.
    """
    stopped = _Stopped()

    def note(number: int, frame: object) -> None:
        stopped.is_set = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _lines() -> Iterator[str]:
    """The lines of standard input without white space around them; on a terminal each is prompted for."""
    if _is_terminal():
        _say(f"Ask, one question a line. {HELP}")
    while True:
        if _is_terminal():
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.strip()


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _say(text: str) -> None:
    print(text, file=sys.stderr)

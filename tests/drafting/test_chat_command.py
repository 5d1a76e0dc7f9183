"""`chat` as a command: several turns, what goes where, words of its own, and Ctrl-C."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.cli import _loading, chat, main
from engine.drafting import SECTIONS, Asking, Draft, Engine, Event, Token, Turn
from engine.errors import ModelError

Call = Callable[..., tuple[int, str, str]]


@dataclass
class Watched:
    """The engine of the command, with what was asked of it, and what is done when so many tokens are written."""

    engine: Engine
    asked: list[Asking] = field(default_factory=list)
    answers: list[Draft] = field(default_factory=list)
    interrupt_at: int | None = None
    error: Exception | None = None

    @property
    def info(self) -> Any:
        return self.engine.info

    def stream(self, comparison: Any, asking: Asking, **more: Any) -> Iterator[Event]:
        self.asked.append(asking)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.interrupt_at == 0:
            signal.raise_signal(signal.SIGINT)
        tokens = 0
        for event in self.engine.stream(comparison, asking, **more):
            tokens += isinstance(event, Token)
            if tokens == self.interrupt_at and tokens:
                signal.raise_signal(signal.SIGINT)
                self.interrupt_at = None
            if isinstance(event, Draft):
                self.answers.append(event)
            yield event


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return Engine.load(tiny)


@pytest.fixture
def watched(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Watched:
    made = Watched(engine)
    monkeypatch.setattr(_loading, "load", lambda args: made)
    return made


@pytest.fixture
def call(
    watched: Watched,
    tiny: Path,
    pictures: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    def run(said: str, *more: object) -> tuple[int, str, str]:
        current, prior = map(str, pictures)
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        options = ["--model", str(tiny), "--current", current, "--prior", prior, "--max-new-tokens", "6"]
        status = main(["chat", *options, *map(str, more)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_conversation(call: Call, watched: Watched) -> None:
    status, out, err = call("/findings\n\nWhat changed?\nAnd the left?", "--context", "Cough.")
    assert status == 0
    first, second, third = watched.asked
    answers = [draft.text for draft in watched.answers]
    assert (first.section, first.prompt, first.earlier) == ("findings", None, ())
    assert (second.prompt, second.earlier) == ("What changed?", (Turn(SECTIONS["findings"], answers[0]),))
    assert third.earlier == (*second.earlier, Turn("What changed?", answers[1]))
    assert {asking.context for asking in watched.asked} == {"Cough."}
    assert out.split() == " ".join(answers).split()
    assert "Demonstration model" in err and ">" not in err, "nobody is prompted in a pipe"


def test_json_is_all_of_standard_output(call: Call, watched: Watched) -> None:
    status, out, _ = call("What changed?\n/impression\n", "--json")
    assert status == 0
    first, second = map(json.loads, out.splitlines())
    assert (first["question"], second["question"]) == ("What changed?", SECTIONS["impression"])
    assert [first["text"], second["text"]] == [draft.text for draft in watched.answers]
    assert len(first["token_ids"]) == 6 and first["finished"] == "length"


def test_words_of_its_own(call: Call, watched: Watched) -> None:
    status, _, err = call("One?\n/again\n/help\n/technique please\nTwo?\n/quit\nThree?\n")
    assert status == 0
    assert [asking.prompt for asking in watched.asked] == ["One?", "Two?"]
    assert watched.asked[1].earlier == ()
    assert "is forgotten" in err and err.count(chat.HELP) == 2 and "no /technique." in err


def test_a_question_that_fails_is_said_and_the_conversation_goes_on(call: Call, watched: Watched) -> None:
    status, _, err = call(f"One?\n{'x' * 2001}\nTwo?")
    assert status == 0
    assert "The prompt is too long" in err and "/again" in err
    assert [turn.question for turn in watched.asked[-1].earlier] == ["One?"]
    watched.error = ModelError("The model computed values that are not numbers.")
    status, _, err = call("Three?\nFour?")
    assert status == 0 and "not numbers" in err and len(watched.answers) == 3


def test_ctrl_c_stops_the_answer_only(call: Call, watched: Watched) -> None:
    watched.interrupt_at = 2
    status, out, err = call("One?\nTwo?")
    assert status == 0
    stopped, answered = watched.answers
    assert stopped.finished == "cancelled" and stopped.text.strip() in out
    assert answered.finished != "cancelled" and watched.asked[1].earlier == ()
    assert "not part of the conversation" in err


def test_ctrl_c_before_the_first_word(call: Call, watched: Watched) -> None:
    watched.interrupt_at = 0
    status, out, err = call("One?", "--json")
    assert (status, out) == (0, "") and "before its first word" in err


def test_ctrl_c_at_the_prompt_ends_the_command(call: Call, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGINT)

    def pressed() -> Iterator[str]:
        yield "One?"
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(chat, "_lines", pressed)
    status, out, _ = call("")
    assert status == 130 and len(watched.answers) == 1
    assert watched.answers[0].text.strip() in out
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_terminal_is_prompted_on_standard_error(
    call: Call, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_is_terminal", lambda: True)
    status, out, err = call("One?", "--json")
    assert status == 0
    assert err.count("> ") == 2 and chat.HELP in err and "Writing" in err
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "status"), [(("--num-beams", "0"), 2), (("--prior", "no-such-file.png"), 3), (("--section", "x"), 2)]
)
def test_exit_status(call: Call, more: tuple[str, ...], status: int) -> None:
    assert call("", *more)[0] == status

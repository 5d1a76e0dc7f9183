"""The one place that turns errors into words and an exit status; and the tree of errors as it is documented."""

from __future__ import annotations

import errno
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import cli, errors, logs

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, errors.IntervalError)]
PLANTED = "PHANTOM^TESTPERSON"

Command = Callable[[str], list[str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Write a command whose ``run`` has this body; returns what main is to be called with."""

    def command(body: str) -> list[str]:
        register = "def register(parser): parser.add_argument('--n', type=int)"
        source = f"from engine import errors\n{register}\ndef run(args):\n    {body}\n"
        (tmp_path / "told_command.py").write_text(source)
        sys.modules.pop("told_command", None)
        return ["told"]

    monkeypatch.syspath_prepend(tmp_path)
    return command


def call(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main(argv, module="told_command")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return status, err


def test_the_documented_tree_is_the_tree() -> None:
    """The drawing at the top of errors.py names every class with its exit and HTTP status, below its parent."""
    assert errors.__doc__ is not None
    drawn = re.findall(r"^\s+((?:[│├└─\s])*)(\w+)\s+(\d+)\s+(\d{3})\s", errors.__doc__, flags=re.M)
    assert {(name, int(exit_), int(http)) for _, name, exit_, http in drawn} == {
        (one.__name__, one.exit_status, one.http_status) for one in CLASSES if one is not errors.IntervalError
    }
    assert sorted(one.__name__ for one in CLASSES) == sorted(errors.__all__) == errors.__all__


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_every_error_has_a_contracted_status(one: type[errors.IntervalError]) -> None:
    assert one.exit_status in {1, 2, 3, 4, 5, 130}
    assert 400 <= one.http_status <= 599
    assert one.__doc__


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_every_error_becomes_its_message_and_its_status(
    one: type[errors.IntervalError], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = command(f"raise errors.{one.__name__}('This is why.')")
    assert call(argv, capsys) == (one.exit_status, "This is why.\n")


def test_what_an_error_lists_is_shown_up_to_ten(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    argv = command("raise errors.DatasetError('Rows are wrong.', tuple((n, 'no id') for n in range(1, 13)))")
    status, said = call(argv, capsys)
    assert status == 3
    assert said.splitlines()[:2] == ["Rows are wrong.", "  - row 1: no id"]
    assert said.splitlines()[-1] == "  ... and 2 more" and said.count("\n") == 12
    argv = command("raise errors.ModelError('Not usable.', ('no tokenizer', 'no weights'))")
    assert call(argv, capsys) == (4, "Not usable.\n  - no tokenizer\n  - no weights\n")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("raise MemoryError()", 5, "not enough memory"),
        ("raise type('OutOfMemoryError', (RuntimeError,), {})('CUDA out of memory. Tried to allocate')", 5, "memory"),
        (f"raise OSError({errno.ENOSPC}, 'No space left on device', '/a/b')", 5, "disk is full"),
        (f"raise OSError({errno.ENOMEM}, 'Cannot allocate memory')", 5, "no memory left"),
        ("open('/nowhere/at/all/image.dcm')", 3, "'image.dcm' was not found."),
        (
            f"raise PermissionError({errno.EACCES}, 'Permission denied', '/a/image.dcm')",
            3,
            "'image.dcm' cannot be opened",
        ),
        ("open('/usr')", 3, "'usr' cannot be used here: is a directory."),
        ("raise KeyboardInterrupt", 130, "Stopped."),
        ("raise errors.Cancelled()", 130, "Stopped."),
    ],
)
def test_what_the_system_raises_becomes_words(
    command: Command, capsys: pytest.CaptureFixture[str], body: str, status: int, words: str
) -> None:
    got, said = call(command(body), capsys)
    assert got == status and words in said
    assert said.count("\n") == 1


def test_a_fault_of_the_program_is_one_sentence_and_a_private_entry_in_the_log(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = command(f"secret = {PLANTED!r}; raise ValueError('cannot parse ' + secret)")
    status, said = call(argv, capsys)
    assert status == 1
    assert said.count("\n") == 1 and PLANTED not in said
    number = re.search(r"entry (\w{8})\.$", said.strip())
    assert number and str(logs.log_file()) in said
    text = logs.log_file().read_text(encoding="utf-8")
    assert number[1] in text and "builtins.ValueError" in text and "in run" in text
    assert "TESTPERSON" not in text and "cannot parse" not in text


def test_a_fault_without_a_writable_folder_still_ends_in_words(
    command: Command, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    home.write_text("a file in the place of the folder")
    status, said = call(command("raise ValueError"), capsys)
    assert status == 1 and "cannot be written" in said


def test_the_status_of_a_command_is_passed_on(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command("return 4"), capsys) == (4, "")


def test_wrong_options_are_wrong_usage(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = call([*command("return 0"), "--n", "many"], capsys)
    assert status == 2 and "--n" in said


@pytest.mark.parametrize("argv", [[], ["nothing"], ["../doctor"], ["os.path"], ["__init__"]])
def test_a_name_that_is_no_command_is_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    assert "There is no command" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_went_away_is_no_trace(project: Path) -> None:
    """As with `| head`: the pipe is closed before the command writes."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(project / "launch.py"), "--no-venv", "doctor"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writing)
    assert done.stderr == ""

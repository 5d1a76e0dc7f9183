"""Interval's door: `python launch.py COMMAND`. Needs Python 3.11 and nothing else.

The first start makes the environment `.venv` beside this file, installs requirements.txt into it and goes on there.
Later starts find it as the requirements want it and go on at once. An interrupted one is taken up where it ended.

Exit status: 0 done, 2 wrong usage, 3 the environment or the input cannot be used, 4 the model cannot be used,
5 not enough memory or disk, 130 cancelled.

Any Python reads this file first, so that an old one can be told what is needed: the syntax stays that of Python 3.6.
"""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - see above
    sys.stderr.write(f"Interval needs Python 3.11 or newer, and this is {sys.version.split()[0]}.\n")
    sys.exit(3)

PROJECT = Path(__file__).resolve().parent
VENV = PROJECT / ".venv"
GIGABYTES_NEEDED = 3
APP = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")


class Command(NamedTuple):
    """One command: its module, one line of help, and the requirement files it needs."""

    module: str
    help: str
    needs: tuple[str, ...] = APP


COMMANDS = {
    "viewer": Command("app.main", "open the workbench: compare, draft, correct, sign, export"),
    "studio": Command("trainer_ui.main", "open the training studio: data sets, training, evaluation, export"),
    "draft": Command("engine.cli.draft", "draft a report from a current and a prior image, without a screen"),
    "chat": Command("engine.cli.chat", "ask about a current and a prior image, question after question"),
    "data": Command("engine.cli.data", "make, check, split and convert data sets"),
    "train": Command("engine.cli.train", "train a model as a recipe says, or go on with a run"),
    "merge": Command("engine.cli.merge", "merge an adapter into its base, with a certificate"),
    "promote": Command("engine.cli.promote", "make a trained model available in the viewer, or take it back"),
    "evaluate": Command("engine.cli.evaluate", "answer a file of questions with a model"),
    "score": Command("engine.cli.score", "score answers against reference reports"),
    "models": Command("engine.cli.models", "list, inspect, add, download, verify and remove models"),
    "setup": Command("engine.cli.setup", "make the environment of a program that cannot live beside this one", ()),
    "doctor": Command("engine.cli.doctor", "check this machine, the environment and the data folder", ()),
    "bench": Command("engine.cli.bench", "measure how fast this machine drafts, against transformers' own generate"),
    "test": Command("engine.cli.test", "check the code and run all tests", DEVELOPMENT),
}

# What every command and every process it starts inherits: nothing is fetched, nothing is reported to anyone.
ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUTF8": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def main(arguments: list[str]) -> int:
    """Go through the door and run a command; returns the exit status."""
    stop = arguments.index("--") if "--" in arguments else len(arguments)
    words = [word for word in arguments[:stop] if word != "--no-venv"]
    in_place = len(words) < stop
    rest = words[1:] + arguments[stop:]
    if not words or words[0] in ("-h", "--help"):
        print(overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        say(f"There is no command '{name}'. 'python launch.py --help' lists all of them.")
        return 2
    os.environ.update(ENVIRONMENT)
    only_help = "-h" in words or "--help" in words
    from engine.errors import IntervalError

    try:
        python = choose_python(() if only_help else COMMANDS[name].needs, in_place)
    except IntervalError as refusal:
        say(str(refusal))
        return refusal.exit_status
    except OSError as error:
        say(f"The environment .venv cannot be made: {error.strerror or error}.")
        return 5 if error.errno == errno.ENOSPC else 3
    except KeyboardInterrupt:
        say("Stopped. The next start goes on where this one ended.")
        return 130
    if python is not None:
        hand_over(python, arguments)
    protect()
    from engine.cli import main as run

    return run([name, *rest], module=COMMANDS[name].module)


def overview() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {command.help}" for name, command in COMMANDS.items()]
    return (
        "usage: python launch.py [--no-venv] COMMAND [options]\n\n"
        "Interval, a workbench for chest radiographs. Research use only.\n\n" + "\n".join(lines) + "\n\n"
        "'python launch.py COMMAND --help' explains a command. --no-venv uses the Python that runs this file\n"
        "instead of the environment .venv that the first start makes."
    )


# Which interpreter


def choose_python(needs: tuple[str, ...], in_place: bool) -> Path | None:
    """The interpreter to go on with, made and filled where necessary; None for the one that is running.

    A command that needs nothing is content with the environment if there is one, and never makes it.
    """
    from engine.environment import Environment
    from engine.errors import InputError

    inside = VENV.is_dir() and os.path.realpath(sys.prefix) == os.path.realpath(str(VENV))
    environment = Environment(VENV, needs or APP, GIGABYTES_NEEDED, "Interval")
    if not needs:
        return None if in_place or inside or not environment.complete() else environment.python
    activated = sys.prefix != sys.base_prefix or os.environ.get("CONDA_PREFIX") == sys.prefix
    if in_place or (activated and not inside):
        from engine.pins import read, unmet

        missing = [f"{pin.name}=={pin.version}" for pin in unmet(pin for file in needs for pin in read(PROJECT / file))]
        if not missing:
            return None
        if in_place:
            names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise InputError(f"--no-venv: this Python lacks {names}. Install them or leave --no-venv out.")
    environment.make(inside=inside)
    return None if inside else environment.python


def hand_over(python: Path, arguments: list[str]) -> NoReturn:
    """Go on in another interpreter, with the same arguments."""
    command = [str(python), str(PROJECT / "launch.py"), *arguments]
    if os.name == "posix":
        os.execv(command[0], command)
    child = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches both of us: the child decides what it means
            sys.exit(child.wait())


def protect() -> None:
    """What this process writes is its user's alone, and a crash leaves no image of the memory behind."""
    os.umask(0o077)
    with contextlib.suppress(OSError):
        (PROJECT / "saves").chmod(0o700)  # a clone makes it open to all
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def say(text: str) -> None:
    """Words for the user go to standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command line: runs one command and is the one place that turns errors into words and an exit status.

A command is a module with two functions:

    register(parser: argparse.ArgumentParser) -> None     # options; imports nothing heavy, ``--help`` must be instant
    run(args: argparse.Namespace) -> int                  # the work; returns the exit status, raises IntervalError

Exit status: 0 done, 2 wrong usage, 3 the input cannot be used, 4 the model cannot be used, 5 not enough memory or disk,
130 cancelled, 1 a fault of the program. Human words go to standard error; standard output belongs to the command.
Which commands exist is launch.py's table; this package knows only how to run one.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engine import errors, logs

log = logging.getLogger(__name__)

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def main(argv: Sequence[str], *, module: str | None = None) -> int:
    """Run the command ``argv[0]`` with the options that follow and return its exit status; raises nothing.

    ``module`` is where the command lives; without it, it is ``engine.cli.<argv[0]>``. A command that runs as a job
    leaves its exit status in the job's folder.
    """
    status = _run(argv, module)
    if "INTERVAL_JOB" in os.environ:  # elsewhere nothing of jobs is needed
        from engine.jobs import progress

        progress.ended(status)
    return status


def _run(argv: Sequence[str], module: str | None) -> int:
    name, options = (argv[0], list(argv[1:])) if argv else ("", [])
    module = module or f"engine.cli.{name}"
    try:
        if not name.isidentifier() or name.startswith("_") or importlib.util.find_spec(module) is None:
            raise errors.UsageError(f"There is no command '{name}'. 'python launch.py --help' lists all of them.")
        command = importlib.import_module(module)
        parser = argparse.ArgumentParser(prog=f"launch.py {name}", description=command.__doc__, allow_abbrev=False)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        command.register(parser)
        args = parser.parse_args(options)
        logs.start()
        return int(command.run(args))
    except SystemExit as stop:  # argparse has already said what is wrong
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (KeyboardInterrupt, errors.Cancelled) as stop:
        _say(str(stop) or "Stopped.")
        return errors.Cancelled.exit_status
    except BrokenPipeError:  # the reader of our output, e.g. `| head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except errors.IntervalError as error:
        log.info("ended with %s", type(error).__name__)
        _say(in_words(error))
        return error.exit_status
    except Exception as error:
        known = translate(error)
        number = os.urandom(4).hex()
        log.error("fault %s in command %s", number, name, exc_info=error)
        if known is not None:
            _say(in_words(known))
            return known.exit_status
        _say(
            f"Interval failed in a way it did not expect. Details without patient data: {_log_name()}, entry {number}."
        )
        return errors.IntervalError.exit_status


def in_words(error: errors.IntervalError) -> str:
    """What a person reads about ``error``: its message and, where it lists problems or rows, the first ten of them."""
    details: list[str] = []
    if isinstance(error, errors.ModelError):
        details = list(error.problems)
    elif isinstance(error, errors.DatasetError):
        details = [f"row {row}: {reason}" for row, reason in error.rows]
    shown = [f"  - {line}" for line in details[:10]]
    if len(details) > 10:
        shown.append(f"  ... and {len(details) - 10} more")
    return "\n".join([str(error), *shown])


def translate(error: Exception) -> errors.IntervalError | None:
    """The error of our tree that says the same as another library's; None for a fault of the program.

    Commands map what they expect where it happens. What is left here can happen anywhere: memory, disk, permissions.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing torch
        return errors.ResourceError("There is not enough memory for this. Close other programs or use a smaller model.")
    if isinstance(error, OSError):
        name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, str | bytes) else ""
        if error.errno in _DISK_FULL:
            return errors.ResourceError("The disk is full. Free some space and try again.")
        if error.errno == errno.ENOMEM:
            return errors.ResourceError("The system has no memory left. Close other programs and try again.")
        if name and isinstance(error, FileNotFoundError):
            return errors.InputError(f"'{name}' was not found.")
        if name and isinstance(error, PermissionError):
            return errors.InputError(f"'{name}' cannot be opened or written: permission denied.")
        if name and isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
            return errors.InputError(
                f"'{name}' cannot be used here: {(error.strerror or 'wrong kind of file').lower()}."
            )
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _log_name() -> str:
    file = logs.log_file()
    return str(file) if file.exists() else "none (the data folder cannot be written)"

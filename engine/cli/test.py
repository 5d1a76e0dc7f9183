"""Check the code and run all tests, as CI does.

Format, lint, types, the floors of the engine, then the tests: several at once, and those that drive a browser one after
the other. Everything runs even when something before it failed; the exit status is 0 only if all of it passed.
Arguments after -- go to pytest, e.g. `test -- tests/imaging -x`.

`test --llamafactory` runs the tests that train through LLaMA-Factory, and no others. It makes LLaMA-Factory's
environment first, once: about 7 GB and some minutes.

On Debian as root the programs that the tests need are installed first. Elsewhere a test whose program is missing is
skipped and says so; where the environment variable CI is set, such a skip is a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from engine import environment, paths

# Debian package -> a program or file that it brings. The one list of what tests need beyond Python.
DEBIAN_PACKAGES = {
    "chromium": "/usr/bin/chromium",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "fonts-droid-fallback": "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "wordnet-base": "/usr/share/wordnet/data.noun",
}


SUITES = ("tests", "browser", "llamafactory")
"""The steps that are pytest's."""

NO_TESTS = 5
"""pytest's exit status where none of the tests it was asked for is of this step."""


@dataclass(frozen=True)
class Step:
    """One check that was run: its name, whether it passed, and how long it took."""

    name: str
    passed: bool
    seconds: float


@dataclass(frozen=True)
class Counts:
    """What pytest counted; an error outside a test counts as a failure."""

    passed: int
    failed: int
    skipped: int

    @classmethod
    def read(cls, junit: Path) -> Counts:
        """The counts of a JUnit file; one failure if pytest did not get as far as writing it."""
        try:
            suites = list(ET.parse(junit).getroot().iter("testsuite"))
        except (OSError, ET.ParseError):
            return cls(0, 1, 0)

        def total(key: str) -> int:
            return sum(int(suite.get(key, 0)) for suite in suites)

        failed = total("failures") + total("errors")
        return cls(total("tests") - failed - total("skipped"), failed, total("skipped"))

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``test``."""
    parser.add_argument("--all", action="store_true", help="add the tests marked slow, which take minutes each")
    parser.add_argument("--llamafactory", action="store_true", help="only the tests that train through LLaMA-Factory")
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="arguments for pytest")


def run(args: argparse.Namespace) -> int:
    """Run all checks; 0 if every one passed, else 1."""
    install_programs()
    if args.llamafactory:
        environment.beside("llamafactory").make()
    # Not in the data folder: what is told apart by lying inside or outside of the project has to lie outside.
    with tempfile.TemporaryDirectory(prefix="interval-test-") as made:
        scratch = Path(made)
        cache = paths.home() / "cache"
        variables = {
            **os.environ,
            "RUFF_CACHE_DIR": str(cache / "ruff"),
            "MYPY_CACHE_DIR": str(cache / "mypy"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
            "OMP_NUM_THREADS": "1",
        }
        python = sys.executable
        left_out = [*([] if args.all else ["slow"]), *([] if args.llamafactory else ["llamafactory"])]

        def tests(name: str, kind: str, *more: str) -> list[str]:
            return [
                *(python, "-m", "pytest", "-o", f"cache_dir={cache / 'pytest'}"),
                *(f"--basetemp={scratch / name}", f"--junitxml={scratch / name}.xml", "--durations=10"),
                *("-m", " and ".join([kind, *(f"not {marker}" for marker in left_out)]), *more, *args.pytest),
            ]

        commands = {
            "format": [python, "-m", "ruff", "format", "--check", "--quiet", "."],
            "lint": [python, "-m", "ruff", "check", "--quiet", "--output-format", "concise", "."],
            "types": [python, "-m", "mypy"],
            "floors": [str(Path(sysconfig.get_path("scripts")) / "lint-imports"), "--no-cache", "--no-logo"],
            "tests": tests("tests", "not browser", "-n", str(workers()), "--dist", "loadfile"),
            "browser": tests("browser", "browser"),
        }
        if args.llamafactory:
            commands = {"llamafactory": tests("llamafactory", "llamafactory")}
        steps = [_step(name, command, variables) for name, command in commands.items()]
        counts = sum((Counts.read(scratch / f"{name}.xml") for name in commands if name in SUITES), Counts(0, 0, 0))
    print()
    for step in steps:
        print(f"{step.name:12} {'passed' if step.passed else 'FAILED'} {step.seconds:7.1f} s")
    print(counts, flush=True)
    return 0 if all(step.passed for step in steps) and counts.passed else 1


def workers() -> int:
    """Processes that run tests at once: as many as there are cores, four at most for their memory's sake."""
    return min(os.cpu_count() or 1, 4)


def install_programs() -> None:
    """Install what is missing of DEBIAN_PACKAGES where this is Debian and we may; say so where it fails."""
    missing = [package for package, file in DEBIAN_PACKAGES.items() if not Path(file).exists()]
    may = (
        Path("/etc/debian_version").exists() and shutil.which("apt-get") and hasattr(os, "geteuid") and not os.geteuid()
    )
    if not missing or not may:
        return
    print(f"Installing {', '.join(missing)} with apt-get.", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "--quiet", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o022,
        )
        if done.returncode:
            print(f"apt-get {words[0]} failed:\n{done.stdout[-2000:]}", file=sys.stderr)


def _step(name: str, command: list[str], environment: dict[str, str]) -> Step:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=paths.PROJECT, env=environment, stdin=subprocess.DEVNULL)
    passed = done.returncode in (0, NO_TESTS if name in SUITES else 0)
    return Step(name, passed, time.monotonic() - started)

"""A command that does what a test wants, run as launch.py runs commands: by engine.cli.main.

note FILE WORD              append a line to FILE
until FILE                  wait for FILE
status N                    end with this exit status
say TEXT                    print
count N                     report progress up to N
save FILE GATE              on Ctrl-C: append "saved" to FILE, wait for GATE, end as stopped
leave FILE                  start a process that sleeps, and write its number to FILE
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from engine.jobs import progress


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("steps", nargs="*")


def wait(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.01)


def note(file: str, word: str) -> None:
    with Path(file).open("a") as out:
        out.write(word + "\n")


def run(args: argparse.Namespace) -> int:
    steps = iter(args.steps)
    for step in steps:
        if step == "note":
            note(next(steps), next(steps))
        elif step == "until":
            wait(next(steps))
        elif step == "status":
            return int(next(steps))
        elif step == "say":
            print(next(steps))
        elif step == "count":
            total = int(next(steps))
            for done in range(total + 1):
                progress.report(done, total, "cases")
        elif step == "leave":
            left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(next(steps)).write_text(str(left.pid))
        elif step == "save":
            file, gate = next(steps), next(steps)
            try:
                note(file, "working")
                wait("/nonexistent")
            except KeyboardInterrupt:
                note(file, f"saved {progress.stop_requested()}")
                wait(gate)
                raise
    return 0

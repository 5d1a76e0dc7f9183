"""RadGraph F1, RG_ER, RadCliQ-v1 and RaTEScore through RadEval, in an environment of its own.

RadEval cannot live beside this program (requirements-radeval.txt), so its Python runs radeval_worker.py and the two
speak JSON lines over standard input and output, on this machine alone. RadCliQ weighs words by the references of the
whole file, so all pairs go in one request. What RadEval cannot compute is absent with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import ModelError, UsageError
from engine.evaluation.statistics import Measure, mean

WORKER = Path(__file__).with_name("radeval_worker.py")

METRICS = {"radgraph": "RadGraph", "radgraph_radcliq": "RadGraph F1", "radcliq": "RadCliQ-v1", "ratescore": "RaTEScore"}
"""RadEval's names, and those for people."""

_KEYS = {
    "radgraph_f1": ("radgraph_radcliq", "radgraph_radcliq", 100.0),
    "RG_ER": ("radgraph", "radgraph_partial", 100.0),
    "radcliq_v1": ("radcliq", "radcliq_v1", 1.0),
    "ratescore": ("ratescore", "ratescore", 100.0),
}
"""Our key -> RadEval's metric, its key, and what to multiply with."""


class RadEval:
    """A scorer that asks RadEval.

    Args:
        place: a Python interpreter, or the folder of a virtual environment.
        report: told which metric has begun.

    Raises:
        UsageError: there is no interpreter.
        ModelError: RadEval cannot be started there.
    """

    stems: tuple[str, ...] = tuple(_KEYS)

    def __init__(self, place: Path, report: Callable[[str], None] | None = None) -> None:
        self.absent: Mapping[str, str] = {}
        self._report = report
        self._process = subprocess.Popen(
            # -P: beside the worker lie modules of this program that are named like others
            [str(interpreter(place)), "-P", "-X", "utf8", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may hold the texts
            text=True,
            encoding="utf-8",
            env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
        )
        self._end = weakref.finalize(self, _end, self._process)
        first = self._line()
        if "ready" not in first:
            self._end()
            raise ModelError(f"RadEval cannot be used from '{place.name}': {first.get('error', 'it said nothing')}.")
        self.version = str(first["ready"].get("radeval", ""))

    def measures(self, references: Sequence[str], predictions: Sequence[str]) -> dict[str, Measure]:
        """The scores of paired texts; what could not be computed is in ``absent``.

        Raises:
            ModelError: RadEval ended in the middle, or answered something else.
        """
        request = {"metrics": list(METRICS), "references": list(references), "predictions": list(predictions)}
        answer = self._ask(request)
        failed, scores = answer.get("failed", {}), answer["scores"]
        found: dict[str, Measure] = {}
        absent: dict[str, str] = {}
        for key, (metric, theirs, scale) in _KEYS.items():
            values = scores.get(theirs)
            if isinstance(values, list) and len(values) == len(references):
                found[key] = mean(values, scale)
            else:
                absent[key] = (
                    f"n/a, because RadEval could not compute {METRICS[metric]} ({failed.get(metric, 'no figures')}): "
                    "are its weights in this machine's cache?"
                )
        self.absent = absent
        return found

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as cause:
            raise ModelError("RadEval ended before it had scored the texts.") from cause
        while True:
            line = self._line()
            if "begun" in line:
                if self._report is not None:
                    self._report(METRICS.get(str(line["begun"]), "a score"))
            elif isinstance(line.get("scores"), dict):
                return line
            else:
                self._end()
                raise ModelError("RadEval ended before it had scored the texts, or answered something else.")

    def _line(self) -> dict[str, Any]:
        """The next line of the worker; {} where it ended or says no JSON object."""
        assert self._process.stdout is not None
        try:
            line = json.loads(self._process.stdout.readline())
        except (ValueError, OSError):
            return {}
        return line if isinstance(line, dict) else {}


def interpreter(place: Path) -> Path:
    """The Python that a path means: itself, or that of a virtual environment's folder.

    Raises:
        UsageError: there is none.
    """
    place = place.expanduser()
    for file in (place, place / "bin" / "python", place / "Scripts" / "python.exe"):
        if file.is_file() and os.access(file, os.X_OK):
            return file.absolute()  # not resolved: an environment's Python is often a link to the system's
    raise UsageError(f"'{place.name}' is neither a Python interpreter nor an environment; requirements-radeval.txt "
                     "says how to make one.")  # fmt: skip


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()  # it ends with its input
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

"""The memory plan under the choice of a model: what a draft takes, what there is, and what would fit instead.

What a folder takes is read from its headers by a process of its own (app/planner.py), once as long as its files stay
the same: the viewer's process needs no torch for it. Who asks waits on a thread of his own. Knows no widget.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app.services import installed
from app.services.chosen import AUTOMATIC, Chosen
from app.services.installed import Stamp
from app.services.views import Line
from engine import paths
from engine.drafting.served import leaving
from engine.remote.address import Address

log = logging.getLogger(__name__)

MOST_BEAMS = 8
LONGEST = 512
"""Tokens of the longest draft that can be asked for; memory is planned for it."""

PATIENCE_S = 120.0
SPARE = 0.05
"""Share of the free memory that the engine leaves alone as well (engine.models.plan)."""

PROCESS = 300_000_000
"""Bytes the engine's process holds without a model, as measured; the next one takes them again."""

QUALITY = ("float32", "bfloat16", "int8", "nf4")
"""Precisions, best first."""


@dataclass(frozen=True)
class Reading:
    """What the planner says of a folder; see app/planner.py. ``needed``: beams -> precision -> bytes."""

    device: str
    memory: int
    fastest: str
    automatic: tuple[str, ...]
    needed: Mapping[int, Mapping[str, int]]


class Plans:
    """Readings of model folders. ``read`` makes one, or gives None where that is impossible."""

    def __init__(self, read: Callable[[str], Reading | None] | None = None) -> None:
        self._read = read or self._ask
        self._one_at_a_time = threading.Lock()
        self._lock = threading.Lock()
        self._readings: dict[str, tuple[Stamp, Reading]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def known(self, path: str) -> Reading | None:
        """The reading of the folder as its files are now, if it has been made."""
        with self._lock:
            stamp, reading = self._readings.get(path, ((), None))
        return reading if reading is not None and stamp == installed.stamp(path) else None

    def reading(self, path: str) -> Reading | None:
        """The same, made if need be: takes seconds. None where nothing can be said."""
        with self._one_at_a_time:
            found = self.known(path)
            if found is not None or self._closed or not path:
                return found
            stamp = installed.stamp(path)
            found = self._read(path)
            if found is not None:
                with self._lock:
                    self._readings[path] = (stamp, found)
            return found

    def close(self) -> None:
        """Read no more; whoever waits gets None."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _ask(self, path: str) -> Reading | None:
        asked = {"path": path, "base": base_option(path), "beams": MOST_BEAMS, "new_tokens": LONGEST}
        # As the engine's own process: what it inherits must not depend on the folder the program was started in.
        environment = {**os.environ, "PYTHONPATH": str(paths.PROJECT), "INTERVAL_HOME": str(paths.home())}
        command = [sys.executable, "-P", "-m", "app.planner", json.dumps(asked)]
        try:
            with self._lock:
                if self._closed:
                    return None
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                )
            said, _ = self._process.communicate(timeout=PATIENCE_S)
            return parsed(json.loads(said)) if self._process.returncode == 0 else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.TimeoutExpired) as error:
            log.warning("no memory plan: %s", type(error).__name__)
            return None
        finally:
            with self._lock:
                if self._process is not None and self._process.poll() is None:
                    self._process.kill()
                    self._process.wait()
                self._process = None


def base_option(path: str) -> str | None:
    """The base that has to be named for what lies in the folder: a projector does not find its own."""
    folder = Path(path)
    below = installed.base(folder) if path and installed.is_projector(folder) else None
    return str(below) if below is not None else None


def parsed(said: Mapping[str, Any]) -> Reading:
    """What the planner has printed. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    needed = {
        int(beams): {str(name): int(size) for name, size in plans.items()} for beams, plans in said["needed"].items()
    }
    automatic = tuple(str(name) for name in said["automatic"])
    return Reading(str(said["device"]), int(said["memory"]), str(said["fastest"]), automatic, needed)


def free(reading: Reading, held: int) -> int:
    """Bytes for a model: what is free once the process that holds ``held`` has made way for the next; all of a GPU."""
    if reading.device == "cuda":
        return reading.memory  # of what is free there the planner would see only what the engine leaves
    return max(0, int(psutil.virtual_memory().available) + held - PROCESS)


def line(reading: Reading, chosen: Chosen, beams: int, free: int, running: str = "") -> Line | None:
    """The plan in a sentence or two; None where nothing can be said.

    Args:
        beams: of the drafts.
        free: as ``free`` gives it.
        running: the precision in which the chosen model is in memory; "" where it is not.
    """
    needed = reading.needed.get(beams)
    if not needed:
        return None
    able = [one for one in QUALITY if needed.get(one, free) <= free * (1 - SPARE)]
    automatic = chosen.precision == AUTOMATIC
    precision = chosen.precision
    if automatic:
        tried = [one for one in reading.automatic if one in needed]
        precision = running or next((one for one in tried if one in able), tried[-1] if tried else "")
    if precision not in needed:
        return None
    count = f" ({beams} beams)" if beams > 1 else ""
    gpu = reading.device == "cuda"
    there = f"the GPU has {size(free)}" if gpu else f"{size(free)} are free"
    takes = f"a draft takes {size(needed[precision])}{count}"
    if precision not in able:
        return Line(f"{precision} does not fit: {takes}, {there}. {_instead(reading, beams, free)}", "problem")
    words = f"In {precision} {takes}" if automatic else f"A{takes[1:]}"
    return Line(f"{words}; {there}.{_speed(reading, precision)}", "info")


def elsewhere(address: Address) -> Line:
    """What there is to say of a served model: the memory is the server's, and for one that is elsewhere, the images."""
    words = "The model runs in its server: what memory a draft takes is not known here."
    return Line(words, "info") if address.local else Line(f"{leaving(address)} {words}", "warning")


def _instead(reading: Reading, beams: int, free: int) -> str:
    """What would fit: another precision, or fewer beams."""
    for count in dict.fromkeys((beams, 1)):
        for one in QUALITY:
            takes = reading.needed.get(count, {}).get(one, free)
            if takes <= free * (1 - SPARE):
                fewer = "" if count == beams else " with 1 beam"
                return f"{one}{fewer} would, {size(takes)}."
    return "Close other programs, or choose a smaller model."


def _speed(reading: Reading, precision: str) -> str:
    """Which dtype is the quicker one here; nothing is said of int8 and nf4, whose speed depends on the model."""
    if precision not in ("float32", "bfloat16"):
        return ""
    place = "GPU" if reading.device == "cuda" else "processor"
    if precision == reading.fastest:
        return f" Fastest on this {place}."
    return f" {reading.fastest} is faster on this {place}."


def size(count: int) -> str:
    """Bytes for a person, as the engine writes them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"

"""Times and memory of one draft, and what several of them say together."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import psutil
import torch

from engine.models.memory import held

SAMPLING_S = 0.02
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Run:
    """One draft, in seconds from its start.

    Attributes:
        encode_s: pictures to features: preparing, tower, mixing of its layers.
        prefill_s: aligning the two, and the language model over the prompt.
        first_token_s: until the first token is known.
        step_s: of each token after the first.
        total_s: until the text is there.
        tokens: their ids, the best beam's.
        positions: of the prompt.
        passes: of the language model after the prompt's.
        others: processor cores that other programs kept busy meanwhile.
    """

    encode_s: float
    prefill_s: float
    first_token_s: float
    step_s: float
    total_s: float
    tokens: tuple[int, ...]
    positions: int
    passes: int
    others: float


@dataclass(frozen=True)
class Memory:
    """Bytes the process took beyond what it had before it loaded the model: at most, and with the model loaded.

    On the CPU memory of its own (mapped files do not count), on a GPU allocated memory of the card.
    """

    peak: int
    loaded: int


@dataclass(frozen=True)
class Measured:
    """What one process measured: several drafts of the same kind, each of other images."""

    runs: tuple[Run, ...]
    memory: Memory


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more."""
        return cls(statistics.median(values), min(values), max(values))


TIMES = tuple(one.name for one in fields(Run) if one.name.endswith("_s"))
"""The fields of a Run that are times."""


def spreads(runs: Sequence[Run]) -> dict[str, Spread]:
    """Of each time of these runs."""
    return {name: Spread.of([getattr(run, name) for run in runs]) for name in TIMES}


def now(device: str) -> float:
    """Seconds, with all that was asked of a GPU done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def elsewhere() -> float:
    """Processor seconds that have gone to anything but this process, since some moment in the past."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user already
    return float(sum(times) - idle - guests - time.process_time())


@dataclass
class Watch:
    """The memory of this process while it is watched; ``start`` is what it had before."""

    device: str
    start: int = 0
    loaded: int = 0
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def mark_loaded(self) -> None:
        """The model is loaded now."""
        self.loaded = _used(self.device)

    def memory(self) -> Memory:
        """What was seen."""
        return Memory(peak=self.peak - self.start, loaded=self.loaded - self.start)


@contextmanager
def watched(device: str) -> Iterator[Watch]:
    """Watch this process's memory for the block. Everything but the model should be imported and read before."""
    watch = Watch(device, start=_used(device))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    looker = threading.Thread(target=_look, args=(watch,), daemon=True)
    looker.start()
    try:
        yield watch
    finally:
        watch._over.set()
        looker.join()


def _look(watch: Watch) -> None:
    while True:
        over = watch._over.wait(SAMPLING_S)
        on_card = torch.cuda.max_memory_allocated() if watch.device == "cuda" else 0
        watch.peak = max(watch.peak, on_card or _used(watch.device))
        if over:
            return


def _used(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.memory_allocated())
    return held(torch.device(device))

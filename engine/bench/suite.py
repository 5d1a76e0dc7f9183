"""A whole bench: the model made, the cases measured, everything but the result removed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import torch

import engine
from engine import paths
from engine.bench import checkpoint, machine, plot, report
from engine.bench.cases import Bench
from engine.bench.material import write_studies
from engine.bench.processes import fresh, terminable
from engine.bench.sizes import SIZES, Size
from engine.bench.task import AGREEMENT, BATCH, BATCHED, DRAFTS, LOOKUP, plan
from engine.errors import ResourceError, UsageError

DEMO_FILM = 224
"""Longer side of the phantoms' films, as the demonstration model was trained with."""

OWNER = "owner"
"""File in a temporary folder that names the process it belongs to."""


@dataclass(frozen=True)
class Wish:
    """What is to be measured.

    Attributes:
        suite: "cpu" or "gpu".
        size: a key of SIZES.
        cases, precisions: names of task.py.
        repeats: drafts each figure is the median of.
        phantoms: cases for the demonstration model.
        threads: processor threads; one for each core unless given.
        keep: keep the random model.
    """

    suite: str
    size: str
    cases: tuple[str, ...]
    precisions: tuple[str, ...]
    repeats: int = 3
    phantoms: int = 50
    threads: int | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        for what, value, most in (
            ("repeats", self.repeats, 50), ("phantoms", self.phantoms, 1000), ("threads", self.threads, 1024)
        ):  # fmt: skip
            if value is not None and not 1 <= value <= most:
                raise UsageError(f"The number of {what} must be between 1 and {most}.")


def run(wish: Wish, say: Callable[[str], None]) -> report.Json:
    """Measure; the result as report.py describes it. ``say`` takes progress in words.

    Raises:
        UsageError: a GPU suite without a GPU.
        ResourceError: not enough disk for the model, or not enough memory to make it.
    """
    size = SIZES[wish.size]
    device = "cuda" if wish.suite == "gpu" else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("This machine has no GPU that PyTorch can use; leave --suite gpu out.")
    threads = wish.threads or _cores()
    described = machine.describe(device, threads)
    began = time.monotonic()
    with terminable(), _folder(wish.keep) as folder:
        planned = plan(wish.cases, wish.precisions)
        model, pairs, studies = folder / "model", [], []
        if any(case in DRAFTS or case == BATCH for case, _ in planned):
            _check_disk(size, folder)
            say(f"making a random model: {size.words}")
            fresh(checkpoint.make, size, model, device, threads=threads)
            pairs = [study.pair for study in write_studies(folder / "films", _pairs(wish, planned), size.film)]
            if wish.keep:
                say(f"the model stays in {model}")
        if any(case in (LOOKUP, AGREEMENT) for case, _ in planned):
            studies = write_studies(folder / "phantoms", wish.phantoms, DEMO_FILM)
        bench = Bench(size, model, pairs, wish.repeats, studies, device, threads, say)
        before = fresh(machine.read_rate, device, threads=threads)
        measured = list(bench.run(planned))
        after = fresh(machine.read_rate, device, threads=threads)
    cases = [report.entry(one, max(before, after)) for one in measured]
    return {
        "version": engine.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "suite": wish.suite,
        "size": {"name": size.name, "words": size.words, "new_tokens": size.new_tokens},
        "machine": described,
        "read_rate": {"before": before, "after": after},
        "repeats": wish.repeats,
        "peer": f"transformers {described['transformers']} generate(), called as Libra 1.0.3 calls it",
        "same_tokens": report.same_tokens(cases),
        "cases": cases,
        "seconds": round(time.monotonic() - began, 1),
    }


def _pairs(wish: Wish, planned: Sequence[tuple[str, str]]) -> int:
    """Pairs of films the cases need, with the one to get warm."""
    return 1 + max(wish.repeats, BATCHED if any(case == BATCH for case, _ in planned) else 0)


def write(result: report.Json, folder: Path) -> None:
    """Write the result into ``folder`` as bench-SUITE.json, .md and .svg."""
    name = f"bench-{result['suite']}"
    files = {
        ".json": json.dumps(result, indent=1) + "\n",
        ".md": f"# Bench: {result['suite']}\n\n![Bars]({name}.svg)\n\n" + report.table(result, markdown=True),
        ".svg": plot.svg(result),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in files.items():
        (folder / (name + ending)).write_text(text, encoding="utf-8")


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """A private folder for the model and the films, gone afterwards unless it is kept."""
    if keep:
        yield Path(tempfile.mkdtemp(prefix="model-", dir=paths.ensure(paths.home() / "bench")))
        return
    _remove_left_behind()
    with paths.scratch("bench") as folder:
        (folder / OWNER).write_text(str(os.getpid()), encoding="utf-8")
        yield folder


def _remove_left_behind() -> None:
    """Remove the folders of benches that were killed: a model is large."""
    for owner in (paths.home() / "tmp").glob(f"bench-*/{OWNER}"):
        if not psutil.pid_exists(int(owner.read_text(encoding="utf-8") or 0)):
            shutil.rmtree(owner.parent, ignore_errors=True)


def _check_disk(size: Size, folder: Path) -> None:
    needed, free = size.file_bytes, shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"The random model needs {needed / 1e9:.1f} GB of disk for the data folder; {free / 1e9:.1f} GB are free."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The machine in words: processor, GPU, memory, disk. Knows no torch: of a GPU its driver's own program tells."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from engine import paths

GB = 1e9
PATIENCE_S = 5.0
LITTLE_DISK = 20 * GB
LITTLE_MEMORY = 6 * GB

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Gpu:
    """One graphics processor; memory in bytes."""

    name: str
    memory: float
    free: float


@dataclass(frozen=True)
class Part:
    """One line: what it is, what there is of it, and whether that is little."""

    name: str
    words: str
    little: bool = False


def parts() -> tuple[Part, ...]:
    """All lines, as the machine is now."""
    memory = psutil.virtual_memory()
    free = shutil.disk_usage(next(place for place in (paths.home(), *paths.home().parents) if place.exists())).free
    return (
        Part("Processor", f"{processor()}, {os.cpu_count() or 1} cores"),
        _gpu(),
        Part(
            "Memory",
            f"{memory.available / GB:.0f} of {memory.total / GB:.0f} GB free",
            memory.available < LITTLE_MEMORY,
        ),
        Part("Disk", f"{free / GB:.0f} GB free for the data folder", free < LITTLE_DISK),
    )


def gpus() -> tuple[Gpu, ...]:
    """NVIDIA's, as their driver lists them; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            query, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        rows = [line.rsplit(",", 2) for line in told.stdout.splitlines() if line.strip()]
        return tuple(Gpu(name.strip(), float(total) * 2**20, float(free) * 2**20) for name, total, free in rows)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name."""
    try:
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> Part:
    found = gpus()
    if not found:
        return Part("GPU", "none found: small models train on the processor, large ones need a GPU", True)
    words = (f"{one.name}, {one.free / GB:.0f} of {one.memory / GB:.0f} GB free" for one in found)
    return Part("GPU", "; ".join(words))

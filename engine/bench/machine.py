"""What ran the bench, how fast it reads memory, and what a decode step must read at least.

A decode step multiplies every weight of the language model by few vectors, so that reading is what bounds it. The
limit of a step is the time the machine takes to read, once each: the weights of the layers and of the head, the keys
and values of the prompt, and those of every row's continuation (half of them on average). Embeddings are looked up,
not read. What an implementation reads beyond that (the prompt once for every beam, copies) is its own doing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.bench.measure import now
from engine.bench.sizes import Size
from engine.bench.task import precision_options
from engine.models import quantisation

COMPUTED = {"float32": 4.0, "bfloat16": 2.0}
BYTES = {**COMPUTED, **quantisation.BYTES}
"""Bytes a value of a linear layer. Whatever is not one of them has the dtype that is computed in."""

ROUNDS = 12
READ_BYTES = {"cpu": 2**29, "cuda": 2**33}
"""Far more than any cache holds."""


def describe(device: str, threads: int) -> dict[str, Any]:
    """The machine, as far as it bears on speed; nothing that names it or its user."""
    import psutil

    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": threads,
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": _gpu() if device == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.partition(":")[::2] for line in reversed(lines) if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = named.get("flags", "").split()
    known = [
        word
        for flag, word in (("avx512f", "AVX-512"), ("avx512_bf16", "bfloat16"), ("amx_bf16", "AMX"))
        if flag in flags
    ]
    return named.get("model name", platform.machine()) + (f" ({', '.join(known)})" if known else "")


def _gpu() -> str:
    import torch

    return str(torch.cuda.get_device_properties(0).name)


def read_rate(device: str) -> float:
    """Bytes a second at which this machine reads memory: the best of several passes, in the better of two ways."""
    import torch

    values = torch.ones(READ_BYTES[device] // 4, device=device)
    matrix = values.view(-1, 4096)
    vector = torch.ones(4096, device=device)
    ways: tuple[Callable[[], Any], ...] = (values.sum, lambda: matrix @ vector)
    seconds = []
    for way in ways:
        for _ in range(ROUNDS):
            began = now(device)
            way()
            seconds.append(now(device) - began)
    return values.numel() * 4 / min(seconds)


def step_bytes(size: Size, precision: str, positions: int, rows: int, new_tokens: int) -> float:
    """Bytes a decode step of ``rows`` rows after a prompt of so many positions must read at least."""
    computing = COMPUTED[precision_options(precision)["dtype"]]
    cached = positions + rows * new_tokens / 2
    weights = size.linear_values * BYTES[precision] + size.head_values * computing
    return weights + cached * size.position_values * computing

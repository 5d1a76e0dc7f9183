"""Memory: how much this process holds, giving back what it does not need, and the one error for running out of it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

from engine.errors import ResourceError


@contextmanager
def memory_errors(message: str) -> Iterator[None]:
    """Within the block, an exhausted memory (of the processor or a GPU) is a ResourceError with this message."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        give_back()
        raise ResourceError(message) from error
    except RuntimeError as error:  # PyTorch's allocator for the processor has no class of its own
        if "alloc" not in str(error) or "memory" not in str(error):
            raise
        give_back()
        raise ResourceError(message) from error


def give_back() -> None:
    """Return to the system, or to the other programs on the GPU, what was freed and is kept for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # glibc keeps what threads have freed; transformers loads in threads, which would double a model's memory
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def held(device: torch.device) -> int:
    """Bytes this process holds: on a GPU the most since the last reset of its statistics, else its own memory now.

    Its own is what no file on the disk backs: mapped weights are dropped by the system when it needs their memory.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def free(device: torch.device) -> int:
    """Bytes that could still be taken without pushing another program out."""
    if device.type == "cuda":
        unused, _ = torch.cuda.mem_get_info(device)
        return int(unused + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)

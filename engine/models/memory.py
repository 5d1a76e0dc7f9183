"""Running out of memory, however PyTorch says it, as the one error a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine.errors import ResourceError


@contextmanager
def memory_errors(message: str) -> Iterator[None]:
    """Within the block, an exhausted memory (of the processor or a GPU) is a ResourceError with this message."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        _give_back()
        raise ResourceError(message) from error
    except RuntimeError as error:  # PyTorch's allocator for the processor has no class of its own
        if "alloc" not in str(error) or "memory" not in str(error):
            raise
        _give_back()
        raise ResourceError(message) from error


def _give_back() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

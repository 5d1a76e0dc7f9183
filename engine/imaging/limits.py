"""How much one intake may cost. Knows numbers only; whoever opens files enforces them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

MEGA = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds on an intake; whatever lies beyond becomes a problem in words, never a crash.

    Parameters
    ----------
    files: files and archive members looked at in one intake.
    file_bytes: size of one file, also after unpacking or inflating.
    total_bytes: size of everything that one archive unpacks to.
    ratio: unpacked : packed size of one archive member (members below 1 MB are exempt).
    pixels: rows x columns of one image, tested before anything is decoded.
    total_pixels: pixels of all images that one intake holds in memory.
    seconds: deadline for one file, and for unpacking one archive; the worker is killed after it.
    memory_bytes: address space of the worker (POSIX only).
    """

    files: int = 2000
    file_bytes: int = 500 * MEGA
    total_bytes: int = 500 * MEGA
    ratio: int = 100
    pixels: int = 64 * MEGA
    total_pixels: int = 1000 * MEGA
    seconds: float = 60.0
    memory_bytes: int = 2 * 1024**3

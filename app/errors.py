"""The one place where an exception becomes words on the screen or the status of an HTTP answer."""

from __future__ import annotations

from engine.cli import translate
from engine.errors import IntervalError
from serving import faults

__all__ = ["http_status", "sentence"]


def sentence(error: Exception) -> str:
    """What the reader is told: one or two plain sentences, never a trace, a path or a class name."""
    return faults.sentence(error, "viewer")


def http_status(error: Exception) -> int:
    """The status of the answer to a request that ended in ``error``."""
    known = error if isinstance(error, IntervalError) else translate(error)
    return known.http_status if known is not None else 500

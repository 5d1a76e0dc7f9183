"""The one place where an exception becomes words on the screen or the status of an HTTP answer.

An error of ours carries its own sentence; memory, disk and permissions have theirs (``engine.cli.translate``). Anything
else is a fault of the program: the reader gets one calm sentence with a number, and the log the lines of code under the
same number, without the exception's own text, which could quote patient data.
"""

from __future__ import annotations

import logging
import secrets

from engine.cli import translate
from engine.errors import IntervalError, ModelError

__all__ = ["http_status", "sentence"]

log = logging.getLogger(__name__)


def sentence(error: Exception) -> str:
    """What the reader is told: one or two plain sentences, never a trace, a path or a class name."""
    known = error if isinstance(error, IntervalError) else translate(error)
    if isinstance(known, ModelError):
        return " ".join((str(known), *known.problems[:3]))
    if known is not None:
        return str(known)
    number = secrets.token_hex(3)
    log.error("fault %s in the viewer", number, exc_info=error)
    return f"Something went wrong in the program (fault {number}). What was saved is safe; please try again."


def http_status(error: Exception) -> int:
    """The status of the answer to a request that ended in ``error``."""
    known = error if isinstance(error, IntervalError) else translate(error)
    return known.http_status if known is not None else 500

"""Any error in words for the page: the sentence it carries, or a number under which the log has the lines of code.

An error of ours carries its own sentence; memory, disk and permissions have theirs (``engine.cli.translate``). Anything
else is a fault of the program: the reader gets one calm sentence with a number, and the log the lines of code under the
same number, without the exception's own text, which could quote patient data.
"""

from __future__ import annotations

import logging
import secrets

from engine.cli import translate
from engine.errors import DatasetError, IntervalError, ModelError

log = logging.getLogger(__name__)

DETAILS = 3
"""So many problems or rows are named after the sentence."""


def sentence(error: Exception, face: str) -> str:
    """What the reader of ``face`` is told: a few plain sentences, never a trace or a class name."""
    known = error if isinstance(error, IntervalError) else translate(error)
    if isinstance(known, ModelError):
        return " ".join((str(known), *known.problems[:DETAILS]))
    if isinstance(known, DatasetError):
        return " ".join((str(known), *(f"Row {row}: {reason}." for row, reason in known.rows[:DETAILS])))
    if known is not None:
        return str(known)
    number = secrets.token_hex(3)
    log.error("fault %s in the %s", number, face, exc_info=error)
    return f"Something went wrong in the program (fault {number}). What was saved is safe; please try again."

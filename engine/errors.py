"""Every error a person can meet, as one tree.

    IntervalError                  exit  http
    ├── UsageError                    2   400   the request itself is wrong
    │   └── TooLong                   2   400   more text than the model has room for
    ├── InputError                    3   422   a file or a data set cannot be used
    │   ├── UnreadableFile            3   422   not an image we read, damaged, hostile or too large
    │   ├── PatientMismatch           3   409   two images that are not known to be of one patient
    │   └── DatasetError              3   422   rows of a data set that break its format
    ├── ModelError                    4   422   a model folder that cannot be used as it is
    ├── ResourceError                 5   507   not enough memory, disk or time
    ├── RecordsError                  3   500   the history database refuses or is damaged
    │   ├── NotFound                  3   404   no such record
    │   ├── Conflict                  3   409   somebody else saved first
    │   ├── NotReviewed               3   409   a signature over sentences nobody has looked at
    │   └── SignedIsFinal             3   409   a change to a signed report
    └── Cancelled                   130   499   stopped by the user

``str(error)`` is one or two plain sentences for a clinician: what happened, to which file, and the way out. It never
holds patient data; a file is named as the user dropped it. The cause (``raise ... from cause``) is for the log.
This module knows nothing of screens: the command line maps ``exit_status``, the viewer maps ``http_status``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "Cancelled",
    "Conflict",
    "DatasetError",
    "InputError",
    "IntervalError",
    "ModelError",
    "NotFound",
    "NotReviewed",
    "PatientMismatch",
    "RecordsError",
    "ResourceError",
    "SignedIsFinal",
    "TooLong",
    "UnreadableFile",
    "UsageError",
]


class IntervalError(Exception):
    """Root of the tree; raised only through a subclass."""

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class UsageError(IntervalError):
    """The request itself is wrong: options that contradict each other, a value out of range."""

    exit_status = 2
    http_status = 400


class TooLong(UsageError):
    """More text than the model has room for; what came before a question can be left out."""


class InputError(IntervalError):
    """A file or a data set cannot be used."""

    exit_status = 3
    http_status = 422


class UnreadableFile(InputError):
    """A file that is not an image we read, or is damaged, hostile or too large. The message names the file."""


class PatientMismatch(InputError):
    """Two images that are not known to belong to one patient."""

    http_status = 409


class DatasetError(InputError):
    """Rows of a data set that break its format. ``rows`` holds every (row number, reason)."""

    def __init__(self, message: str, rows: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(message)
        self.rows = rows


class ModelError(IntervalError):
    """A model folder that cannot be used as it is. ``problems`` lists everything wrong at once."""

    exit_status = 4
    http_status = 422

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ResourceError(IntervalError):
    """Not enough memory, disk or time."""

    exit_status = 5
    http_status = 507


class RecordsError(IntervalError):
    """The history database refuses or is damaged."""

    exit_status = 3


class NotFound(RecordsError):
    """No such record."""

    http_status = 404


class Conflict(RecordsError):
    """The record changed since it was read; nothing was overwritten."""

    http_status = 409


class NotReviewed(RecordsError):
    """A signature was asked for while sentences of the draft are still unreviewed."""

    http_status = 409


class SignedIsFinal(RecordsError):
    """A change to a signed report was asked for."""

    http_status = 409


class Cancelled(IntervalError):
    """Stopped by the user."""

    exit_status = 130
    http_status = 499

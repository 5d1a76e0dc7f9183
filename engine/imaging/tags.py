"""Elements of a data set as plain Python values; a broken element is an absent one.

pydicom converts an element when it is first asked for, and raises then. These functions never raise for what a file
says: they return None, an empty string or an empty list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from engine.imaging.text import tidy

__all__ = ["integer", "items", "number", "numbers", "text", "texts", "value"]


def value(ds: Dataset, keyword: str) -> Any:
    """The element's value as pydicom has it, or None when it is absent, empty or cannot be converted."""
    try:
        found = ds.get(keyword)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # conversions raise whatever their value provokes: ValueError, OverflowError, struct.error, ...
        return None
    return None if found is None or found == "" else found


def _several(found: Any) -> list[Any]:
    if found is None:
        return []
    return list(found) if isinstance(found, MultiValue | list | tuple) else [found]


def texts(ds: Dataset, keyword: str, limit: int = 256) -> tuple[str, ...]:
    """Every value of the element as tidy text."""
    return tuple(tidy(each, limit) for each in _several(value(ds, keyword))[:64])


def text(ds: Dataset, keyword: str, limit: int = 256) -> str:
    """The element as one tidy line; several values are joined by a backslash, as they are in the file."""
    return tidy("\\".join(str(each) for each in _several(value(ds, keyword))[:64]), limit)


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """Every value of the element as a finite float; empty if one of them is none."""
    result = []
    for each in _several(value(ds, keyword)):
        try:
            result.append(float(each))
        except (TypeError, ValueError, OverflowError):
            return []
    return result if all(map(math.isfinite, result)) else []


def number(ds: Dataset, keyword: str) -> float | None:
    """The first value of the element as a finite float."""
    return next(iter(numbers(ds, keyword)), None)


def integer(ds: Dataset, keyword: str) -> int | None:
    """The first value of the element as an integer."""
    found = number(ds, keyword)
    return None if found is None or found != int(found) else int(found)


def items(ds: Dataset, keyword: str) -> Iterable[Dataset]:
    """The items of a sequence; none if the element is something else."""
    found = value(ds, keyword)
    return list(found) if isinstance(found, Sequence) else []

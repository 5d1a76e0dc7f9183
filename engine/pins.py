"""The requirement files: reading their pins and comparing them with what is installed.

Standard library only, because the launcher asks before anything is installed. A requirement file of Interval holds
``name==version  # reason`` lines, comments and blank lines, nothing else. Knows nothing of pip or of environments.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!]+)")


@dataclass(frozen=True)
class Pin:
    """One requirement: the name and the exact version of a distribution."""

    name: str
    version: str

    @property
    def installed(self) -> str | None:
        """The version that this interpreter would import, without a local part such as ``+cpu``; None if absent."""
        try:
            return metadata.version(self.name).split("+", 1)[0]
        except metadata.PackageNotFoundError:
            return None


def read(file: Path) -> tuple[Pin, ...]:
    """All pins of ``file`` in its order; raises ValueError for a line that is not a pin."""
    pins = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(f"{file.name}, line {number}: '{text}' is not of the form name==version")
        pins.append(Pin(match["name"], match["version"]))
    return tuple(pins)


def unmet(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """The pins that this interpreter does not satisfy."""
    return tuple(pin for pin in pins if pin.installed != pin.version)


def digest(pins: Iterable[Pin]) -> str:
    """A hash that changes exactly when a pin does, and not when only a comment changes."""
    text = "\n".join(sorted(f"{pin.name.lower()}=={pin.version}" for pin in pins))
    return hashlib.sha256(text.encode()).hexdigest()

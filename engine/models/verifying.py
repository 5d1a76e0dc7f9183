"""Whether an installed model's weights are still those that were installed, and hold numbers.

Hashes are computed anew from the files, never taken from a cache. Values are sampled as when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

from engine.errors import ModelError
from engine.models import contents, provenance
from engine.models.weights import Weights, read

SAME, DIFFERS, MISSING, UNRECORDED = "same", "differs", "missing", "not recorded"
_PART = 1 << 28
"""Bytes (as float32) of the tensors that are looked at together."""


@dataclass(frozen=True)
class Verified:
    """What was found. ``files``: weight file -> SAME, DIFFERS, MISSING or UNRECORDED; ``problems``, a sentence each."""

    folder: Path
    files: dict[str, str]
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Nothing differs and nothing is wrong; a file without a recorded hash is not against it."""
        return not self.problems


def verify(folder: Path, report: Callable[[str], None] = lambda file: None) -> Verified:
    """Verify the weights in a folder; ``report`` is given the name of each file before it is read.

    Raises ModelError where there is no model folder; all else is in ``problems``.
    """
    if not contents.kind(folder):
        raise ModelError(f"There is no model folder {folder}.")
    recorded = provenance.hashes(folder)
    parts = contents.weights(folder)
    present = [file.relative_to(folder).as_posix() for part in parts for file in part.files]
    states, problems = {}, [problem for part in parts for problem in part.problems]
    for name in dict.fromkeys([*present, *recorded]):
        report(name)
        states[name] = _compare(folder / name, recorded.get(name))
    problems += [f"{name} is not the file that was installed" for name in states if states[name] == DIFFERS]
    problems += [f"{name}, which was installed, is missing" for name in states if states[name] == MISSING]
    for part in parts:
        problems += _not_finite(part)
    return Verified(folder, states, tuple(dict.fromkeys(problems)))


def _compare(file: Path, expected: str | None) -> str:
    if not file.is_file():
        return MISSING
    if expected is None:
        return UNRECORDED
    return SAME if provenance.digest(file, lambda size: None) == expected else DIFFERS


def _not_finite(weights: Weights) -> list[str]:
    problems: list[str] = []
    for names in _in_parts(weights):
        try:
            read(weights, names)
        except ModelError as error:
            problems += error.problems or (str(error).rstrip("."),)
    return problems


def _in_parts(weights: Weights) -> Iterator[list[str]]:
    """The tensors in parts that fit into memory, each from one file."""
    part: list[str] = []
    size, file = 0, None
    for name, entry in weights.entries.items():
        if part and (entry.file != file or size > _PART):
            yield part
            part, size = [], 0
        part.append(name)
        size, file = size + 4 * prod(entry.shape), entry.file
    if part:
        yield part

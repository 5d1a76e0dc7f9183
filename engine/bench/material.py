"""What is drafted from: made-up radiographs as files, and phantom reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from engine.datasets.phantoms import Case, Film, display, sample_case

FIRST_SEED = 7_000_000_000
"""Far from the seeds of any set that ``data phantoms`` makes, so that no model has seen these cases."""

CONTEXT = "History: chest pain."

Pair = tuple[Path, Path]
"""Files of the current image and its prior."""


@dataclass(frozen=True)
class Study:
    """A pair and what is asked along with it."""

    pair: Pair
    context: str


def write_studies(folder: Path, number: int, pixels: int) -> list[Study]:
    """Write pairs of grey PNG files of made-up patients, of the phantoms' test split; each is another patient."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Study(_write(folder, case, pixels), f"Indication: {case.indication}") for case in islice(_cases(), number)]


def _cases() -> Iterator[Case]:
    found = (sample_case(seed, split="test") for seed in count(FIRST_SEED))
    return (case for case in found if case.prior is not None)


def reports(number: int) -> tuple[str, ...]:
    """Findings of other patients, of the training split: what a site's earlier reports are to a new one."""
    return tuple(sample_case(FIRST_SEED + seed, split="train").findings_text for seed in range(number))


def _write(folder: Path, case: Case, pixels: int) -> Pair:
    assert case.prior is not None
    files = folder / f"{case.id}.png", folder / f"{case.id}-prior.png"
    for file, film in zip(files, (case.current, case.prior), strict=True):
        _save(file, film, pixels)
    return files


def _save(file: Path, film: Film, pixels: int) -> None:
    from PIL import Image

    Image.fromarray(display(film, pixels)).save(file)

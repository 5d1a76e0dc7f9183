"""What two files of a data set have in common and must not: patients, studies, images, reports nearly word for word.

A model that is judged on a patient it was trained on is judged too kindly, and nobody sees it in the figures. A patient
is the id the file gives; a study is a study of a patient; an image is its bytes, and its pixels where they are decoded,
so that a copy saved anew is found. Reports are compared as sets of word runs (`nearness`); one that many patients have
("no acute cardiopulmonary process") is no leakage by itself and is counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.datasets import nearness
from engine.datasets.rules import Case, answers, plain
from engine.datasets.sameness import same_files, same_pixels
from engine.errors import DatasetError

COMMON = 3
"""A report that more patients than these have, word for word or nearly so, is common wording."""

PEOPLE = ("patient", "study", "image", "pixels")
"""Kinds of what is shared that mean that the same person is in both; texts may only be alike."""


@dataclass(frozen=True)
class Shared:
    """One thing that both files hold.

    Attributes:
        kind: "patient", "study", "image" (the same bytes), "pixels" (the same picture in other bytes) or "text".
        first, second: where, as places in the two sequences, from 0.
        similarity: of two texts (Jaccard index of their shingles); None for what is shared as it is.
    """

    kind: str
    first: tuple[int, ...]
    second: tuple[int, ...]
    similarity: float | None = None


def shared_patients(first: Sequence[Case], second: Sequence[Case]) -> list[Shared]:
    """Patients with rows in both; rows that name no patient are not looked at."""
    return _shared("patient", first, second, lambda case: _if_said(case.about.patient))


def shared_studies(first: Sequence[Case], second: Sequence[Case]) -> list[Shared]:
    """Studies with rows in both; a study is told by its own id and its patient's."""
    return _shared(
        "study",
        first,
        second,
        lambda case: [(case.about.patient, case.about.study)] if case.about.study else [],
    )


def shared_images(first: Sequence[Case], second: Sequence[Case]) -> list[Shared]:
    """Images in both, current or prior, by the bytes of their files.

    Raises:
        DatasetError: an image changed meanwhile.
    """
    same = same_files(
        (image for case in (*first, *second) for image in case.images),
        like={image for case in second for image in case.images},
    )
    return _shared("image", first, second, _by(same))


def shared_pixels(
    first: Sequence[Case],
    second: Sequence[Case],
    *,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Shared]:
    """Images in both whose pixels are the same although their bytes are not. Every image is decoded.

    Raises:
        DatasetError: an image changed meanwhile.
    """
    images = [image for case in (*first, *second) for image in case.images]
    same, _ = same_pixels(images, workers=workers, progress=progress)
    bytes_of = same_files(images, like={image for case in second for image in case.images})
    known = {(found.first, found.second) for found in _shared("", first, second, _by(bytes_of))}
    return [found for found in _shared("pixels", first, second, _by(same)) if (found.first, found.second) not in known]


@dataclass(frozen=True)
class Texts:
    """Reports that are alike, likest first, and how many rows of each file have common wording and were left out."""

    shared: tuple[Shared, ...]
    common_first: int
    common_second: int


def shared_texts(first: Sequence[Case], second: Sequence[Case], threshold: float = nearness.THRESHOLD) -> Texts:
    """Reports of the two that are at least ``threshold`` alike (Jaccard index of three-word runs, 1.0: the same words).

    Reports of fewer than `nearness.SHORTEST` words are not compared, nor those of one and the same patient.
    """
    places: list[dict[str, list[int]]] = [defaultdict(list), defaultdict(list)]
    whose: dict[str, set[str]] = defaultdict(set)
    for side, cases in enumerate((first, second)):
        for place, case in enumerate(cases):
            text = plain(" ".join(answers(case)))
            if text.count(" ") + 1 >= nearness.SHORTEST:
                places[side][text].append(place)
                whose[text].add(case.about.patient or f"row {side} {place}")
    texts = list(whose)
    pairs = [(texts[one], texts[other], likeness) for one, other, likeness in nearness.near(texts, threshold)]
    circle = {text: set(patients) for text, patients in whose.items()}
    for one, other, _ in pairs:
        circle[one] |= whose[other]
        circle[other] |= whose[one]
    common = {text for text, patients in circle.items() if len(patients) > COMMON}
    alike = [(text, text, 1.0) for text in texts]
    alike += [both for one, other, likeness in pairs for both in ((one, other, likeness), (other, one, likeness))]
    found = [
        Shared("text", tuple(places[0][one]), tuple(places[1][other]), round(likeness, 3))
        for one, other, likeness in alike
        if one in places[0] and other in places[1] and not {one, other} & common and len(whose[one] | whose[other]) > 1
    ]
    counts = [sum(len(where) for text, where in side.items() if text in common) for side in places]
    return Texts(tuple(sorted(found, key=lambda each: -(each.similarity or 0.0))), counts[0], counts[1])


@dataclass(frozen=True)
class Leakage:
    """Everything two files share. ``threshold`` is that of the texts; ``pixels`` says whether images were decoded."""

    shared: tuple[Shared, ...]
    common_first: int
    common_second: int
    threshold: float
    pixels: bool

    @property
    def people(self) -> bool:
        """Whether the same person is in both, by id or by image."""
        return any(found.kind in PEOPLE for found in self.shared)

    def to_json(self, first: Sequence[int], second: Sequence[int]) -> dict[str, Any]:
        """Plain values; ``first`` and ``second`` are the row numbers of the places."""
        return {
            "shared": [
                {
                    "kind": found.kind,
                    "first": [first[place] for place in found.first],
                    "second": [second[place] for place in found.second],
                    "similarity": found.similarity,
                }
                for found in self.shared
            ],
            "common_texts": {"first": self.common_first, "second": self.common_second},
            "text_threshold": self.threshold,
            "pixels_compared": self.pixels,
        }


def compare(
    first: Sequence[Case],
    second: Sequence[Case],
    *,
    threshold: float = nearness.THRESHOLD,
    pixels: bool = True,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Leakage:
    """Everything that ``first`` and ``second`` share; ``progress`` counts decoded images.

    Raises:
        DatasetError: an image changed meanwhile.
    """
    shared = [*shared_patients(first, second), *shared_studies(first, second), *shared_images(first, second)]
    if pixels:
        shared += shared_pixels(first, second, workers=workers, progress=progress)
    texts = shared_texts(first, second, threshold)
    return Leakage((*shared, *texts.shared), texts.common_first, texts.common_second, threshold, pixels)


def refuse_shared_patients(
    train: Sequence[Case], held_out: Sequence[Case], *, row: Callable[[int], int] = lambda place: place + 1
) -> None:
    """Make sure that nobody who is trained on is in what is held out, by the patient's id and by the image.

    Args:
        train: what is learnt from.
        held_out: what the model is chosen or judged by.
        row: how a place in ``train`` is named in the message; counted from 1 by default.

    Raises:
        DatasetError: somebody is in both; ``rows`` holds every such row of ``train`` with one reason.
    """
    faults: dict[int, str] = {}
    for found in shared_patients(train, held_out):
        words = f"its patient is held out as well (held-out {_rows(found.second)})"
        faults |= dict.fromkeys(found.first, words)
    for found in shared_images(train, held_out):
        words = f"its image is held out as well (held-out {_rows(found.second)})"
        for place in found.first:
            faults.setdefault(place, words)
    if faults:
        count = "One row is" if len(faults) == 1 else f"{len(faults)} rows are"
        raise DatasetError(
            f"{count} of patients that are also in the held-out data: a model judged on them would look better than "
            "it is. Split by patient ('data split'), or leave these rows out.",
            tuple((row(place), faults[place]) for place in sorted(faults)),
        )


def _rows(places: Sequence[int]) -> str:
    """Places as row numbers from 1, the first few of them."""
    shown = ", ".join(str(place + 1) for place in places[:3])
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{'row' if len(places) == 1 else 'rows'} {shown}{more}"


def _by(same: Mapping[Path, Path]) -> Callable[[Case], list[Hashable]]:
    return lambda case: [same[image] for image in case.images]


def _if_said(name: str) -> list[str]:
    return [name] if name else []


def _shared(
    kind: str, first: Sequence[Case], second: Sequence[Case], keys: Callable[[Case], Iterable[Hashable]]
) -> list[Shared]:
    """Each key that both sequences have, in the order of ``first``."""
    places: list[dict[Hashable, list[int]]] = []
    for cases in (first, second):
        found: dict[Hashable, list[int]] = defaultdict(list)
        for place, case in enumerate(cases):
            for key in dict.fromkeys(keys(case)):
                found[key].append(place)
        places.append(found)
    return [Shared(kind, tuple(where), tuple(places[1][key])) for key, where in places[0].items() if key in places[1]]

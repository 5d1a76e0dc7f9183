"""What two files of a data set have in common and must not: patients, studies, images, reports nearly word for word.

A model that is judged on a patient it was trained on is judged too kindly, and nobody sees it in the figures. A patient
is the id the file gives; a study is a study of a patient; an image is its bytes, and its pixels where they are decoded,
so that a copy saved anew is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from engine.datasets.libra import Question, TrainingSample
from engine.datasets.sameness import same_files
from engine.errors import DatasetError

Case = TrainingSample | Question


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
    return _shared("image", first, second, lambda case: [same[image] for image in case.images])


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

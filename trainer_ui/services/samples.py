"""Rows of a data file to be looked at: found by text, prior and view, listed page by page, one of them opened."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from engine.datasets.describing import has_prior
from engine.datasets.libra import IMAGE_TEXT, TrainingSample
from engine.datasets.rules import answers
from trainer_ui.services import row_index
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.row_index import Case, Row, RowIndex

PER_PAGE = 10
FIRST_WORDS = 90
"""Characters of an answer in a list."""


@dataclass(frozen=True)
class Wanted:
    """Which rows: with this text, with or without a prior (None: both), of this view ("": all)."""

    text: str = ""
    prior: bool | None = None
    view: str = ""


@dataclass(frozen=True)
class Listed:
    """One row in a list; ``words`` begin its answer, or say what is wrong with it."""

    number: int
    id: str
    prior: bool
    view: str
    words: str
    usable: bool


@dataclass(frozen=True)
class Page:
    """Some rows of those that fit.

    Attributes:
        found: how many fit; ``rows`` how many the file has.
        pages: how many there are of them.
        broken: "" or where the file goes wrong.
    """

    listed: tuple[Listed, ...]
    found: int
    rows: int
    pages: int
    broken: str


@dataclass(frozen=True)
class Sample:
    """One row, opened.

    Attributes:
        about: what is known of it, as (name, value).
        prior: "real", "the same" (Libra's dummy prior, the current image again) or "none".
        asked, said: of each turn; of a question its text and the reference, which may be "".
        before, after: row numbers of its neighbours among those that fit; None at an end.
        place: which of those that fit it is, from 1; 0 if it is none of them.
    """

    row: Row
    about: tuple[tuple[str, str], ...]
    prior: str
    turns: tuple[tuple[str, str], ...]
    before: int | None
    after: int | None
    place: int


def views(one: Opened) -> tuple[str, ...]:
    """The views that rows name."""
    return row_index.index(one.file, one.images).named_views


def page(one: Opened, wanted: Wanted, number: int = 1) -> Page:
    """The rows of a page, counted from 1; beyond the last it is the last. Raises InputError."""
    rows = row_index.index(one.file, one.images)
    places = _places(rows, wanted)
    pages = max(1, -(-len(places) // PER_PAGE))
    first = PER_PAGE * (min(max(1, number), pages) - 1)
    some = places[first : first + PER_PAGE]
    listed = tuple(_listed(rows, place, row) for place, row in zip(some, rows.read(some), strict=True))
    return Page(listed, len(places), len(rows), pages, rows.broken)


def sample(one: Opened, wanted: Wanted, number: int | None = None) -> Sample | None:
    """The row of this number, the first that fits without; None where there is none. Raises InputError."""
    rows = row_index.index(one.file, one.images)
    places = _places(rows, wanted)
    place = rows.place(number) if number is not None else None
    if place is None:
        if not places:
            return None
        place = places[0]
    at = _at(places, place)
    (row,) = rows.read([place])
    before = rows.numbers[places[at - 1]] if at is not None and at > 0 else None
    after = rows.numbers[places[at + 1]] if at is not None and at + 1 < len(places) else None
    return Sample(row, about(row.case), _prior(row.case), turns(row.case), before, after, 0 if at is None else at + 1)


def page_of(one: Opened, wanted: Wanted, number: int) -> int:
    """The page on which a row is listed; 1 where it does not fit."""
    rows = row_index.index(one.file, one.images)
    place = rows.place(number)
    at = _at(_places(rows, wanted), place) if place is not None else None
    return 1 if at is None else at // PER_PAGE + 1


def rows_of(one: Opened, numbers: Sequence[int]) -> tuple[Row, ...]:
    """Rows by their numbers; those that are not there are left out. Raises InputError."""
    rows = row_index.index(one.file, one.images)
    return rows.read([place for number in numbers if (place := rows.place(number)) is not None])


def first_words(row: Row) -> str:
    """How the answer of a row begins; of one that cannot be read, what is wrong with it."""
    if row.case is None:
        return "; ".join(row.faults)
    said = answers(row.case) or tuple(asked for asked, _ in turns(row.case))
    text = " ".join(" ".join(said).split())
    return text if len(text) <= FIRST_WORDS else text[:FIRST_WORDS].rsplit(" ", 1)[0] + " …"


def turns(case: Case | None) -> tuple[tuple[str, str], ...]:
    """What is asked and said, without the mark for the images."""
    if isinstance(case, TrainingSample):
        return tuple((asked.replace(IMAGE_TEXT, "").strip(), said) for asked, said in case.turns)
    return ((case.text, case.reference or ""),) if case is not None else ()


def about(case: Case | None) -> tuple[tuple[str, str], ...]:
    """What is known of a row, by names for the screen."""
    if case is None:
        return ()
    known = case.about
    age = f"{known.age:g} years" if known.age is not None else ""
    named = (
        ("Patient", known.patient),
        ("Study", known.study),
        ("View", known.view),
        ("Sex", known.sex),
        ("Age", age),
        ("Kind", case.kind),
    )
    return tuple((name, value) for name, value in named if value)


def _prior(case: Case | None) -> str:
    if case is None or len(case.images) < 2:
        return "none"
    return "real" if has_prior(case) else "the same"


def _places(rows: RowIndex, wanted: Wanted) -> Sequence[int]:
    return row_index.find(rows, wanted.text, wanted.prior, wanted.view)


def _at(places: Sequence[int], place: int) -> int | None:
    at = bisect_left(places, place)
    return at if at < len(places) and places[at] == place else None


def _listed(rows: RowIndex, place: int, row: Row) -> Listed:
    return Listed(
        row.number, row.id, bool(rows.priors[place]), rows.views[place], first_words(row), row.case is not None
    )

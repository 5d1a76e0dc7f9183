"""Which earlier image an image is compared with.

``published``: Libra's rule. Films are sorted by patient, date and time; the prior of a film is the last film of the
patient on an earlier date; all films of a date share it; the first date has none. Views are not looked at, so a frontal
film may be paired with a lateral one.

``matched``: the latest earlier study that has a film of the same projection: frontal (AP, PA) with frontal, lateral
with lateral, any other view with itself. In that study a film of the very same view comes first, then the last one
taken. A study of the same day counts as earlier if both times are known, as in intensive care; a study is never its own
prior, and films of unknown view or date have none and are none.

Both are maps from a film's identifier to its prior; films without one are not in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.datasets.mimic.tables import FRONTAL, LATERAL, Film, in_order


def published(films: Iterable[Film]) -> dict[str, Film]:
    """The prior of each film by the published rule."""
    priors: dict[str, Film] = {}
    dated = sorted((film for film in films if film.day is not None), key=in_order)
    for _, group in groupby(dated, key=lambda film: film.patient):
        last: Film | None = None
        for _, same_day in groupby(group, key=lambda film: film.day):
            of_day = list(same_day)
            if last is not None:
                priors.update((film.dicom, last) for film in of_day)
            last = of_day[-1]
    return priors


def matched(films: Iterable[Film]) -> dict[str, Film]:
    """The prior of each film by projection and time."""
    priors: dict[str, Film] = {}
    usable = sorted((film for film in films if film.day is not None and film.view), key=in_order)
    for _, group in groupby(usable, key=lambda film: film.patient):
        earlier: dict[str, Sequence[Film]] = {}
        for at_once in _moments(list(group)):
            for study in at_once.asking:
                for film in study:
                    found = earlier.get(projection(film.view))
                    if found:
                        priors[film.dicom] = _nearest(film, found)
            for study in at_once.done:
                for name in {projection(film.view) for film in study}:
                    earlier[name] = [film for film in study if projection(film.view) == name]
    return priors


def projection(view: str) -> str:
    """What views may be compared: "frontal", "lateral", or the view itself."""
    return "frontal" if view in FRONTAL else "lateral" if view in LATERAL else view


@dataclass(frozen=True)
class _Moment:
    """Studies that look for a prior among all ``done`` before, and studies that can be a prior from here on."""

    asking: Sequence[Sequence[Film]]
    done: Sequence[Sequence[Film]]


def _moments(films: Sequence[Film]) -> Iterator[_Moment]:
    """A patient's studies in the order of their first films; those without a time know only the days before."""
    by_study: dict[str, list[Film]] = {}
    for film in films:
        by_study.setdefault(film.study, []).append(film)
    # A study begins with its first film; one that runs past midnight belongs to the day it began.
    for _, group in groupby(by_study.values(), key=lambda study: study[0].day):
        studies = list(group)
        timeless = [study for study in studies if study[0].second is None]
        yield _Moment(timeless, ())
        timed = (study for study in studies if study[0].second is not None)
        for _, same_time in groupby(timed, key=lambda study: study[0].second):
            at_once = list(same_time)
            yield _Moment(at_once, at_once)
        yield _Moment((), timeless)


def _nearest(film: Film, earlier: Sequence[Film]) -> Film:
    """Of the films of one study the last of the same view, else the last."""
    same = [other for other in earlier if other.view == film.view]
    return (same or earlier)[-1]

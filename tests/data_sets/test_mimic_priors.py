"""Which earlier image a film is compared with: the published rule and the matched one, against their definitions."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.mimic.priors import matched, projection, published
from engine.datasets.mimic.tables import Film, in_order, read_day, read_second

DAYS = [None, date(2180, 1, 1), date(2180, 1, 2), date(2180, 3, 1)]


@st.composite
def film_lists(draw: st.DrawFn) -> list[Film]:
    """Films of two patients; the films of a study may differ in time, as in the real table."""
    films = []
    for row in range(draw(st.integers(0, 12))):
        patient = draw(st.sampled_from(["10000032", "9000007"]))
        films.append(
            Film(
                dicom=f"d{row}",
                patient=patient,
                study=patient[-1] + draw(st.sampled_from("12345")),
                view=draw(st.sampled_from(["PA", "AP", "LATERAL", "LL", "LAO", ""])),
                coded=False,
                day=draw(st.sampled_from(DAYS)),
                second=draw(st.sampled_from([None, 0.5, 1800.0, 40000.0])),
                row=row,
            )
        )
    return films


@given(film_lists())
def test_published_is_the_last_image_of_an_earlier_date(films: list[Film]) -> None:
    priors = published(films)
    for film in films:
        earlier = [
            other
            for other in films
            if other.patient == film.patient and film.day and other.day and other.day < film.day
        ]
        assert priors.get(film.dicom) == max(earlier, key=in_order, default=None)


def begins(study: str, films: list[Film]) -> Film:
    return min((film for film in films if film.study == study), key=in_order)


def is_earlier(one: Film, other: Film) -> bool:
    """Whether the study that begins with ``one`` is known to come before the one that begins with ``other``."""
    assert one.day and other.day
    if one.day != other.day:
        return one.day < other.day
    return one.second is not None and other.second is not None and one.second < other.second


@given(film_lists())
def test_matched_is_the_nearest_film_of_the_latest_earlier_study(films: list[Film]) -> None:
    priors = matched(films)
    usable = [film for film in films if film.day and film.view]
    assert priors.keys() <= {film.dicom for film in usable}
    for film in usable:
        start = begins(film.study, usable)
        fitting = [
            other
            for other in usable
            if other.patient == film.patient
            and projection(other.view) == projection(film.view)
            and is_earlier(begins(other.study, usable), start)
        ]
        found = priors.get(film.dicom)
        assert (found is None) == (not fitting)
        if found is None:
            continue
        assert found in fitting and found.study != film.study
        mine = begins(found.study, usable)
        assert not any(is_earlier(mine, begins(other.study, usable)) for other in fitting)
        of_study = [other for other in fitting if other.study == found.study]
        same_view = [other for other in of_study if other.view == film.view]
        assert found == max(same_view or of_study, key=in_order)


def film(name: str, study: str, view: str, day: int, time: str) -> Film:
    return Film(name, "10000032", study, view, False, date(2180, 5, day), read_second(time), int(name[1:]))


def test_a_lateral_film_is_a_prior_of_a_frontal_one_only_as_published() -> None:
    films = [
        film("d1", "1", "AP", 1, "213014.531"),
        film("d2", "2", "PA", 3, "80000.0"),
        film("d3", "2", "LATERAL", 3, "80100.0"),
        film("d4", "3", "AP", 4, "90000.0"),
    ]
    assert {name: prior.dicom for name, prior in published(films).items()} == {"d2": "d1", "d3": "d1", "d4": "d3"}
    assert {name: prior.dicom for name, prior in matched(films).items()} == {"d2": "d1", "d4": "d2"}


def test_lost_leading_zeros_do_not_turn_the_night_around() -> None:
    """Half past midnight is written 3014.5: as text it would come after 213014.5."""
    films = [
        film("d1", "1", "AP", 1, "213014.5"),
        film("d2", "2", "AP", 1, "3014.5"),
        film("d3", "3", "AP", 1, "93014.5"),
    ]
    assert {name: prior.dicom for name, prior in matched(films).items()} == {"d3": "d2", "d1": "d3"}
    assert published(films) == {}
    later = film("d4", "4", "AP", 2, "1.0")
    assert published([*films, later])["d4"].dicom == "d1"


def test_times_and_dates_as_tables_write_them() -> None:
    assert read_second("213014.531") == 21 * 3600 + 30 * 60 + 14.531
    assert read_second("3014.5") == read_second("003014.500") == 30 * 60 + 14.5
    assert read_second("0.0") == 0 and read_second("5") == 5
    for wrong in ("", "nan", "246060", "1e5", "-1", "12:30:00", "1234567"):
        assert read_second(wrong) is None
    assert read_day("21800506") == read_day("21800506.0") == date(2180, 5, 6)
    for wrong in ("", "21801306", "2180-05-06", "nan"):
        assert read_day(wrong) is None


@given(st.integers(0, 86399))
def test_every_time_of_the_day_comes_back(second: int) -> None:
    number = second // 3600 * 10000 + second // 60 % 60 * 100 + second % 60
    assert read_second(f"{float(number)}") == second

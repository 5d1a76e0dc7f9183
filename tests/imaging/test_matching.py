"""Which prior is chosen, why, and what is said when two images may not be of one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import simple

from engine.errors import PatientMismatch
from engine.imaging import Image, Patient, View, check_pair, check_same_patient, choose_prior, current_of, group
from engine.imaging.parsing import parse_bytes

BASE = parse_bytes(simple(), "base")
PATIENT = Patient(id="P100", name="Doe, Jane", birth_date=date(1960, 1, 2), sex="F")


def image(day: str | None, view: View = View.PA, patient: Patient = PATIENT, **changes: Any) -> Image:
    """An image of ``day`` (ISO) in a study of its own, unless ``study_uid`` says otherwise."""
    when = datetime.fromisoformat(day) if day else None
    name = f"{day} {view} {patient.id} {sorted(changes.items())}"
    values: dict[str, Any] = {
        "sha256": name,
        "source": name,
        "view": view,
        "acquired": when,
        "date_reliable": when is not None,
        "study_uid": f"1.{abs(hash((day, patient.id, patient.issuer))) % 10**9}",
        "patient": patient,
    }
    return replace(BASE, **{**values, **changes})


CURRENT = image("2024-03-01T10:00")


def choice(current: Image, *others: Image) -> tuple[Image | None, str, list[Image]]:
    """The choice among the studies of all of these images."""
    found = choose_prior(current, group([current, *others]))
    return found.image, found.reason, list(found.older)


def test_the_newest_earlier_image_of_the_same_view() -> None:
    old, newer, later = image("2020-01-01"), image("2023-05-06"), image("2024-04-01")
    chosen, reason, older = choice(CURRENT, old, newer, later)
    assert chosen is newer and reason == "Newest earlier PA image of this patient, 2023-05-06." and older == [old]


def test_a_newer_frontal_of_the_other_projection_comes_before_an_older_same_one() -> None:
    same, other = image("2020-01-01"), image("2023-05-06", View.AP)
    chosen, reason, older = choice(CURRENT, same, other)
    assert chosen is other and older == [same]
    assert "it is AP, the current is PA" in reason and "Heart size" in reason and "2020-01-01" in reason


def test_in_one_study_the_same_projection_is_preferred() -> None:
    ap, pa = image("2023-05-06T09:00", View.AP, study_uid="1.5"), image("2023-05-06T08:00", study_uid="1.5")
    assert choice(CURRENT, ap, pa)[0] is pa


def test_a_radiograph_comes_before_a_screen_capture_of_it() -> None:
    capture = image("2023-05-06T09:00", study_uid="1.5", modality="OT")
    real = image("2023-05-06T08:00", study_uid="1.5")
    assert choice(CURRENT, capture, real)[0] is real


def test_laterals_are_compared_with_laterals() -> None:
    lateral = image("2021-01-01", View.LATERAL)
    assert choice(CURRENT, lateral)[0] is None
    assert choice(image("2024-03-01", View.LATERAL), lateral, image("2022-01-01"))[0] is lateral


def test_another_body_part_is_no_prior() -> None:
    knee = image("2023-05-06", body_part="KNEE")
    chosen, reason, older = choice(CURRENT, knee)
    assert chosen is None and older == [knee] and "same body part" in reason
    assert choice(CURRENT, image("2023-05-06", body_part=""))[0] is not None


@pytest.mark.parametrize(
    ("current", "other", "words"),
    [
        (CURRENT, image("2024-03-02"), "earlier"),
        (CURRENT, image("2023-01-01", View.UNKNOWN), "known to be frontal"),
        (CURRENT, image(None), "earlier"),
        (CURRENT, image("2023-01-01", date_reliable=False), "earlier"),
        (CURRENT, image("2024-03-01"), "earlier"),
        (CURRENT, image("2023-01-01", patient=Patient(id="Q")), "No other image"),
        (CURRENT, image("2023-01-01", patient=Patient()), "No other image"),
        (image("2024-03-01", View.UNKNOWN), image("2023-01-01"), "view of the current image is not known"),
        (image(None), image("2023-01-01"), "date of the current image is not known"),
        (image("2024-03-01", patient=Patient()), image("2023-01-01", patient=Patient()), "names no patient"),
        (
            image("2024-03-01", patient=Patient(id="ANON")),
            image("2023-01-01", patient=Patient(id="ANON")),
            "placeholder",
        ),
    ],
)
def test_nothing_is_chosen_on_a_guess(current: Image, other: Image, words: str) -> None:
    chosen, reason, _ = choice(current, other)
    assert chosen is None and words in reason


def test_on_one_day_only_times_tell_the_order() -> None:
    assert choice(CURRENT, image("2024-03-01T09:00"))[0] is not None
    assert choice(CURRENT, image("2024-03-01"))[0] is None


days = st.dates(date(2019, 1, 1), date(2026, 1, 1)).map(lambda day: day.isoformat() + "T09:00")


@settings(deadline=None)
@given(st.lists(st.tuples(days, st.sampled_from(View), st.sampled_from(["P100", "P2", ""]), st.booleans()), max_size=8))
def test_a_prior_is_always_earlier_reliable_and_of_the_patient(rows: list[tuple[str, View, str, bool]]) -> None:
    others = [image(day, view, Patient(id=who), date_reliable=ok, body_part="CHEST") for day, view, who, ok in rows]
    chosen, reason, older = choice(CURRENT, *others)
    assert reason.endswith(".")
    for each in [chosen, *older] if chosen else older:
        assert each is not None and each.acquired is not None and CURRENT.acquired is not None
        assert each.acquired < CURRENT.acquired and each.date_reliable and each.patient.id == "P100"
    fitting = [
        each
        for each in others
        if each.view.frontal and each.date_reliable and each.patient.id == "P100" and each.acquired < CURRENT.acquired
    ]
    assert (chosen is not None) == bool(fitting)
    if chosen is not None:
        assert chosen.acquired == max(each.acquired for each in fitting)
        assert chosen not in older and [each.acquired for each in older] == sorted(
            (each.acquired for each in older), reverse=True
        )


def test_the_current_image_is_the_best_frontal_of_the_newest_study() -> None:
    newest = [
        image("2024-03-01T10:00", View.LATERAL, study_uid="1.7"),
        image("2024-03-01T10:01", View.AP, study_uid="1.7"),
    ]
    assert current_of(group([image("2023-01-01"), *newest])) is newest[1]
    assert current_of(group([image("2024-01-01", View.LATERAL)])) is None
    unknown = image(None, View.UNKNOWN)
    assert current_of(group([unknown])) is unknown
    assert current_of(group([unknown, image(None, View.PA, study_uid="1.3")])) is None
    assert current_of(group([CURRENT, image("2024-03-02", patient=Patient(id="Q"))])) is None
    assert current_of(()) is None


def test_different_patients_are_never_compared() -> None:
    for other in (Patient(id="Q"), Patient(id="P100", issuer="B")):
        with pytest.raises(PatientMismatch, match="different patient IDs") as caught:
            check_same_patient(image("2024-01-01", patient=Patient(id="P100", issuer="A")), image(None, patient=other))
        assert "Doe" not in str(caught.value)
    mixed_case = image(None, patient=Patient(id="p100 ", name="DOE^JANE", sex="F"))
    assert check_same_patient(CURRENT, mixed_case) == ()


@pytest.mark.parametrize(
    ("patient", "words"),
    [
        (PATIENT, []),
        (Patient(id="P100"), []),
        (Patient(id=""), ["does not name the patient"]),
        (Patient(id="P100", name="Roe, Richard"), ["names differ"]),
        (replace(PATIENT, birth_date=date(1961, 1, 2)), ["birth dates differ"]),
        (replace(PATIENT, sex="M", name="X"), ["names differ", "sexes differ"]),
    ],
)
def test_doubts_about_the_person_are_said(patient: Patient, words: list[str]) -> None:
    warnings = check_same_patient(CURRENT, image("2020-01-01", patient=patient))
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


@pytest.mark.parametrize("name", ["ANON", "Anonymous", "00000000", "TEST1", "unknown", "ANON123", "1", "no id"])
def test_reused_ids_are_doubted(name: str) -> None:
    both = image("2024-01-01", patient=Patient(id=name)), image("2023-01-01", patient=Patient(id=name))
    assert any("placeholder" in warning for warning in check_same_patient(*both))


def test_doubts_about_the_pair_are_said() -> None:
    assert check_pair(CURRENT, image("2020-01-01")) == ()
    assert any("same image" in each for each in check_pair(CURRENT, CURRENT))
    assert any("newer" in each for each in check_pair(CURRENT, image("2025-01-01")))
    assert any("missing" in each for each in check_pair(CURRENT, image(None)))
    assert any("not reliable" in each for each in check_pair(CURRENT, image("1901-01-01", date_reliable=False)))
    assert any("views differ" in each for each in check_pair(CURRENT, image("2020-01-01", View.LATERAL)))
    assert any("body parts" in each for each in check_pair(CURRENT, image("2020-01-01", body_part="KNEE")))
    assert CURRENT.acquired is not None and timedelta(0) < CURRENT.acquired - datetime(2024, 1, 1)

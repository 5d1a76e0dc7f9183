"""Who is who: by issuer and id, never by name; what is said later counts, what is signed stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from records_desk import KNOWN, Desk

from engine.errors import PatientMismatch, UsageError
from engine.imaging.types import Patient, Study, View
from engine.records import Sentence

NAMELESS = Patient()


def key_of(desk: Desk, sha256: str) -> str:
    return desk.records.new_report(sha256, None, "", "findings").patient_key


def test_one_id_of_two_issuers_is_two_patients(desk: Desk) -> None:
    here = key_of(desk, desk.filed("a.dcm", replace(KNOWN, issuer="here"), uid="1"))
    there = key_of(desk, desk.filed("b.dcm", replace(KNOWN, issuer="there"), uid="2"))
    again = key_of(desk, desk.filed("c.dcm", replace(KNOWN, issuer="here", name="Other^Spelling"), uid="3"))
    assert here == again != there


def test_a_name_alone_never_joins(desk: Desk) -> None:
    same = replace(NAMELESS, name="Phantom^Test")
    assert key_of(desk, desk.filed("a.png", same)) != key_of(desk, desk.filed("b.png", same))
    assert desk.records.stored_studies(same) == ()


def test_filing_again_changes_nothing(desk: Desk) -> None:
    study, files = desk.study("a.dcm", uid="1.2", acquired=datetime(2026, 1, 1))
    key = desk.records.add_study(study, files)
    rows = desk.records.verify_log().rows
    assert desk.records.add_study(study, files) == desk.records.add_study(study, {}) == key
    assert desk.records.verify_log().rows == rows
    assert len(desk.records.stored_studies(KNOWN)) == 1


def test_images_of_one_study_come_one_after_the_other(desk: Desk) -> None:
    first, files = desk.study("a.dcm", uid="1.2")
    second, more = desk.study("b.dcm", uid="1.2", view=View.LATERAL)
    assert desk.records.add_study(first, files) == desk.records.add_study(second, more)
    (study,) = desk.records.stored_studies(KNOWN)
    assert [(image.source, image.view) for image in study.images] == [("a.dcm", "PA"), ("b.dcm", "LATERAL")]


def test_priors_newest_first_and_readable(desk: Desk) -> None:
    for year in (2023, 2025, 2024):
        desk.filed(f"{year}.dcm", uid=str(year), acquired=datetime(year, 1, 1))
    undated = desk.filed("undated.dcm", uid="0")
    studies = desk.records.stored_studies(KNOWN)
    assert [study.acquired and study.acquired.year for study in studies] == [2025, 2024, 2023, None]
    assert desk.records.patient_studies(studies[0].patient.key) == studies
    assert desk.records.patient_studies("nobody") == ()
    for study in studies:
        assert (
            desk.records.image_file(study.images[0].sha256).read_bytes()
            == f"bytes of {study.images[0].source}".encode()
        )
    assert studies[-1].images[0].sha256 == undated


def test_a_picture_is_named_later(desk: Desk) -> None:
    picture = desk.filed("a.png", NAMELESS, view=View.UNKNOWN)
    report = desk.records.new_report(picture, None, "", "findings")
    desk.filed("a.png", KNOWN, acquired=datetime(2026, 1, 1))
    detail = desk.records.report(report.id)
    assert (detail.patient.id, detail.current.view, detail.current.acquired) == ("P1", "PA", datetime(2026, 1, 1))
    assert desk.records.search("phantom").total == 1
    assert len(desk.records.stored_studies(KNOWN)) == 1
    assert desk.records.doctor() == ()


def test_silence_erases_nothing(desk: Desk) -> None:
    known = replace(KNOWN, birth_date=date(1950, 1, 1))
    desk.filed("a.png", known, acquired=datetime(2026, 1, 1))
    desk.filed("a.png", Patient("P1", "clinic"), view=View.UNKNOWN)
    (study,) = desk.records.stored_studies(KNOWN)
    assert (study.patient.name, study.patient.birth_date, study.acquired) == (
        "Phantom^Test",
        date(1950, 1, 1),
        datetime(2026, 1, 1),
    )
    assert (study.images[0].view, study.images[0].acquired, study.images[0].date_reliable) == (
        "PA",
        datetime(2026, 1, 1),
        True,
    )


def test_a_picture_dropped_again_without_a_word_is_nobody_again(desk: Desk) -> None:
    picture = desk.filed("a.png", KNOWN)
    first = desk.records.new_report(picture, None, "", "findings")
    desk.filed("a.png", NAMELESS)
    second = desk.records.new_report(picture, None, "", "findings")
    assert desk.records.report(first.id).patient.id == "P1"
    assert desk.records.report(second.id).patient.id == ""
    assert len(desk.records.stored_studies(KNOWN)) == 1
    desk.filed("a.png", KNOWN)
    assert desk.records.report(second.id).patient.id == "P1"


def test_the_same_bytes_of_two_patients_stay_apart(desk: Desk) -> None:
    other = Patient("P2", "", "Other^Person", None, "M")
    picture = desk.filed("a.png", KNOWN, acquired=datetime(2025, 1, 1))
    first = desk.records.new_report(picture, None, "", "findings")
    desk.filed("a.png", other, acquired=datetime(2026, 1, 1))
    second = desk.records.new_report(picture, None, "", "findings")
    one, two = desk.records.report(first.id), desk.records.report(second.id)
    assert (one.patient.id, one.current.acquired) == ("P1", datetime(2025, 1, 1))
    assert (two.patient.id, two.current.acquired) == ("P2", datetime(2026, 1, 1))
    assert desk.records.doctor() == ()


def test_naming_leaves_signed_reports_alone(desk: Desk) -> None:
    picture = desk.filed("a.png", NAMELESS)
    report = desk.records.new_report(picture, None, "", "findings")
    desk.records.save_revision(report.id, [Sentence("1", "Clear.", "human", "accepted")], based_on=0)
    desk.records.sign(report.id, name="Dr. Reader", based_on=1)
    before = desk.records.report(report.id)
    desk.filed("a.png", KNOWN)
    assert desk.records.report(report.id) == before
    assert desk.records.verify_signature(report.id).ok
    assert desk.records.new_report(picture, None, "", "findings").patient_key != before.patient.key
    rows = desk.records.verify_log().rows
    desk.filed("a.png", KNOWN)
    assert desk.records.verify_log().rows == rows
    assert desk.records.doctor() == ()


def test_a_prior_is_taken_from_the_same_patient(desk: Desk) -> None:
    """The prior's bytes were last said to be of somebody else; this patient's own filing of them is meant."""
    other = Patient("P2", "clinic", "Other^Person", None, "M")
    current, prior = desk.filed("now.png", KNOWN), desk.filed("then.png", KNOWN, acquired=datetime(2025, 1, 1))
    desk.filed("then.png", other, acquired=datetime(2024, 1, 1))
    report = desk.records.new_report(current, prior, "", "findings")
    detail = desk.records.report(report.id)
    assert detail.prior is not None and detail.prior.acquired == datetime(2025, 1, 1)


def test_a_study_without_images_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError):
        desk.records.add_study(Study("1", KNOWN, None, False, "", "", ()), {})


def test_headers_may_say_anything(desk: Desk) -> None:
    long = Patient("I" * 5_000, "\ud800", "N\0" * 5_000, None, "?" * 2_000)
    sha256 = desk.filed("a.dcm", long, uid="1" * 9_000)
    assert len(desk.records.report(desk.records.new_report(sha256, None, "", "findings").id).patient.id) == 1_000
    assert len(desk.records.stored_studies(long)) == 1


def test_a_prior_named_as_somebody_else_blocks_the_signature(desk: Desk) -> None:
    current, prior = desk.filed("now.png", KNOWN), desk.filed("then.png", NAMELESS)
    report = desk.records.new_report(current, prior, "", "findings")
    desk.records.save_revision(report.id, [Sentence("1", "Clear.", "human", "accepted")], based_on=0)
    desk.filed("then.png", Patient("P2", "", "Other^Person", None, "M"))
    with pytest.raises(PatientMismatch):
        desk.records.sign(report.id, name="Dr. Reader", based_on=1)

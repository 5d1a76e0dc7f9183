"""Conversations: kept with their comparison, shown to nobody else, put into a report as the model's words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from records_desk import KNOWN, Desk, accepted, draft

from engine.errors import Conflict, NotFound, NotReviewed, PatientMismatch, SignedIsFinal, UsageError
from engine.imaging.types import Patient
from engine.records import AnswerRow, Records, Report

OTHER = Patient("P2", "clinic", "Phantom^Other", None, "M")
NOBODY = Patient()

Foreign = Callable[..., list[tuple[str, ...]]]


def asked(desk: Desk, current: str, text: str = "Yes.", prior: str | None = None, **more: object) -> AnswerRow:
    return desk.records.save_answer(KNOWN, current, prior, "Is there an effusion?", draft(text, **more))


def texts(desk: Desk, patient: Patient, current: str, prior: str | None = None) -> list[str]:
    return [answer.text for answer in desk.records.answers(patient, current, prior)]


def test_a_conversation_survives_and_belongs_to_its_pair(desk: Desk) -> None:
    current, prior = desk.filed("current.dcm", uid="1.2.3"), desk.filed("prior.dcm", uid="1.2.2")
    first = asked(desk, current, "Yes.", prior)
    asked(desk, current, "Left.", prior, finished="cancelled")
    asked(desk, current, "Alone.")
    home = desk.home
    desk.records.close()
    with Records.open(home) as records:
        found = records.answers(KNOWN, current, prior)
        assert found[0] == first == records.answer(first.id)
        assert [(answer.text, answer.whole) for answer in found] == [("Yes.", True), ("Left.", False)]
        assert [answer.text for answer in records.answers(KNOWN, current, None)] == ["Alone."]
        assert records.answers(KNOWN, prior, current) == ()
        assert records.doctor() == ()
        with pytest.raises(NotFound):
            records.answer("none")


def test_another_patient_never_sees_it(desk: Desk) -> None:
    current = desk.filed("current.dcm", uid="1.2.3")
    asked(desk, current)
    for stranger in (OTHER, NOBODY, Patient("P1", "elsewhere")):
        assert texts(desk, stranger, current) == []
    desk.filed("current.dcm", OTHER, uid="1.2.9")  # the same file, said to be of somebody else
    assert texts(desk, OTHER, current) == [] and texts(desk, KNOWN, current) == ["Yes."]
    with pytest.raises(NotFound):
        desk.records.save_answer(Patient("P3", "clinic"), current, None, "Why?", draft("No."))
    with pytest.raises(PatientMismatch):
        desk.records.save_answer(KNOWN, current, desk.filed("b.dcm", OTHER, uid="9"), "Why?", draft("No."))
    assert texts(desk, KNOWN, current) == ["Yes."]


def test_a_picture_that_is_named_takes_its_conversation_along(desk: Desk, foreign: Foreign) -> None:
    picture = desk.filed("picture.png", NOBODY)
    desk.records.save_answer(NOBODY, picture, None, "What is it?", draft("A chest."))
    assert texts(desk, NOBODY, picture) == ["A chest."]
    desk.filed("picture.png", KNOWN)
    assert texts(desk, NOBODY, picture) == [] and texts(desk, KNOWN, picture) == ["A chest."]
    # One that was asked before and comes after it goes the same way.
    desk.records.save_answer(NOBODY, picture, None, "And now?", draft("The same."))
    assert texts(desk, KNOWN, picture) == ["A chest.", "The same."]
    desk.filed("picture.png", OTHER)
    assert texts(desk, OTHER, picture) == []
    with pytest.raises(sqlite3.IntegrityError):
        foreign("UPDATE answer SET patient = (SELECT key FROM patient WHERE patient_id = 'P2')")
    assert desk.records.doctor() == ()


def test_answers_are_only_ever_added(desk: Desk, foreign: Foreign) -> None:
    asked(desk, desk.filed("current.dcm", uid="1.2.3"))
    for sql in (
        "UPDATE answer SET text = 'No.'",
        "UPDATE answer SET current = prior",
        "DELETE FROM answer",
        "INSERT OR REPLACE INTO answer SELECT * FROM answer",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            foreign(sql)
    for question, more in ((" ", {}), ("Why?", {"finished": "lost"})):
        with pytest.raises(UsageError):
            desk.records.save_answer(KNOWN, desk.filed("current.dcm", uid="1.2.3"), None, question, draft(**more))


def reported(desk: Desk) -> tuple[Report, AnswerRow]:
    report, _ = desk.reviewed("The heart is normal.")
    return desk.records.report(report.id).report, asked(desk, report.current_sha256, "Yes. On the left.")


def test_an_answer_in_a_report_is_the_models_and_wants_a_review(desk: Desk, foreign: Foreign) -> None:
    report, answer = reported(desk)
    row = desk.records.insert_answer(report.id, answer.id, ["Yes.", "On the left."], based_on=report.revision)
    assert row.answer == answer.id and row.text == answer.text and row.model_sha256 == answer.model_sha256
    detail = desk.records.report(report.id)
    newest = detail.newest
    assert newest is not None and detail.report.state == "draft"
    assert [(s.text, s.origin, s.status) for s in newest.sentences] == [
        ("The heart is normal.", "ai", "accepted"),
        ("Yes.", "ai", "unreviewed"),
        ("On the left.", "ai", "unreviewed"),
    ]
    with pytest.raises(NotReviewed):
        desk.records.sign(report.id, name="Dr. Reader", based_on=newest.number)
    with pytest.raises(UsageError, match="already"):
        desk.records.insert_answer(report.id, answer.id, ["Yes."], based_on=newest.number)
    last = desk.records.save_revision(report.id, accepted(newest.sentences), based_on=newest.number)
    desk.records.sign(report.id, name="Dr. Reader", based_on=last.number)
    assert desk.records.verify_signature(report.id).ok
    ((signed,),) = foreign("SELECT content FROM signature")
    assert answer.question not in signed and "Yes. On the left." in signed


def test_what_cannot_be_put_into_a_report(desk: Desk) -> None:
    report, answer = reported(desk)
    with pytest.raises(Conflict):
        desk.records.insert_answer(report.id, answer.id, ["Yes."], based_on=report.revision - 1)
    stopped = asked(desk, report.current_sha256, finished="cancelled")
    elsewhere = asked(desk, report.current_sha256, prior=desk.filed("prior.dcm", uid="1.2.2"))
    for wrong in (stopped, elsewhere):
        with pytest.raises(UsageError):
            desk.records.insert_answer(report.id, wrong.id, ["Yes."], based_on=report.revision)
    with pytest.raises(NotFound):
        desk.records.insert_answer(report.id, "none", ["Yes."], based_on=report.revision)
    signed = desk.signed("Left effusion.")
    with pytest.raises(SignedIsFinal):
        desk.records.insert_answer(signed.id, answer.id, ["Yes."], based_on=signed.revision)
    assert desk.records.doctor() == ()

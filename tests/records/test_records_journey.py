"""From a filed study to a signed report that is found again after a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from records_desk import Desk, accepted, draft

from engine.errors import NotFound, PatientMismatch, UsageError
from engine.imaging.types import Patient
from engine.records import Records, Sentence


def test_the_whole_way(desk: Desk) -> None:
    current = desk.filed("now.dcm", uid="1.2", acquired=datetime(2026, 2, 1, 9))
    prior = desk.filed("then.dcm", uid="1.1", acquired=datetime(2025, 2, 1, 9))
    report = desk.records.new_report(current, prior, "Cough.", "findings")
    assert (report.state, report.revision, report.indication) == ("draft", 0, "Cough.")

    row = desk.records.save_draft(
        report.id,
        draft("The heart is normal. Left effusion. New line."),
        ["The heart is normal.", "Left effusion.", "New line."],
    )
    assert (row.number, row.revision, row.demonstration, row.token_ids) == (1, 1, True, (1, 2))
    first, second, third = row.sentences
    assert {(s.origin, s.status, s.original) for s in row.sentences} == {("ai", "unreviewed", None)}

    sentences = (
        replace(first, status="accepted"),
        replace(second, text="Small left effusion.", origin="edited", status="accepted", original="Left effusion."),
        replace(third, status="rejected"),
        Sentence("mine", "No fracture.", "human", "accepted"),
    )
    revision = desk.records.save_revision(report.id, sentences, based_on=row.revision, indication="Cough, fever.")
    assert revision.text == "The heart is normal. Small left effusion. No fracture."
    assert desk.records.report(report.id).report.state == "reviewed"

    signature = desk.records.sign(report.id, name="  Dr.  Reader ", based_on=revision.number)
    assert (signature.name, signature.text) == ("Dr. Reader", revision.text)
    home = desk.home
    desk.records.close()

    with Records.open(home) as records:
        (found,) = records.search("small effusion").rows
        assert (found.report_id, found.state, found.signer, found.has_prior) == (
            report.id,
            "signed",
            "Dr. Reader",
            True,
        )
        detail = records.report(report.id)
        assert detail.signature == signature
        assert detail.revisions[-1] == revision
        assert [r.number for r in detail.revisions] == [1, 2]
        assert (detail.report.indication, detail.accession, detail.patient.name) == (
            "Cough, fever.",
            "A77",
            "Phantom^Test",
        )
        assert detail.prior is not None and detail.prior.sha256 == prior and detail.prior.path.is_file()
        assert [e.kind for e in detail.events] == ["report-created", "draft-saved", "revision-saved", "signed"]
        assert records.verify_signature(report.id).ok
        assert records.doctor() == ()


def test_a_report_needs_no_model(desk: Desk) -> None:
    report = desk.report()
    revision = desk.records.save_revision(report.id, [Sentence("1", "Clear lungs.", "human", "accepted")], based_on=0)
    assert desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number).text == "Clear lungs."


def test_a_second_draft_overwrites_nothing(desk: Desk) -> None:
    report, revision = desk.reviewed("First.")
    again = desk.records.save_draft(report.id, draft("Second."), ["Second."])
    detail = desk.records.report(report.id)
    assert (again.number, again.revision) == (2, revision.number + 1)
    assert [d.text for d in detail.drafts] == ["First.", "Second."]
    assert [r.text for r in detail.revisions] == ["", "First.", ""]
    assert detail.report.state == "draft"
    mixed = (*accepted(again.sentences), *detail.revisions[1].sentences)
    assert desk.records.save_revision(report.id, mixed, based_on=again.revision).text == "Second. First."


def test_saving_what_is_saved_adds_nothing(desk: Desk) -> None:
    report, revision = desk.reviewed()
    rows = desk.records.verify_log().rows
    assert desk.records.save_revision(report.id, revision.sentences, based_on=revision.number) == revision
    assert desk.records.verify_log().rows == rows


def test_unknown_things_are_not_found(desk: Desk) -> None:
    for call in (
        lambda: desk.records.report("nothing"),
        lambda: desk.records.image("0" * 64),
        lambda: desk.records.image_file("0" * 64),
        lambda: desk.records.new_report("0" * 64, None, "", "findings"),
        lambda: desk.records.save_draft("nothing", draft(), []),
        lambda: desk.records.verify_signature("nothing"),
    ):
        with pytest.raises(NotFound):
            call()


def test_images_of_two_known_patients_make_no_report(desk: Desk) -> None:
    mine, other = desk.filed("a.dcm"), desk.filed("b.dcm", Patient("P2", "clinic", "Phantom^Test", None, "F"))
    with pytest.raises(PatientMismatch):
        desk.records.new_report(mine, other, "", "findings")
    nameless = desk.filed("c.png", Patient())
    assert desk.records.new_report(mine, nameless, "", "findings").prior_sha256 == nameless


def test_what_cannot_be_stored_is_refused(desk: Desk) -> None:
    report = desk.report()
    for bad in (draft(settings={"x": float("nan")}), draft(timings={"x": object()}), draft(finished="maybe")):
        with pytest.raises(UsageError):
            desk.records.save_draft(report.id, bad, ["a"])
    with pytest.raises(UsageError):
        desk.records.save_draft(report.id, draft("x" * 1_000_000), ["a"])
    assert desk.records.report(report.id).revisions == ()


def test_filters_and_pages(desk: Desk, clock) -> None:
    made = []
    for index in range(7):
        made.append(desk.report(f"number{index}").id)
        clock.go(days=1)
    search = desk.records.search
    assert [row.report_id for row in search(limit=3).rows] == made[:-4:-1]
    assert [row.report_id for row in search(limit=3, offset=6).rows] == made[:1]
    assert (search(limit=3, offset=99).rows, search(offset=99).total) == ((), 7)
    key = desk.records.report(made[0]).patient.key
    assert search(patient=key).total == 7 and search(patient="nobody").total == 0
    assert search(state="signed").total == 0 and search(state="draft").total == 7
    assert search("number3").total == 1
    begin = clock.now - timedelta(days=5)
    assert search(since=begin).total == 5 and search(until=begin).total == 2
    day = begin.astimezone().date()
    assert search(since=day, until=day).total == 1
    assert search(since=date.min, until=date.max).total == 7
    assert search(until=date.min).total == 0 and search(since=date.max).total == 0
    for wrong in ({"limit": 0}, {"limit": 10_000}, {"offset": -1}, {"offset": 1 << 80}, {"state": "lost"}):
        with pytest.raises(UsageError):
            search(**wrong)  # type: ignore[arg-type]


def test_events_of_the_faces(desk: Desk) -> None:
    report = desk.report()
    event = desk.records.record_event("exported", report.id, {"pdf": "f" * 64})
    assert desk.records.report(report.id).events[-1] == event
    assert (event.who, event.source, event.outcome, event.action) == ("tester", "Interval test", "success", "E")

"""What a new draft may repeat: few texts, the likeliest last."""

from __future__ import annotations

import pytest
from records_desk import KNOWN, Desk, draft

from engine.errors import NotFound
from engine.records import phrases


def test_signed_reports_then_the_priors_then_the_drafts_before(desk: Desk) -> None:
    old = desk.filed("old.dcm", KNOWN, uid="1.2.2")
    first = desk.records.new_report(old, None, "", "findings")
    row = desk.records.save_draft(first.id, draft("Old."), ["Old."])
    revision = desk.records.save_revision(
        first.id, [type(s)(s.id, s.text, "ai", "accepted") for s in row.sentences], based_on=row.revision
    )
    desk.records.sign(first.id, name="Dr. Reader", based_on=revision.number)
    desk.signed("Later.")
    report = desk.records.new_report(desk.filed("current.dcm", uid="1.2.3"), old, "", "findings")
    assert desk.records.phrases(report.id) == ("Later.", "Old.")
    desk.records.save_draft(report.id, draft("Drafted."), ["Drafted."])
    desk.records.save_draft(report.id, draft(" "), [])
    again = desk.records.new_report(desk.filed("current.dcm", uid="1.2.3"), old, "", "findings")
    assert desk.records.phrases(again.id) == ("Later.", "Old.", "Drafted.")


def test_they_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "SIGNED", 3)
    for text in ("One.", "Two.", "Three.", "Four.", "Four."):
        desk.signed(text)
    report = desk.report(name="next.dcm")
    assert desk.records.phrases(report.id) == ("Three.", "Four.")
    monkeypatch.setattr(phrases, "LONGEST", 8)
    assert desk.records.phrases(report.id) == ("Four.",)
    with pytest.raises(NotFound):
        desk.records.phrases("none")

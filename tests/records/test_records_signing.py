"""What may be signed, and that a signature holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_desk import Desk, accepted, draft

from engine.errors import Conflict, NotReviewed, SignedIsFinal, UsageError
from engine.imaging.types import Patient
from engine.records import Sentence
from engine.records.types import ORIGINS, STATUSES


@pytest.mark.parametrize("decided", [0, 1])
def test_every_sentence_must_be_reviewed(desk: Desk, decided: int) -> None:
    report, row = desk.drafted("One.", "Two.")
    sentences = (*accepted(row.sentences[:decided]), *row.sentences[decided:])
    desk.records.save_revision(report.id, sentences, based_on=1)
    with pytest.raises(NotReviewed):
        desk.records.sign(report.id, name="Dr. Reader", based_on=desk.records.report(report.id).report.revision)
    assert desk.records.report(report.id).report.state == "draft"


@pytest.mark.parametrize("name", ["", "   ", "\t\n", "x" * 500])
def test_a_signature_needs_a_name(desk: Desk, name: str) -> None:
    report, revision = desk.reviewed()
    with pytest.raises(UsageError):
        desk.records.sign(report.id, name=name, based_on=revision.number)


def test_an_empty_report_cannot_be_signed(desk: Desk) -> None:
    with pytest.raises(UsageError):
        desk.records.sign(desk.report().id, name="Dr. Reader", based_on=0)
    report, row = desk.drafted("One.")
    revision = desk.records.save_revision(report.id, [replace(row.sentences[0], status="rejected")], based_on=1)
    with pytest.raises(UsageError):
        desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number)


def test_a_stale_signature_is_refused(desk: Desk) -> None:
    report, revision = desk.reviewed()
    with pytest.raises(Conflict):
        desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number - 1)


def test_a_cancelled_draft_is_not_signed_as_it_is(desk: Desk) -> None:
    report, row = desk.drafted("The heart is", finished="cancelled")
    revision = desk.records.save_revision(report.id, accepted(row.sentences), based_on=1)
    with pytest.raises(NotReviewed):
        desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number)
    own = replace(
        row.sentences[0], text="The heart is normal.", origin="edited", status="accepted", original="The heart is"
    )
    revision = desk.records.save_revision(report.id, [own], based_on=revision.number)
    assert desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number).text == "The heart is normal."


def test_a_sentence_must_be_what_its_origin_says(desk: Desk) -> None:
    report, row = desk.drafted("Left effusion.")
    (ai,) = row.sentences
    for lie in (
        replace(ai, text="Right effusion.", status="accepted"),
        Sentence(ai.id, "Left effusion.", "human", "accepted"),
        Sentence(ai.id, "Right effusion.", "edited", "accepted", "Something else."),
        Sentence("new", "Right effusion.", "ai", "accepted"),
    ):
        with pytest.raises(UsageError):
            desk.records.save_revision(report.id, [lie], based_on=1)
    with pytest.raises(UsageError):
        desk.records.save_revision(report.id, [ai, ai], based_on=1)


@given(st.sampled_from(ORIGINS), st.sampled_from(STATUSES), st.none() | st.text())
def test_a_sentence_that_exists_is_valid(origin: str, status: str, original: str | None) -> None:
    possible = (origin == "edited") == (original is not None) and not (origin == "human" and status == "unreviewed")
    if possible:
        assert Sentence("1", "x", origin, status, original).decided == (status != "unreviewed")  # type: ignore[arg-type]
    else:
        with pytest.raises(UsageError):
            Sentence("1", "x", origin, status, original)  # type: ignore[arg-type]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["accept", "edit", "reject", "leave"]), st.text(min_size=1)), max_size=4))
def test_the_signed_text_is_what_was_accepted(desk: Desk, decisions: list[tuple[str, str]]) -> None:
    """For any review: either signing is refused, or the text is the accepted sentences in order, and verifies."""
    report, row = desk.drafted(*(f"Sentence {index}." for index in range(len(decisions))))
    done: list[Sentence] = []
    for sentence, (decision, words) in zip(row.sentences, decisions, strict=True):
        if decision == "edit":
            done.append(replace(sentence, text=words, origin="edited", status="accepted", original=sentence.text))
        elif decision == "leave":
            done.append(sentence)
        else:
            done.append(replace(sentence, status="accepted" if decision == "accept" else "rejected"))
    revision = desk.records.save_revision(report.id, done, based_on=1)
    kept = " ".join(s.text for s in revision.sentences if s.status == "accepted")
    if any(decision == "leave" for decision, _ in decisions):
        with pytest.raises(NotReviewed):
            desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number)
    elif not kept.strip():
        with pytest.raises(UsageError):
            desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number)
    else:
        assert desk.records.sign(report.id, name="Dr. Reader", based_on=revision.number).text == kept
        assert desk.records.verify_signature(report.id).ok


def test_nothing_changes_a_signed_report(desk: Desk) -> None:
    report = desk.signed()
    before = desk.records.report(report.id)
    for change in (
        lambda: desk.records.save_revision(report.id, [], based_on=report.revision),
        lambda: desk.records.save_draft(report.id, draft(), ["x"]),
        lambda: desk.records.sign(report.id, name="Dr. Other", based_on=report.revision),
    ):
        with pytest.raises(SignedIsFinal):
            change()
    after = desk.records.report(report.id)
    assert replace(after, events=before.events) == before
    refused = after.events[len(before.events) :]
    assert [(e.kind, e.outcome) for e in refused] == [
        ("revision-saved", "refused"),
        ("draft-saved", "refused"),
        ("signed", "refused"),
    ]


def test_a_signed_report_keeps_what_was_known_then(desk: Desk) -> None:
    report = desk.signed()
    before = desk.records.report(report.id)
    desk.filed("current.dcm", Patient("P1", "clinic", "Phantom^Renamed", None, "M"), uid="1.2.3")
    after = desk.records.report(report.id)
    assert (after.patient, after.current) == (before.patient, before.current)
    assert desk.records.verify_signature(report.id).ok


@pytest.mark.parametrize(
    ("drop", "change"),
    [
        ("revision_signed_update", "UPDATE revision SET sentences = replace(sentences, 'Left', 'Right')"),
        ("draft_signed_update", "UPDATE draft SET settings = '{}'"),
        ("draft_signed_update", "UPDATE draft SET model_sha256 = 'b'"),
        ("signature_update", "UPDATE signature SET name = 'Dr. Other'"),
        ("signature_update", "UPDATE signature SET signed_at = '2020-01-01T00:00:00.000000Z'"),
        ("signature_update", "UPDATE signature SET content = replace(content, 'Left', 'Right')"),
        ("signature_update", "UPDATE signature SET sha256 = replace(sha256, substr(sha256, 1, 1), '-')"),
        ("report_signed_update", "UPDATE report SET section = 'impression'"),
        ("report_signed_update", "UPDATE report SET state = 'draft', signed_at = NULL"),
        ("signature_delete", "DELETE FROM signature"),
    ],
)
def test_a_forgery_shows(desk: Desk, foreign: Callable[..., list[tuple[object, ...]]], drop: str, change: str) -> None:
    report = desk.signed("Left effusion.")
    assert desk.records.verify_signature(report.id).ok
    foreign(f"DROP TRIGGER {drop}")
    foreign(change)
    check = desk.records.verify_signature(report.id)
    assert not check.ok and check.problems
    assert {fault.check for fault in desk.records.doctor()} >= {"signature", "log"}

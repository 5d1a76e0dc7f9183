"""What the viewer can do, without a screen: open, compare, draft, review, sign, export, find again."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as PillowImage
from pilot import PAGE, TEXT, FakeEngine, Pilot, redated

from app.services import Filters, ModelHost, Workbench
from app.services.chosen import Chosen
from app.services.review import posted
from engine.errors import ModelError


def picture(path: Path, seed: int) -> Path:
    noise = np.random.RandomState(seed).randint(0, 256, (12, 10)).astype(np.uint8)
    PillowImage.fromarray(noise).resize((60, 72), PillowImage.Resampling.BICUBIC).save(path)
    return path


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def form(*images: tuple[str, str, str], **patient: str) -> dict[str, object]:
    rows = [{"sha256": sha, "role": role, "date": day, "view": "PA"} for sha, role, day in images]
    return {"patient": {"id": "", "name": "", "birth_date": "", "sex": ""} | patient, "images": rows}


# -- opening ----------------------------------------------------------------------------------------------------------


def test_a_dropped_pair_is_opened_with_its_prior_and_the_reason(pilot: Pilot, pair: Path) -> None:
    screen = pilot.drop(pair)
    assert screen.case.open and screen.case.identified and not screen.case.notices
    assert screen.panes.current and screen.panes.prior and screen.panes.current != screen.panes.prior
    assert screen.case.prior.startswith("Prior: ") and "of this patient" in screen.case.prior
    assert {image.role for image in screen.case.images} == {"current", "prior"}
    assert screen.report.can_draft and not screen.report.can_export


def test_a_bad_file_is_one_sentence_and_the_good_one_opens(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    bad = tmp_path / "holiday.txt"
    bad.write_text("not an image")
    screen = pilot.drop(bad, pair)
    assert screen.panes.current
    assert len(screen.case.notices) == 1 and "holiday.txt" in screen.case.notices[0].text
    pilot.act(lambda session: pilot.bench.dismiss(session, screen.case.notices[0].id))
    assert pilot.notices() == []


def test_a_zip_is_opened_and_its_images_are_kept(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "study"), "zip", pair))
    screen = pilot.drop(archive)
    archive.unlink()
    assert screen.panes.prior
    assert pilot.bench.records.image_file(screen.panes.prior).is_file()


def test_stepping_to_an_older_prior_and_swapping(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    source = next(pair.rglob("*.dcm"))
    days = (date(2015, 5, 1), date(2014, 4, 1), date(2013, 3, 1))
    files = [redated(source, tmp_path / f"{day}.dcm", day) for day in days]
    screen = pilot.drop(*files)
    assert screen.case.older == 1 and "2014-04-01" in screen.case.prior
    screen = pilot.act(pilot.bench.opening.older)
    assert screen.case.older == 0 and "2013-03-01" in screen.case.prior
    current, prior = screen.panes.current, screen.panes.prior
    screen = pilot.act(pilot.bench.opening.swap)
    assert (screen.panes.current, screen.panes.prior) == (prior, current)
    assert any("newer" in warning for warning in screen.panes.warnings)
    assert "2013-03-01" in screen.case.study
    screen = pilot.act(pilot.bench.opening.older)
    assert screen.case.notices, "no older prior is said, not done"


def test_an_earlier_study_of_the_history_is_offered(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    old, new = sorted(pair.rglob("*.dcm"))
    pilot.drop(old)
    later = Pilot(pilot.bench, pilot.model, "page-two")
    screen = later.drop(new)
    assert screen.panes.prior and len(screen.case.images) == 2


def test_another_patient_never_replaces_the_one_on_screen_by_itself(pilot: Pilot, pair: Path, other: Path) -> None:
    before = pilot.drop(pair)
    asked = pilot.drop(other)
    assert asked.case.patient == before.case.patient and asked.panes == before.panes
    assert asked.case.question is not None and "another patient" in asked.case.question.text
    assert pilot.answer("keep").case.patient == before.case.patient
    pilot.drop(other)
    after = pilot.answer("0")
    assert after.case.patient != before.case.patient and after.panes.prior


def test_several_patients_in_one_drop_are_a_question(pilot: Pilot, phantoms: Path) -> None:
    screen = pilot.drop(phantoms / "one", phantoms / "two")
    assert screen.panes.current is None and screen.case.question is not None
    assert len(screen.case.question.options) == 3
    assert pilot.answer("1").panes.current


# -- plain pictures ---------------------------------------------------------------------------------------------------


def test_nothing_is_guessed_about_plain_pictures(pilot: Pilot, tmp_path: Path) -> None:
    screen = pilot.drop(picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2))
    assert screen.panes.current is None and screen.case.ask and not screen.report.can_draft
    assert "not identified" in screen.case.patient
    one, two = (image.sha256 for image in screen.case.images)
    screen = pilot.act(lambda s: pilot.bench.opening.identify(s, form((one, "current", ""), (two, "prior", ""))))
    assert (screen.panes.current, screen.panes.prior) == (one, two) and screen.panes.warnings
    assert pilot.draft().report.editor["mode"] == "edit"
    pilot.accept_all()
    assert pilot.sign().report.editor["mode"] == "edit"
    assert "not identified" in pilot.notices()[-1]
    said = form((one, "current", "2024-02-01"), (two, "prior", "2023-01-01"), id="P 77", name="Doe^Jane")
    screen = pilot.act(lambda s: pilot.bench.opening.identify(s, said))
    assert screen.case.identified and "Doe, Jane" in screen.case.patient
    assert pilot.sign().report.signed
    assert pilot.session.report is not None and pilot.session.report.patient.id == "P 77"


def test_a_single_picture_is_the_current_one(pilot: Pilot, tmp_path: Path) -> None:
    screen = pilot.drop(picture(tmp_path / "a.png", 3))
    assert screen.panes.current and not screen.case.ask and screen.report.can_draft


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Doe"}, "ID as well"),
        ({"id": "1", "birth_date": "1.2.1950"}, "year-month-day"),
        ({"id": "1", "sex": "woman"}, "Sex"),
    ],
)
def test_a_form_that_cannot_be_is_refused_in_words(
    pilot: Pilot, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    screen = pilot.drop(picture(tmp_path / "a.png", 4))
    sha = screen.case.images[0].sha256
    pilot.act(lambda s: pilot.bench.opening.identify(s, form((sha, "current", "2024-01-01"), **change)))
    assert words in pilot.notices()[0]


@pytest.mark.parametrize("sent", [None, [], "x", {"patient": 1}, {"patient": {}, "images": [3]}, {"images": {}}])
def test_a_damaged_form_is_a_sentence(pilot: Pilot, tmp_path: Path, sent: object) -> None:
    pilot.drop(picture(tmp_path / "a.png", 5))
    pilot.act(lambda s: pilot.bench.opening.identify(s, sent))
    assert len(pilot.notices()) == 1 and "fault" not in pilot.notices()[0]


def test_an_unknown_prior_is_compared_only_when_confirmed(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    pilot.drop(sorted(pair.rglob("*.dcm"))[-1])
    screen = pilot.drop(picture(tmp_path / "old.png", 6))
    unknown = next(image for image in screen.case.images if not image.identified)
    screen = pilot.act(lambda s: pilot.bench.opening.choose(s, unknown.sha256, "prior"))
    assert screen.panes.prior is None and screen.case.question is not None
    assert pilot.answer("no").panes.prior is None
    pilot.act(lambda s: pilot.bench.opening.choose(s, unknown.sha256, "prior"))
    screen = pilot.answer("yes")
    assert screen.panes.prior == unknown.sha256 and any("You have said" in words for words in screen.panes.warnings)


# -- drafting ---------------------------------------------------------------------------------------------------------


def test_a_draft_streams_and_is_kept_before_it_is_shown_as_done(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    pilot.drop(pair)
    pilot.act(lambda s: pilot.bench.reporting.set_context(s, "Chest pain.", "Smoker."))
    assert pilot.start_draft().report.drafting
    seen = []
    for screen in pilot.bench.watch(PAGE, pilot.chosen):
        fake.gate.release()
        seen.append(screen.report.editor)
    assert seen[-1]["mode"] == "edit" and " ".join(s["text"] for s in seen[-1]["sentences"]) == TEXT
    assert any(state["mode"] == "stream" and state["text"] for state in seen)
    assert pilot.session.report is not None
    stored = pilot.bench.records.report(pilot.session.report.report.id)
    assert stored.drafts[0].text == TEXT and stored.drafts[0].finished == "stop"
    assert [sentence.text for sentence in stored.revisions[-1].sentences][-1] == "No pneumothorax is seen."
    assert fake.asked[0]["asking"].context == "Indication: Chest pain.\nHistory: Smoker."
    assert any(line.kind == "mark" for line in pilot.screen.report.lines), "a demonstration model is named as one"


def test_a_draft_is_given_what_it_may_repeat_the_likeliest_last(
    pilot: Pilot, pair: Path, other: Path, fake: FakeEngine
) -> None:
    def signed(text: str, *paths: Path) -> None:
        pilot.drop(*paths)
        if pilot.screen.case.question is not None:
            pilot.answer("0")
        pilot.write(text)
        assert pilot.sign().report.signed

    old, new = sorted(pair.rglob("*.dcm"), key=lambda path: pydicom.dcmread(path).StudyDate)
    signed("Seen before.", old)
    signed("Of somebody else.", other)
    pilot.drop(new)
    pilot.answer("0")
    assert pilot.screen.panes.prior
    pilot.draft()
    assert fake.asked[-1]["asking"].hints == ("Of somebody else.", "Seen before.")
    fake.text = "Another text."
    pilot.draft(sure=True)
    assert fake.asked[-1]["asking"].hints == ("Of somebody else.", "Seen before.", TEXT)
    pilot.draft(sure=True)
    assert fake.asked[-1]["asking"].hints[-2:] == (TEXT, "Another text.")


def test_asking_five_times_makes_one_draft(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    pilot.drop(pair)
    for _ in range(5):
        pilot.start_draft()
    for _ in TEXT.split():
        fake.gate.release()
    list(pilot.bench.watch(PAGE, pilot.chosen))
    assert len(fake.asked) == 1


def test_stop_keeps_a_cancelled_draft_that_cannot_be_signed_as_it_is(
    pilot: Pilot, pair: Path, fake: FakeEngine
) -> None:
    fake.gate = threading.Semaphore(5)
    pilot.drop(pair)
    pilot.start_draft()
    wait_for(lambda: pilot.screen.report.editor.get("text", "").endswith("There"))
    pilot.act(pilot.bench.reporting.stop)
    fake.gate.release(2)
    screen = list(pilot.bench.watch(PAGE, pilot.chosen))[-1]
    assert not screen.report.drafting and pilot.session.report is not None
    draft = pilot.session.report.drafts[0]
    assert draft.finished == "cancelled" and len(draft.token_ids) <= 7
    assert all(sentence["flag"] for sentence in screen.report.editor["sentences"])
    pilot.accept_all()
    assert not pilot.sign().report.signed and "stopped" in pilot.notices()[-1]
    pilot.review([sentence | {"text": "Normal heart."} for sentence in pilot.sentences()])
    assert pilot.sign().report.signed


def test_a_new_draft_is_a_new_revision_and_keeps_the_readers_sentences(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    pilot.accept_all()
    pilot.write("My own words.")
    screen = pilot.start_draft()
    assert screen.case.question is not None and screen.case.question.options[0].key == "draft"
    assert pilot.session.question is not None
    question = pilot.session.question.id
    assert pilot.bench.opening.answer(pilot.session, question, "draft") == "draft"
    pilot.draft(sure=True)
    texts = [sentence["text"] for sentence in pilot.sentences()]
    assert texts[-1] == "My own words." and len(texts) == 4
    assert pilot.sentences()[0]["status"] == "unreviewed"
    assert pilot.session.report is not None
    assert len(pilot.session.report.drafts) == 2
    assert any(all(s.status == "accepted" for s in r.sentences) for r in pilot.session.report.revisions[:-1])


def test_a_draft_of_another_pair_is_another_report(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    first = pilot.session.report
    screen = pilot.act(lambda s: pilot.bench.opening.choose(s, "", "none"))
    assert any("another pair" in line.text for line in screen.report.lines)
    pilot.draft()
    assert first is not None and pilot.session.report is not None
    assert pilot.session.report.report.id != first.report.id and pilot.session.report.prior is None
    assert pilot.bench.history(Filters()).total == 2


def test_comparison_without_a_prior_is_flagged_at_its_sentence(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.text = "The heart is normal. The effusion has increased since the prior study."
    pilot.drop(sorted(pair.rglob("*.dcm"))[0])
    screen = pilot.draft()
    flags = [sentence["flag"] for sentence in screen.report.editor["sentences"]]
    assert flags[0] is None and "no prior" in flags[1]


def test_control_characters_of_a_model_stay_the_models_words(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.text = "The\x16heart is normal\u202e. Lungs are clear."
    pilot.drop(pair)
    pilot.draft()
    screen = pilot.review(pilot.sentences())
    assert {(s["origin"], s["status"]) for s in screen.report.editor["sentences"]} == {("ai", "unreviewed")}
    assert not pilot.sign().report.signed


def test_a_draft_goes_on_when_the_page_is_reloaded(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    pilot.drop(pair)
    pilot.start_draft()
    pilot.bench.sessions.adopt("reloaded", PAGE)
    again = Pilot(pilot.bench, pilot.model, "reloaded")
    assert again.screen.report.drafting and again.screen.case.patient == pilot.screen.case.patient
    for _ in TEXT.split():
        fake.gate.release()
    last = list(pilot.bench.watch("reloaded", pilot.chosen))[-1]
    assert len(last.report.editor["sentences"]) == 3
    assert len(pilot.screen.report.editor["sentences"]) == 3, "the page that was left shows it as well"


def test_a_draft_that_runs_when_the_viewer_ends_is_kept_as_cancelled(
    home: Path, model: Path, fake: FakeEngine, pair: Path
) -> None:
    fake.gate = threading.Semaphore(3)
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        pilot.start_draft()
        wait_for(lambda: pilot.screen.report.editor.get("text", "").endswith("is"))
        threading.Timer(0.2, fake.gate.release, [2]).start()
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        row = bench.history(Filters()).rows[0]
        assert [draft.finished for draft in bench.records.report(row.report_id).drafts] == ["cancelled"]


def test_a_signed_report_leaves_room_for_a_new_one(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    pilot.accept_all()
    assert pilot.sign().report.signed
    screen = pilot.act(pilot.bench.reporting.clear)
    assert not screen.report.signed and screen.report.can_draft
    pilot.draft()
    assert pilot.bench.history(Filters()).total == 2


def test_a_picture_of_the_patient_on_screen_joins_the_case(pilot: Pilot, pair: Path, tmp_path: Path) -> None:
    screen = pilot.drop(sorted(pair.rglob("*.dcm"))[-1])
    person = screen.case.person
    screen = pilot.drop(picture(tmp_path / "old.png", 8))
    unknown = next(image for image in screen.case.images if not image.identified)
    said = form((unknown.sha256, "prior", "2001-01-01"), id=person.id.lower(), name=person.name)
    screen = pilot.act(lambda s: pilot.bench.opening.identify(s, said))
    assert screen.panes.prior == unknown.sha256 and screen.case.question is None
    pilot.drop(picture(tmp_path / "older.png", 9))
    more = next(image for image in pilot.screen.case.images if not image.identified)
    stranger = form((more.sha256, "prior", "2000-01-01"), id="SOMEBODY ELSE")
    pilot.act(lambda s: pilot.bench.opening.identify(s, stranger))
    assert "not compared" in pilot.notices()[-1] and pilot.screen.panes.prior == unknown.sha256


def test_everything_but_drafting_works_without_a_model(
    home: Path, pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.paths.models", lambda: tmp_path / "none")
    with Workbench.open(home, ModelHost()) as bench:
        pilot = Pilot(bench, "")
        screen = pilot.drop(pair)
        assert not screen.report.can_draft and any("no model" in line.text for line in screen.report.lines)
        pilot.start_draft()
        assert "no model" in pilot.notices()[0]
        pilot.write("Normal chest.")
        assert pilot.sign().report.signed
        assert len(pilot.export().report.exports) == 2


def test_a_model_that_cannot_be_loaded_says_why(home: Path, model: Path, pair: Path) -> None:
    def broken(chosen: Chosen) -> FakeEngine:
        raise ModelError("The model folder is damaged.", ("model.safetensors is cut off.",))

    with Workbench.open(home, ModelHost(model, load=broken)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        screen = pilot.draft()
        assert not screen.report.drafting and screen.report.can_draft, "it may be tried again"
        assert "cut off" in pilot.notices()[0] and any("damaged" in line.text for line in screen.report.lines)


def test_nobody_waits_for_a_model_when_the_viewer_closes(model: Path) -> None:
    begun, loaded, settled, late = threading.Event(), threading.Event(), [], FakeEngine()

    def slow(chosen: Chosen) -> FakeEngine:
        begun.set()
        loaded.wait(20)
        return late

    host = ModelHost(model, load=slow)
    host.preload()
    assert begun.wait(20)
    page = threading.Thread(target=lambda: settled.append(host.settle(host.meant(Chosen()))))
    page.start()
    host.close(0.01)
    page.join(20)
    assert settled == [False] and not late.closed
    loaded.set()
    wait_for(lambda: late.closed)


# -- review and signature ---------------------------------------------------------------------------------------------


def test_accept_edit_reject_and_add_keep_whose_words_they_are(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    one, two, three = pilot.sentences()
    screen = pilot.review(
        [
            one | {"status": "accepted"},
            two | {"text": "There is a moderate left pleural effusion.", "origin": "human", "status": "accepted"},
            three | {"status": "rejected"},
            {"id": "h-new", "text": "  Bones are\nnormal. ", "origin": "ai", "status": "unreviewed"},
        ]
    )
    origins = [(s["origin"], s["status"]) for s in screen.report.editor["sentences"]]
    assert origins == [("ai", "accepted"), ("edited", "accepted"), ("ai", "rejected"), ("human", "accepted")]
    assert screen.report.editor["sentences"][1]["original"] == "There is a small left pleural effusion."
    signed = pilot.sign()
    assert [s["text"] for s in signed.report.editor["sentences"]] == [
        "The heart is enlarged.",
        "There is a moderate left pleural effusion.",
        "Bones are normal.",
    ]


def test_signing_needs_every_sentence_and_a_name_and_freezes(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    one, two, three = pilot.sentences()
    pilot.review([one | {"status": "accepted"}, two, three])
    pilot.sign()
    assert 'sentence 2, "There is a small' in pilot.notices()[-1]
    pilot.accept_all()
    pilot.sign("   ")
    assert "Type your name" in pilot.notices()[-1]
    screen = pilot.sign()
    assert screen.report.signed and not screen.report.can_write and not screen.report.can_draft
    assert any("Dr. A. Reader" in line.text for line in screen.report.lines)
    edited = pilot.review([one | {"text": "Changed."}, two, three])
    assert "signed" in pilot.notices()[-1] and edited.report.editor["sentences"][0]["text"] == "The heart is enlarged."


def test_a_sentence_of_the_model_cannot_vanish(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    before = pilot.sentences()
    screen = pilot.review(before[1:])
    assert screen.report.editor["sentences"] == before and "Nothing was overwritten" in pilot.notices()[-1]


def test_a_late_change_is_dropped(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    before = pilot.shown()
    pilot.accept_all()
    pilot.act(lambda s: pilot.bench.reporting.review(s, before))
    assert {s["status"] for s in pilot.sentences()} == {"accepted"}


def test_a_change_that_a_signature_has_overtaken_is_dropped(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.write("Normal chest.")
    late = pilot.shown()
    pilot.number += 1
    newest = replace(pilot.shown(), sentences=[{**pilot.sentences()[0], "text": "Normal heart."}])
    screen = pilot.act(lambda s: pilot.bench.reporting.sign(s, "Dr. A. Reader", newest))
    assert screen.report.signed
    for change in (late, newest):
        screen = pilot.act(lambda s, change=change: pilot.bench.reporting.review(s, change))  # type: ignore[misc]
    assert screen.report.signed and not pilot.notices()
    assert [s["text"] for s in pilot.sentences()] == ["Normal heart."]


def test_what_was_done_on_one_report_never_reaches_the_next(pilot: Pilot, pair: Path, other: Path) -> None:
    reporting = pilot.bench.reporting
    pilot.drop(pair)
    pilot.write("The heart is enlarged.")
    pilot.number += 1
    late = replace(
        pilot.shown(), sentences=[*pilot.sentences(), {"id": "h-late", "text": "Late.", "status": "accepted"}]
    )
    pilot.drop(other)
    sheet = pilot.answer("0").sheet
    assert sheet > late.sheet
    for act in (reporting.review, lambda s, sent: reporting.sign(s, "Dr. A. Reader", sent), reporting.export):
        screen = pilot.act(lambda s, act=act: act(s, late))  # type: ignore[misc]
        assert screen.report.editor["sentences"] == [] and not screen.report.signed and not screen.report.exports
    assert pilot.notices() == [
        "Another report has come onto the screen since. What you did on the one before was not taken."
    ]
    screen = pilot.write("Normal chest.")
    assert screen.sheet == sheet, "the first sentence makes the report, the sheet is the same"
    assert pilot.sign().report.signed
    assert pilot.act(reporting.clear).sheet > sheet


def test_a_later_screen_has_a_larger_number(pilot: Pilot, pair: Path) -> None:
    numbers = [pilot.screen.number, pilot.drop(pair).number, pilot.draft().number, pilot.sign().number]
    assert numbers == sorted(set(numbers))


def test_the_same_report_in_two_tabs_is_never_overwritten(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    assert pilot.session.report is not None
    report = pilot.session.report.report.id
    second = Pilot(pilot.bench, pilot.model, "second-tab")
    second.act(lambda s: pilot.bench.searching.reopen(s, report))
    first_list, second_list = pilot.sentences(), second.sentences()
    pilot.review([first_list[0] | {"text": "Mine."}, *first_list[1:]])
    screen = second.review([second_list[0] | {"text": "Theirs."}, *second_list[1:]])
    assert "nothing was overwritten" in second.notices()[-1].lower()
    assert screen.report.editor["sentences"][0]["text"] == "Mine.", "the newest version is shown instead"


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "x",
        [1],
        [{"id": "../x", "text": "a", "status": "accepted"}],
        [{"id": "a", "text": 3, "status": "accepted"}],
    ],
)
def test_a_damaged_list_is_a_sentence(pilot: Pilot, pair: Path, sent: object) -> None:
    sheet = pilot.drop(pair).sheet
    event = {"sheet": sheet, "number": 1, "sentences": sent}
    pilot.act(lambda s: pilot.bench.reporting.review(s, posted(event)))
    assert len(pilot.notices()) == 1 and "fault" not in pilot.notices()[0]


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a\x00b", "\u202eevil", "<script>alert(1)</script>", "\U0001f600"])
def test_hostile_text_is_kept_literally_or_refused(pilot: Pilot, pair: Path, text: str) -> None:
    pilot.drop(pair)
    pilot.write(text)
    pilot.act(lambda s: pilot.bench.reporting.set_context(s, text, text))
    kept = pilot.sentences()
    assert len(pilot.notices()) in (0, 2) and (not kept or "\x00" not in kept[0]["text"])
    assert not kept or kept[0]["text"] in (text, text.replace("\x00", " "), "evil")


# -- export and history -----------------------------------------------------------------------------------------------


def test_export_writes_a_pdf_and_a_text_file_with_the_marks(pilot: Pilot, pair: Path, home: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    assert "UNSIGNED" in next(path for path in exported(pilot) if path.suffix == ".txt").read_text()
    pilot.accept_all()
    pilot.sign()
    pdf, text = exported(pilot)
    assert pdf.read_bytes().startswith(b"%PDF") and pdf.parent == home / "exports"
    words = text.read_text()
    for expected in ("DEMONSTRATION", "Research use only", "Signed", "Dr. A. Reader", "heart is enlarged", "f" * 64):
        assert expected in words
    assert any(event.kind == "exported" for event in pilot.bench.records.report(report_id(pilot)).events)


def exported(pilot: Pilot) -> list[Path]:
    return [pilot.bench.exported(file.ticket) for file in pilot.export().report.exports]


def report_id(pilot: Pilot) -> str:
    assert pilot.session.report is not None
    return pilot.session.report.report.id


def test_history_survives_and_a_signed_report_is_read_only(
    home: Path, model: Path, fake: FakeEngine, pair: Path
) -> None:
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        before = pilot.drop(pair)
        pilot.act(lambda s: bench.reporting.set_context(s, "Cough.", "COPD."))
        pilot.draft()
        pilot.accept_all()
        pilot.sign()
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model), "next-day")
        for filters in (Filters(), Filters(query="effusion"), Filters(state="signed"), Filters(patient="phantom")):
            assert bench.history(filters).total == 1, filters
        for filters in (Filters(query="tuberculosis"), Filters(state="draft"), Filters(until="2001-01-01")):
            assert bench.history(filters).total == 0 and bench.history(filters).message
        row = bench.history(Filters()).rows[0]
        assert row.signer == "Dr. A. Reader" and row.demonstration
        screen = pilot.act(lambda s: bench.searching.reopen(s, row.report_id))
        assert screen.report.signed and not screen.report.can_write and not screen.report.can_draft
        assert (screen.panes.current, screen.panes.prior) == (before.panes.current, before.panes.prior)
        assert (screen.report.indication, screen.report.history) == ("Cough.", "COPD.")
        assert bench.images.get(str(screen.panes.current)).patient.id
        assert bench.records.verify_log().ok and bench.records.verify_signature(row.report_id).ok


def test_no_search_is_a_fault(pilot: Pilot, pair: Path) -> None:
    pilot.drop(pair)
    pilot.write("Normal.")
    for query in ('"', "*", "NEAR(", "a OR", "'; drop table report", "x" * 10_000, "\x00", "-", "^", "text:"):
        assert "fault" not in pilot.bench.history(Filters(query=query, patient=query)).message, query


@pytest.mark.parametrize("filters", [Filters(since="yesterday"), Filters(state="lost"), Filters(until="2026-13-01")])
def test_a_wrong_filter_is_a_sentence(pilot: Pilot, filters: Filters) -> None:
    view = pilot.bench.history(filters)
    assert view.total == 0 and view.message and "fault" not in view.message

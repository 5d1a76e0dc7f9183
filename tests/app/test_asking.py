"""Questions about a comparison, without a screen: ask, go on, stop, insert, and never before another patient."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from pilot import PAGE, TEXT, FakeEngine, Pilot
from test_services import exported, form, picture, wait_for

from app.services import ModelHost, Workbench, conversing
from engine.drafting import Turn
from engine.errors import ModelError, UsageError

CHANGED = "What changed since the prior?"
ALONE = "Asked by itself: this model can do nothing with what was said before."


def said(pilot: Pilot) -> list[tuple[str, str, str]]:
    return [(turn.question, turn.answer, turn.state) for turn in pilot.screen.ask.turns]


def read(pilot: Pilot, words: str) -> None:
    """Wait until so much of the answer is written."""

    def written() -> bool:
        running = pilot.screen.ask.running
        return running is not None and running.text.endswith(words)

    wait_for(written)


# -- asking -----------------------------------------------------------------------------------------------------------


def test_an_answer_streams_and_the_next_question_knows_it(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    assert pilot.screen.ask.comparison == "" and not pilot.screen.ask.can_ask
    first = pilot.drop(pair).ask
    assert first.can_ask and first.turns == () and CHANGED in first.suggestions
    pilot.act(lambda s: pilot.bench.reporting.set_context(s, "Chest pain.", ""))
    screen = pilot.ask(f"  {CHANGED}\n")
    assert screen.ask.running is not None and screen.ask.running.question == CHANGED and not screen.ask.can_ask
    seen = []
    for screen in pilot.bench.follow(PAGE, pilot.chosen):
        fake.gate.release()
        seen.append(screen.ask.running.text if screen.ask.running else "")
    assert "The heart" in seen and screen.ask.running is None and screen.ask.accepted == "q"
    assert said(pilot) == [(CHANGED, TEXT, "whole")]
    assert CHANGED not in screen.ask.suggestions and screen.ask.mark
    fake.gate = None
    pilot.answered("Why?")
    one, two = (asked["asking"] for asked in fake.asked)
    assert (one.prompt, one.context, one.earlier) == (CHANGED, "Indication: Chest pain.", ())
    assert (two.prompt, two.earlier) == ("Why?", (Turn(CHANGED, TEXT),))
    assert not pilot.notices() and pilot.session.report is None, "a question makes no report"


def test_the_report_as_it_stands_comes_first(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    pilot.drop(pair)
    pilot.draft()
    one, two, three = pilot.sentences()
    pilot.review([one, two | {"status": "rejected"}, three | {"text": "No pneumothorax."}])
    pilot.answered("Rephrase it.")
    pilot.answered("Shorter.")
    report = Turn("", "The heart is enlarged. No pneumothorax.")
    assert fake.asked[-1]["asking"].earlier == (report, Turn("Rephrase it.", TEXT))
    assert fake.asked[-1]["asking"].section == "findings"
    # With another prior the report on the screen is about another pair: it is not put to the model.
    pilot.act(lambda s: pilot.bench.opening.choose(s, "", "none"))
    pilot.answered("Is the heart enlarged?")
    assert fake.asked[-1]["asking"].earlier == ()


def test_without_a_prior_nobody_is_invited_to_compare(pilot: Pilot, pair: Path) -> None:
    screen = pilot.drop(sorted(pair.rglob("*.dcm"))[0])
    assert screen.panes.prior is None
    assert screen.ask.suggestions and not any("prior" in words for words in screen.ask.suggestions)


def test_one_question_at_a_time(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    pilot.drop(pair)
    for _ in range(5):
        pilot.ask("Why?")
    fake.gate.release(100)
    list(pilot.bench.follow(PAGE, pilot.chosen))
    assert len(fake.asked) == 1 and len(said(pilot)) == 1


@pytest.mark.parametrize("question", ["", " \n ", "\u202e", "x" * 2001])
def test_what_is_no_question_is_a_sentence(pilot: Pilot, pair: Path, fake: FakeEngine, question: str) -> None:
    pilot.drop(pair)
    assert pilot.ask(question).ask.running is None
    assert len(pilot.notices()) == 1 and "fault" not in pilot.notices()[0] and not fake.asked


def test_drafts_and_answers_wait_in_one_queue(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(0)
    pilot.drop(pair)
    pilot.start_draft()
    wait_for(lambda: len(fake.asked) == 1)
    running = pilot.ask("Why?").ask.running
    assert running is not None and running.status == "Waiting: one request comes first"
    screen = pilot.stop_answer()
    assert screen.ask.running is None and screen.ask.turns == () and screen.report.drafting
    assert screen.ask.problem == conversing.STOPPED and screen.ask.question == "Why?" and screen.ask.can_ask
    fake.gate.release(100)
    list(pilot.bench.watch(PAGE, pilot.chosen))
    assert len(fake.asked) == 1 and len(pilot.sentences()) == 3


# -- what ends otherwise ----------------------------------------------------------------------------------------------


def test_a_stopped_answer_is_kept_and_not_put_to_the_model_again(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.gate = threading.Semaphore(5)
    pilot.drop(pair)
    pilot.ask("Why?")
    read(pilot, "There")
    pilot.stop_answer()
    fake.gate.release(2)
    list(pilot.bench.follow(PAGE, pilot.chosen))
    ((question, answer, state),) = said(pilot)
    assert (question, state) == ("Why?", "stopped") and TEXT.startswith(answer) and answer != TEXT
    assert pilot.screen.ask.problem == "" and pilot.screen.ask.question == ""
    fake.gate = None
    pilot.answered("Why then?")
    assert fake.asked[-1]["asking"].earlier == ()
    pilot.write("Normal chest.")
    pilot.insert(0)
    assert "stopped" in pilot.notices()[-1] and len(pilot.sentences()) == 1


def test_an_engine_that_dies_leaves_a_stopped_answer_and_a_sentence(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    fake.error = ModelError("The engine stopped unexpectedly.")
    pilot.drop(pair)
    screen = pilot.answered("Why?")
    assert said(pilot) == [("Why?", "The heart", "stopped")]
    assert screen.ask.problem == "The engine stopped unexpectedly." and screen.ask.can_ask
    fake.error = None
    assert pilot.answered("Why?").ask.problem == ""


def test_a_model_that_answers_one_question_only_says_so(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    sentence = "This model answers one question only; it cannot be asked further ones."
    fake.refusal = UsageError(sentence)
    pilot.drop(pair)
    pilot.write("Normal chest.")
    assert pilot.answered("Why?").ask.turns[0].remarks == (ALONE,), "a first question can be put without the report"
    screen = pilot.answered("And then?")
    assert screen.ask.problem == sentence and screen.ask.question == "And then?"


def test_a_model_that_writes_nothing_after_other_turns_is_asked_by_itself(
    pilot: Pilot, pair: Path, fake: FakeEngine
) -> None:
    fake.single = True
    pilot.drop(pair)
    pilot.answered("Why?")
    screen = pilot.answered("And then?")
    assert [len(asked["asking"].earlier) for asked in fake.asked] == [0, 1, 0]
    assert screen.ask.turns[-1].answer == TEXT and screen.ask.turns[0].remarks == ()
    assert screen.ask.turns[-1].remarks == (ALONE,)
    fake.text = ""
    assert pilot.answered("Nothing?").ask.turns[-1].state == "empty"


def test_the_oldest_turns_are_left_out_where_the_model_has_no_room(
    pilot: Pilot, pair: Path, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot.drop(pair)
    pilot.write("Normal chest.")
    for question in ("One?", "Two?", "Three?"):
        pilot.answered(question)
    fake.room = 2
    screen = pilot.answered("Four?")
    assert fake.asked[-1]["asking"].earlier == (Turn("", "Normal chest."), Turn("Three?", TEXT))
    assert screen.ask.turns[-1].remarks == (
        "Asked without the oldest 2 turns of this conversation: the model has no room for more.",
    )
    assert screen.ask.turns[-2].remarks == () and not screen.ask.problem
    fake.room = 0
    pilot.answered("Five?")
    assert fake.asked[-1]["asking"].earlier == ()
    fake.room = 1000
    monkeypatch.setattr(conversing, "MOST_TURNS", 2)
    pilot.answered("Six?")
    assert [turn.question for turn in fake.asked[-1]["asking"].earlier] == ["", "Four?", "Five?"]


# -- into the report --------------------------------------------------------------------------------------------------


def test_an_answer_goes_into_the_report_as_the_models_words(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    pilot.drop(pair)
    pilot.answered("Why?")
    assert not pilot.screen.ask.can_insert
    pilot.insert()
    assert "no report yet" in pilot.notices()[-1]
    pilot.write("Normal chest.")
    assert pilot.screen.ask.can_insert
    screen = pilot.insert()
    assert [(s["text"], s["origin"], s["status"]) for s in pilot.sentences()] == [
        ("Normal chest.", "human", "accepted"),
        ("The heart is enlarged.", "ai", "unreviewed"),
        ("There is a small left pleural effusion.", "ai", "unreviewed"),
        ("No pneumothorax is seen.", "ai", "unreviewed"),
    ]
    assert screen.ask.turns[0].state == "inserted"
    assert not pilot.sign().report.signed and "Not reviewed yet: sentence 2" in pilot.notices()[-1]
    pilot.insert()
    assert "already" in pilot.notices()[-1] and len(pilot.sentences()) == 4
    # A new draft would replace these sentences: the reader is asked first.
    assert pilot.start_draft().case.question is not None
    pilot.answer("keep")
    pilot.accept_all()
    assert pilot.sign().report.signed
    assert not pilot.screen.ask.can_insert
    pilot.answered("And the left?")
    pilot.insert()
    assert "signed" in pilot.notices()[-1] and len(pilot.sentences()) == 4


def test_nothing_that_is_printed_or_signed_holds_the_conversation(pilot: Pilot, pair: Path, fake: FakeEngine) -> None:
    pilot.drop(pair)
    pilot.draft()
    fake.text = "Secretly answered."
    pilot.answered("Secretly asked?")
    pilot.accept_all()
    pilot.sign()
    assert pilot.session.report is not None
    pdf, words = exported(pilot)
    signed = pilot.bench.records.report(pilot.session.report.report.id)
    for text in (words.read_text(), str(signed), pdf.read_bytes().decode("latin-1")):
        assert "Secretly" not in text


def test_no_word_of_it_is_logged(pilot: Pilot, pair: Path, fake: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        pilot.drop(pair)
        fake.text = "Secretly answered."
        pilot.answered("Secretly asked?")
        fake.error = ModelError("Gone.")
        pilot.answered("Secretly asked again?")
    assert "Secretly" not in caplog.text


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_another_patient_never_sees_it_and_a_late_answer_goes_home(
    pilot: Pilot, pair: Path, other: Path, fake: FakeEngine
) -> None:
    fake.gate = threading.Semaphore(0)
    mine = pilot.drop(pair).ask.comparison
    sheet, case = pilot.screen.sheet, pilot.session.case
    assert case is not None and case.current is not None and case.prior is not None
    asked_about = (case.patient, case.current.sha256, case.prior.sha256)
    pilot.ask("Why?")
    pilot.drop(other)
    theirs = pilot.answer("0").ask
    assert theirs.comparison not in ("", mine)
    assert theirs.running is None and theirs.turns == () and theirs.can_ask
    fake.gate.release(100)
    wait_for(lambda: bool(pilot.bench.records.answers(*asked_about)))
    assert pilot.screen.ask.turns == () and not pilot.screen.ask.problem
    # What was typed on the screen before is not asked on this one.
    for comparison, number in ((mine, sheet), (mine, None), (theirs.comparison, sheet)):
        pilot.ask("Late?", comparison=comparison, sheet=number)
        assert "since" in pilot.notices()[-1] and pilot.screen.ask.running is None
    pilot.write("Normal chest.")
    pilot.drop(pair)
    screen = pilot.answer("0")
    assert screen.ask.comparison == mine and said(pilot) == [("Why?", TEXT, "whole")]
    assert len(fake.asked) == 1


def test_an_answer_of_another_comparison_is_not_inserted(pilot: Pilot, pair: Path, other: Path) -> None:
    pilot.drop(pair)
    pilot.answered("Why?")
    foreign = pilot.screen.ask.turns[0].id
    pilot.drop(other)
    pilot.answer("0")
    pilot.write("Normal chest.")
    shown = pilot.shown()
    pilot.act(lambda s: pilot.bench.reporting.insert(s, foreign, shown))
    assert "another comparison" in pilot.notices()[-1] and len(pilot.sentences()) == 1


def test_it_is_there_again_after_a_restart_and_in_another_tab(
    home: Path, model: Path, fake: FakeEngine, pair: Path
) -> None:
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        pilot.answered("Why?")
        second = Pilot(bench, str(model), "second-tab")
        second.drop(pair)
        assert said(second) == said(pilot)
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        assert pilot.drop(pair).ask.turns[0].answer == TEXT
        assert bench.records.verify_log().ok and bench.records.doctor() == ()


def test_an_answer_that_is_being_written_when_the_viewer_ends_is_kept(
    home: Path, model: Path, fake: FakeEngine, pair: Path
) -> None:
    fake.gate = threading.Semaphore(3)
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        pilot.ask("Why?")
        read(pilot, "is")
        threading.Timer(0.2, fake.gate.release, [2]).start()
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        assert [state for _, _, state in said(pilot)] == ["stopped"]


def test_a_picture_that_is_named_meanwhile_takes_its_answer_along(
    pilot: Pilot, tmp_path: Path, fake: FakeEngine
) -> None:
    fake.gate = threading.Semaphore(0)
    screen = pilot.drop(picture(tmp_path / "a.png", 3))
    pilot.ask("Why?")
    who = form((screen.case.images[0].sha256, "current", "2024-02-01"), id="P 77", name="Doe^Jane")
    screen = pilot.act(lambda s: pilot.bench.opening.identify(s, who))
    assert screen.case.identified
    fake.gate.release(100)
    wait_for(lambda: bool(pilot.screen.ask.turns))
    assert said(pilot) == [("Why?", TEXT, "whole")]


def test_without_a_model_the_conversation_can_be_read(
    home: Path, model: Path, fake: FakeEngine, pair: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as bench:
        pilot = Pilot(bench, str(model))
        pilot.drop(pair)
        pilot.answered("Why?")
    monkeypatch.setattr("engine.paths.models", lambda: tmp_path / "none")
    with Workbench.open(home, ModelHost()) as bench:
        pilot = Pilot(bench, "")
        screen = pilot.drop(pair)
        assert screen.ask.turns and not screen.ask.can_ask and "no model" in screen.ask.note
        pilot.ask("Why?")
        assert "no model" in pilot.notices()[0]

"""The engine in a process of its own: what passes through the door, and that nothing behind it harms who stands before.

The processes are real; the engine in them is a stand-in that writes words and goes wrong when it is told to.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import stand_in

from engine import errors, logs
from engine.drafting import Asking, Comparison, Decoding, Draft, Event, Progress, Token, Turn
from engine.drafting.process import EngineProcess
from engine.errors import Cancelled, DatasetError, ModelError, ResourceError
from engine.imaging.types import Patient, VoiLut

PATIENCE = 120.0
"""Seconds to wait for anything: the machine may be very busy."""

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux")


@pytest.fixture(scope="module")
def pair(pictures: tuple[Path, Path]) -> Comparison:
    """Two images with everything an image can have."""
    known = Patient("P 77", "Hospital", "Phantom^Test", date(1950, 1, 1), "F")
    plain = Comparison.open(*pictures)
    current = replace(
        plain.current,
        patient=known,
        source="Phantom^Test.dcm",
        accession="A 1",
        study_uid="1.2.3",
        sop_uid="1.2.3.4",
        acquired=datetime(2024, 5, 6, 7, 8),
        padding=np.eye(*plain.current.pixels.shape, dtype=bool),
        rgb=np.arange(plain.current.pixels.size * 3, dtype=np.uint8).reshape(*plain.current.pixels.shape, 3),
        luts=(VoiLut(-3, np.linspace(0, 1, 300), "normal"), VoiLut(0, np.linspace(1, 0, 7), "steep")),
        modality="DX",
    )
    assert plain.prior is not None
    return Comparison(current, replace(plain.prior, patient=known))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The stand-in's model."""
    return stand_in.make(tmp_path / "model")


Loader = Callable[..., EngineProcess]


@pytest.fixture
def load(folder: Path) -> Iterator[Loader]:
    """Loads the stand-in into a process that ends with the test."""
    loaded: list[EngineProcess] = []

    def loader(**options: Any) -> EngineProcess:
        loaded.append(EngineProcess.load(folder, engine=stand_in.NAME, **options))
        return loaded[-1]

    yield loader
    for engine in loaded:
        engine.close()
        assert gone(engine.pid)


@pytest.fixture
def engine(load: Loader) -> EngineProcess:
    return load()


def gone(pid: int) -> bool:
    """Whether the process is no more; one that nobody has buried yet is none."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def told(**what: object) -> str:
    return json.dumps(what)


def tried(events: Iterator[Event]) -> tuple[list[Event], Exception]:
    """The events of a stream that must fail, and its error."""
    seen: list[Event] = []
    with pytest.raises(Exception) as caught:
        for event in events:
            seen.append(event)
    return seen, caught.value


def words(events: list[Event]) -> list[str]:
    return [event.text_so_far for event in events if isinstance(event, Token)]


# -- what passes through ----------------------------------------------------------------------------------------------


def test_events_draft_and_model_are_those_of_the_engine_behind(folder: Path, load: Loader, pair: Comparison) -> None:
    engine = load(dtype="bfloat16", threads=1)
    behind, _ = stand_in.load(str(folder), {"dtype": "bfloat16"})
    assert (engine.info, engine.warnings) == (behind.info, behind.warnings)
    asking = Asking(context="Cough.", earlier=(Turn("", "No."),), stops=("x",), hints=("Hint,", "hint."))
    decoding = Decoding(max_new_tokens=3, num_beams=2)
    expected = list(behind.stream(pair, asking, decoding=decoding.resolved(1000), cancelled=lambda: False))
    assert list(engine.stream(pair, asking, decoding=decoding)) == expected
    assert engine.draft(pair, asking, decoding=decoding) == expected[-1]
    assert engine.draft(pair, replace(asking, prompt="hints")).text == "Hint, hint."


def test_a_conversation_that_leaves_no_room_for_an_answer_is_too_long(engine: EngineProcess, pair: Comparison) -> None:
    tight = Asking(context='{"room": 5}')
    assert engine.draft(pair, tight).decoding.max_new_tokens == 5
    with pytest.raises(errors.TooLong):
        engine.draft(pair, replace(tight, earlier=(Turn("", "No."),)))
    brief = Decoding(max_new_tokens=4)
    assert engine.draft(pair, replace(tight, earlier=(Turn("", "No."),)), decoding=brief).text


def test_pixels_arrive_as_they_are_and_nothing_says_whose_they_are(engine: EngineProcess, pair: Comparison) -> None:
    images = [image for image in (pair.current, pair.prior) if image is not None]
    answer = engine.draft(pair, Asking(prompt="seen")).text.split()
    assert answer[::2] == [stand_in.arrays(image) for image in images]
    assert {*answer[1::2]} == {repr((Patient(), "", "", "", "", None)).replace(" ", "")}
    alone = engine.draft(Comparison(pair.current), Asking(prompt="seen")).text.split()
    assert alone == answer[:2]


def test_an_image_as_large_as_films_are(engine: EngineProcess, pair: Comparison) -> None:
    film = replace(pair.current, pixels=np.full((3000, 2500), 7, np.uint16), padding=None, rgb=None, luts=())
    assert engine.draft(Comparison(film, film), Asking(prompt="seen")).text.split()[0] == stand_in.arrays(film)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "IntervalError"])
def test_every_error_passes_with_its_class_and_what_it_says(engine: EngineProcess, name: str, pair: Comparison) -> None:
    seen, error = tried(engine.stream(pair, Asking(context=told(**{"raise": name, "after": 0}))))
    assert type(error) is getattr(errors, name) and str(error) == f"It is a {name}."
    assert getattr(error, "problems", ()) == (("one", "two") if name == "ModelError" else ())
    assert getattr(error, "rows", ()) == (((3, "three"),) if isinstance(error, DatasetError) else ())
    assert not [event for event in seen if not isinstance(event, Progress)]
    pid = engine.pid
    assert engine.draft(pair).finished == "stop" and engine.pid == pid, "an error is no crash"


@pytest.mark.parametrize("name", ["ModelError", "ResourceError", "UsageError"])
def test_an_error_of_the_loading_passes_and_leaves_no_process(tmp_path: Path, name: str) -> None:
    folder = stand_in.make(tmp_path / "model", load=name)
    with pytest.raises(getattr(errors, name)) as caught:
        EngineProcess.load(folder, engine=stand_in.NAME)
    assert str(caught.value) == f"It is a {name}." and getattr(caught.value, "problems", ("one", "two"))
    assert all(map(gone, stand_in.starts(folder)))


def test_loading_can_be_cancelled(tmp_path: Path) -> None:
    folder = stand_in.make(tmp_path / "model", load="hang")
    with pytest.raises(Cancelled):
        EngineProcess.load(folder, engine=stand_in.NAME, cancelled=(folder / "starts").exists)
    wait_for(lambda: all(map(gone, stand_in.starts(folder))))


def test_out_of_memory_after_some_words_keeps_them(engine: EngineProcess, pair: Comparison) -> None:
    seen, error = tried(engine.stream(pair, Asking(context=told(**{"raise": "ResourceError", "after": 3}))))
    assert isinstance(error, ResourceError)
    draft = seen[-1]
    assert isinstance(draft, Draft) and (draft.text, draft.finished) == ("The heart is", "cancelled")
    assert draft.checks[-1].message == str(error)


def test_a_fault_ends_the_process_it_happened_in(
    engine: EngineProcess, pair: Comparison, logged: Callable[[], str]
) -> None:
    first = engine.pid
    seen, error = tried(engine.stream(pair, Asking(context=told(**{"raise": "fault", "after": 2}))))
    assert not isinstance(error, errors.IntervalError), "it is reported as a fault of the program"
    assert isinstance(seen[-1], Draft) and seen[-1].text == "The heart"
    assert engine.draft(pair).finished == "stop" and engine.pid != first
    assert gone(first)


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_cancelled_while_writing_is_at_most_one_token_later(engine: EngineProcess, pair: Comparison) -> None:
    seen: list[Event] = []
    events = engine.stream(pair, Asking(context=told(wait_after=3)), cancelled=lambda: len(words(seen)) == 3)
    for event in events:
        seen.append(event)
    # The word goes out before the engine asks whether it should stop: it may be told before the next, or just after.
    written = len(words(seen))
    assert written in (3, 4)
    draft = seen[-1]
    assert isinstance(draft, Draft) and draft.finished == "cancelled"
    assert draft.text == " ".join(stand_in.WORDS.split()[:written])


def test_cancelled_before_the_first_word_ends_at_once(engine: EngineProcess, pair: Comparison) -> None:
    pid = engine.pid
    seen, error = tried(engine.stream(pair, Asking(context=told(wait_after=0)), cancelled=lambda: True))
    assert isinstance(error, Cancelled) and not words(seen)
    assert engine.draft(pair).text == stand_in.WORDS and engine.pid == pid


def test_ceasing_to_iterate_cancels(engine: EngineProcess, pair: Comparison) -> None:
    pid = engine.pid
    events = engine.stream(pair, Asking(context=told(wait_after=2)))
    for event in events:
        if isinstance(event, Token) and event.id == 1:
            break
    events.close()  # type: ignore[attr-defined]
    assert [event.text for event in engine.stream(pair) if isinstance(event, Draft)] == [stand_in.WORDS]
    assert engine.pid == pid


def test_one_stream_at_a_time(engine: EngineProcess, pair: Comparison) -> None:
    events = engine.stream(pair)
    next(events)
    with pytest.raises(RuntimeError, match="one draft at a time"):
        next(engine.stream(pair))
    assert isinstance(list(events)[-1], Draft)
    assert engine.draft(pair).finished == "stop"


def test_closing_gives_what_there_is(engine: EngineProcess, pair: Comparison) -> None:
    seen: list[Event] = []
    with pytest.raises(Cancelled, match="closing"):
        for event in engine.stream(pair, Asking(context=told(wait_after=3))):
            seen.append(event)
            if len(words(seen)) == 3 and isinstance(event, Token):
                threading.Thread(target=engine.close).start()
    assert isinstance(seen[-1], Draft) and (seen[-1].text, seen[-1].finished) == ("The heart is", "cancelled")
    with pytest.raises(Cancelled):
        engine.draft(pair)
    assert gone(engine.pid)


# -- the process ends -------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("number", "kind", "memory"),
    [(signal.SIGKILL, ResourceError, True), (signal.SIGSEGV, ModelError, False), (signal.SIGABRT, ModelError, False)],
)
def test_an_end_while_writing_keeps_the_words_and_starts_again(
    folder: Path, engine: EngineProcess, pair: Comparison, number: int, kind: type[Exception], memory: bool
) -> None:
    first = engine.pid
    seen, error = tried(engine.stream(pair, Asking(context=told(signal=int(number), after=4))))
    assert type(error) is kind and "stopped unexpectedly" in str(error)
    assert ("not enough memory" in str(error)) is memory
    draft = seen[-1]
    assert isinstance(draft, Draft)
    assert words(seen)[-1] == draft.text == "The heart is enlarged."
    assert draft.finished == "cancelled" and draft.token_ids == (0, 1, 2, 3)
    assert {"cancelled", "engine_stopped"} <= {check.code for check in draft.checks}
    assert (draft.model, draft.prompt, draft.decoding) == (engine.info, "findings", Decoding().resolved(1000))
    assert engine.draft(pair).text == stand_in.WORDS
    assert stand_in.starts(folder) == [first, engine.pid], "started again once, and without being asked"


@posix
def test_what_is_no_message_is_not_believed(engine: EngineProcess, pair: Comparison) -> None:
    first = engine.pid
    seen, error = tried(engine.stream(pair, Asking(context=told(babble_after=3))))
    assert isinstance(error, ModelError) and "memory" not in str(error), "we have ended it, not the system"
    assert isinstance(seen[-1], Draft) and seen[-1].text == "The heart is"
    assert gone(first) and engine.draft(pair).finished == "stop"


@posix
def test_killed_from_outside_while_it_waits(folder: Path, engine: EngineProcess, pair: Comparison) -> None:
    seen: list[Event] = []
    with pytest.raises(ResourceError):
        for event in engine.stream(pair, Asking(context=told(wait_after=5)), decoding=Decoding(num_beams=2)):
            seen.append(event)
            if len(words(seen)) == 5 and isinstance(event, Token):
                os.kill(engine.pid, signal.SIGKILL)
    draft = seen[-1]
    assert isinstance(draft, Draft) and draft.text == "The heart is enlarged. There"
    assert draft.token_ids == (), "of beams the ids that were written are not known"
    assert engine.draft(pair).finished == "stop"


@posix
def test_an_end_before_the_first_word_is_tried_once_more(
    tmp_path: Path, folder: Path, engine: EngineProcess, pair: Comparison
) -> None:
    draft = engine.draft(pair, Asking(context=told(signal=9, once=str(tmp_path / "once"))))
    assert draft.finished == "stop" and len(stand_in.starts(folder)) == 2
    seen, error = tried(engine.stream(pair, Asking(context=told(signal=9))))
    assert isinstance(error, ResourceError) and not [event for event in seen if not isinstance(event, Progress)]
    assert "loading" in {event.stage for event in seen if isinstance(event, Progress)}
    assert engine.draft(pair).finished == "stop"
    assert len(stand_in.starts(folder)) == 4, "a second end of one draft is not answered with a third attempt"


@posix
def test_killed_while_idle_is_not_noticed(folder: Path, engine: EngineProcess, pair: Comparison) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    wait_for(lambda: gone(engine.pid))
    assert engine.draft(pair).finished == "stop" and len(stand_in.starts(folder)) == 2


@posix
def test_an_end_while_loading_is_said_and_not_repeated(folder: Path, engine: EngineProcess, pair: Comparison) -> None:
    (folder / "load").write_text("9")
    with pytest.raises(ResourceError, match="while it loaded the model; probably not enough memory"):
        EngineProcess.load(folder, engine=stand_in.NAME)
    assert len(stand_in.starts(folder)) == 2
    seen, error = tried(engine.stream(pair, Asking(context=told(signal=11, after=1))))
    assert isinstance(error, ModelError) and isinstance(seen[-1], Draft)
    with pytest.raises(ResourceError, match="while it loaded"):
        engine.draft(pair)
    assert len(stand_in.starts(folder)) == 3, "the start after the end has failed, and nobody tried again by himself"
    (folder / "load").write_text("")
    assert engine.draft(pair).finished == "stop"


def test_a_process_that_hangs_is_ended(load: Loader, pair: Comparison) -> None:
    engine = load(silence_s=0.3)
    first = engine.pid
    _, error = tried(engine.stream(pair, Asking(context=told(hang_after=0))))
    assert isinstance(error, ResourceError) and "no sign of life" in str(error)
    assert gone(first)


@posix
def test_a_process_that_does_not_even_read_is_ended(load: Loader, pair: Comparison) -> None:
    engine = load(silence_s=0.3)
    os.kill(engine.pid, signal.SIGSTOP)
    film = replace(pair.current, pixels=np.full((3000, 2500), 7, np.uint16), padding=None, rgb=None, luts=())
    with pytest.raises(ResourceError, match="no sign of life"):
        engine.draft(Comparison(film))


# -- the model's files ------------------------------------------------------------------------------------------------


def test_a_model_whose_files_have_changed_is_loaded_anew_and_said(
    folder: Path, engine: EngineProcess, pair: Comparison
) -> None:
    before = engine.info
    stand_in.make(folder, "Now it says this.")
    events = list(engine.stream(pair))
    draft = events[-1]
    assert isinstance(draft, Draft) and draft.text == "Now it says this."
    assert [check.code for check in draft.checks] == ["model_changed"]
    assert draft.model == engine.info != before
    assert any(event.stage == "loading" for event in events if isinstance(event, Progress))
    again = engine.draft(pair)
    assert not again.checks and len(stand_in.starts(folder)) == 2


def test_a_model_that_is_gone_is_said_and_works_again_when_it_is_back(
    folder: Path, engine: EngineProcess, pair: Comparison
) -> None:
    (folder / "words").rename(folder / "away")
    with pytest.raises(ModelError, match="no model"):
        engine.draft(pair)
    (folder / "away").rename(folder / "words")
    assert engine.draft(pair).text == stand_in.WORDS


# -- the process and the system ---------------------------------------------------------------------------------------

PARENT = """
import sys, time, json
from pathlib import Path
from engine.drafting import Asking, Comparison, EngineProcess
engine = EngineProcess.load(sys.argv[1], engine=sys.argv[2])
print(engine.pid, flush=True)
if sys.argv[3] == "busy":
    for event in engine.stream(Comparison.open(sys.argv[4]), Asking(context=json.dumps({"hang_after": 0}))):
        print("asked", flush=True)
time.sleep(600)
"""


@posix
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_it_ends_with_its_parent_however_that_ends(
    project: Path, folder: Path, pictures: tuple[Path, Path], state: str
) -> None:
    arguments = [sys.executable, "-c", PARENT, str(folder), stand_in.NAME, state, str(pictures[0])]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if state == "busy":
            assert parent.stdout.readline() == "asked\n"
        assert not gone(child)
        parent.kill()
    wait_for(lambda: gone(child))


def test_the_end_of_its_input_is_its_end(project: Path) -> None:
    setup = {"engine": stand_in.NAME, "parent": os.getpid(), "log_level": None}
    command = [sys.executable, "-P", "-m", "engine.drafting.worker", json.dumps(setup)]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_it_outlives_the_thread_that_loaded_it(load: Loader, pair: Comparison) -> None:
    loaded: list[EngineProcess] = []
    thread = threading.Thread(target=lambda: loaded.append(load()))
    thread.start()
    thread.join(PATIENCE)
    pid = loaded[0].pid
    assert loaded[0].draft(pair).finished == "stop" and loaded[0].pid == pid


@linux
def test_it_is_the_first_to_go_and_leaves_no_core(engine: EngineProcess) -> None:
    assert int(Path(f"/proc/{engine.pid}/oom_score_adj").read_text()) >= 500
    limits = Path(f"/proc/{engine.pid}/limits").read_text().splitlines()
    assert next(line.split()[4:6] for line in limits if line.startswith("Max core file size")) == ["0", "0"]


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """The log is kept during this test; what is written in it."""
    logs.start(logging.DEBUG)
    yield lambda: logs.log_file().read_text(encoding="utf-8")
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, logs.PrivateFormatter)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.WARNING)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def test_it_logs_where_its_parent_does_and_nobodys_name(
    home: Path, logged: Callable[[], str], load: Loader, pair: Comparison
) -> None:
    engine = load()
    first = engine.pid
    tried(engine.stream(pair, Asking(context=told(**{"raise": "fault", "after": 1, "name": "Phantom^Test"}))))
    tried(engine.stream(pair, Asking(context=told(signal=9, after=1))))
    engine.draft(pair, Asking(context="Phantom^Test coughs."))
    written = logged()
    fault = next(line for line in written.splitlines() if "fault in request" in line)
    assert f" {first} " in fault and "ZeroDivisionError" in written and "stand_in.py" in written
    assert "ended with -9" in written
    for planted in ("Phantom", "coughs", "P 77", "heart"):
        assert planted not in written
    assert {path.parent.name for path in home.rglob("*") if path.is_file()} == {"logs"}, "nothing else is left"


def test_the_program_needs_no_torch(project: Path) -> None:
    imports = "import sys, app.services, engine.drafting.process; print({'torch', 'transformers'} & {*sys.modules})"
    command = [sys.executable, "-c", imports]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

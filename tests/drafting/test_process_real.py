"""The engine in a process of its own with a real model: the one that comes with the program."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine import Comparison, Decoding, Draft, Engine, Token
from engine.drafting import Asking, EngineProcess, Event, Timings
from engine.errors import InputError, ModelError, ResourceError, UsageError

SLOW = Decoding(num_beams=32, max_new_tokens=256)
SAME = {"dtype": "float32", "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def demo(project: Path) -> Path:
    return project / "models" / "demo-tac"


@pytest.fixture(scope="module")
def pair(pictures: tuple[Path, Path]) -> Comparison:
    return Comparison.open(*pictures)


@pytest.fixture(scope="module")
def engine(demo: Path) -> Iterator[EngineProcess]:
    with EngineProcess.load(demo, **SAME) as loaded:  # type: ignore[arg-type]
        yield loaded


def untimed(draft: Draft) -> Draft:
    return replace(draft, timings=Timings(*[0] * 8))


def test_the_door_is_the_same() -> None:
    for name in ("stream", "draft"):
        inside, outside = (inspect.signature(getattr(kind, name)) for kind in (Engine, EngineProcess))
        assert inside == outside, name


def test_the_draft_is_the_one_the_engine_makes(demo: Path, engine: EngineProcess, pair: Comparison) -> None:
    here = Engine.load(demo, **SAME)  # type: ignore[arg-type]
    assert (engine.info, engine.warnings) == (here.info, here.warnings)
    for comparison in (pair, Comparison(pair.current)):
        for decoding in (Decoding(), Decoding(num_beams=3, num_return_sequences=2), Decoding(temperature=1.0, seed=5)):
            asking = Asking(context="Cough.", hints=("The heart is normal.",))
            expected = list(here.stream(comparison, asking, decoding=decoding))
            got = list(engine.stream(comparison, asking, decoding=decoding))
            assert got[:-1] == expected[:-1]
            last, other = got[-1], expected[-1]
            assert isinstance(last, Draft) and isinstance(other, Draft)
            # of a float in the fourth decimal, two processes with warm and cold caches may differ
            scored = [replace(s, score=None, log_probabilities=()) for d in (last, other) for s in d.sequences]
            half = len(scored) // 2
            assert scored[:half] == scored[half:]
            assert untimed(replace(last, sequences=())) == untimed(replace(other, sequences=()))
            assert last.timings.peak_memory_bytes > 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_in_the_middle(engine: EngineProcess, pair: Comparison) -> None:
    whole = engine.draft(pair, decoding=SLOW)
    seen: list[Event] = []
    error: Exception | None = None
    for _ in range(10):  # on a busy machine all of the draft may have been written by the time the first word is read
        seen.clear()
        killed = engine.pid
        try:
            for event in engine.stream(pair, decoding=SLOW):
                seen.append(event)
                if isinstance(event, Token) and event.text_so_far and engine.pid == killed:
                    os.kill(killed, signal.SIGKILL)
        except ResourceError as stopped:
            error = stopped
            break
    assert error is not None and "not enough memory" in str(error)
    draft = seen[-1]
    assert isinstance(draft, Draft) and draft.finished == "cancelled"
    assert draft.text == [event.text_so_far for event in seen if isinstance(event, Token)][-1]
    assert (draft.model, draft.decoding, draft.prompt) == (whole.model, whole.decoding, whole.prompt)
    assert (draft.prompt_token_ids, draft.images) == (whole.prompt_token_ids, whole.images)
    assert engine.draft(pair, decoding=SLOW).token_ids == whole.token_ids and engine.pid != killed


def test_what_cannot_be_drafted_is_refused_as_ever(engine: EngineProcess, pair: Comparison) -> None:
    with pytest.raises(UsageError, match="no section"):
        engine.draft(pair, Asking(section="technique"))
    with pytest.raises(UsageError, match="too long"):
        engine.draft(pair, Asking(context="x" * 4001))
    with pytest.raises(InputError, match="modality"):
        engine.draft(Comparison(replace(pair.current, modality="CT")))


def test_a_folder_that_is_no_model_lists_its_problems(tmp_path: Path, demo: Path) -> None:
    broken = shutil.copytree(demo, tmp_path / "broken")
    (broken / "tokenizer.json").unlink()
    os.truncate(broken / "model.safetensors", 100_000)
    with pytest.raises(ModelError) as caught:
        EngineProcess.load(broken)
    assert len(caught.value.problems) >= 2 and any("cut off" in problem for problem in caught.value.problems)


def test_a_model_that_is_replaced_under_it_is_hashed_and_loaded_anew(
    tmp_path: Path, demo: Path, pair: Comparison
) -> None:
    folder = shutil.copytree(demo, tmp_path / "model")
    with EngineProcess.load(folder, **SAME) as engine:  # type: ignore[arg-type]
        before = engine.draft(pair)
        tensors = load_file(folder / "model.safetensors")
        tensors["lm_head.weight"] = tensors["lm_head.weight"].flip(0).contiguous()
        save_file(tensors, tmp_path / "other", {"format": "pt"})
        (tmp_path / "other").replace(folder / "model.safetensors")
        after = engine.draft(pair, decoding=Decoding(max_new_tokens=8))
        assert after.model.sha256 == engine.info.sha256 != before.model.sha256
        assert "model_changed" in {check.code for check in after.checks}
        os.truncate(folder / "model.safetensors", 100_000)  # in place, under the mapped weights
        with pytest.raises(ModelError, match="cut off"):
            engine.draft(pair)

"""When LLaMA-Factory's worker asks for a checkpoint: never over one that is whole, which a kill could tear."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.training.factory import worker
from engine.training.factory.worker import WHOLE, follow


class Line:
    """The run's answers to evaluations, without a run."""

    def __init__(self, *, best: bool, stop: bool) -> None:
        self._answer = {"best": best, "enough": False, "stop": stop}

    def say(self, event: str, **content: Any) -> None:
        """Nobody listens."""

    def answer(self) -> dict[str, Any]:
        """The same one always."""
        return self._answer


@pytest.mark.parametrize(("best", "stop"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("saved", [False, True])
def test_an_evaluation_asks_for_a_checkpoint_only_where_there_is_none(
    tmp_path: Path, best: bool, stop: bool, saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "Memory", lambda: None)
    callback = follow({"best": 0, "questions": ""}, Line(best=best, stop=stop))  # type: ignore[arg-type]
    checkpoint = tmp_path / "checkpoint-4"
    checkpoint.mkdir()
    if saved:
        (checkpoint / WHOLE).touch()
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    args, state = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=4, max_steps=9)
    callback.on_evaluate(args, state, control, metrics={"eval_loss": 1.0})
    assert control.should_save is not saved
    assert control.should_training_stop is stop and callback.best == (4 if best else 0)

"""A run from its folder's state to its end, whoever trains it: it stops when it is asked to, and says how it ended."""

from __future__ import annotations

import hashlib
import math
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.datasets.libra import TrainingSample
from engine.errors import Cancelled, IntervalError, ModelError
from engine.jobs import progress
from engine.models.memory import memory_errors
from engine.training.recipe import Recipe
from engine.training.run_folder import FAILED, STOPPED, RunFolder, State, write_json

Report = Callable[[str, dict[str, float]], None]
"""Called with a stage's name and its latest figures: step, steps, loss and its parts, learning rate."""

OUT_OF_MEMORY = (
    "There is not enough memory for this training. A smaller batch_size with more to accumulate, "
    "gradient_checkpointing: on, or quantization: nf4 need less."
)
STOPPED_WORDS = "The training was stopped at a checkpoint. 'train --resume' goes on from it."


def refuse_nonsense(loss: float, step: int) -> None:
    """Raise ModelError for a loss that is no number: whatever is learnt after it is none either."""
    if not math.isfinite(loss):
        raise ModelError(
            f"The loss is no number any more at step {step}: the weights are lost. Lower the learning rate, add a "
            "warm-up, or compute in float32, and start another run."
        )


class Lifetime(ABC):
    """One run. ``writes``: whether this process is the one that writes its folder."""

    def __init__(self, folder: RunFolder, recipe: Recipe, report: Report, *, writes: bool = True) -> None:
        self.folder, self.recipe, self.report, self.writes = folder, recipe, report, writes
        self._asked = threading.Event()

    @abstractmethod
    def train(self) -> Path:
        """Train; the folder of the model. Raises Cancelled where it stopped at a checkpoint."""

    def go(self) -> Path:
        """Train, and write down how it ended."""
        try:
            with self._listening(), memory_errors(OUT_OF_MEMORY):
                result = self.train()
        except Cancelled:
            self.say(State(STOPPED))
            raise
        except BaseException as error:
            words = str(error) if isinstance(error, IntervalError) else "The run failed; the log says why."
            self.say(State(FAILED, message=words))
            raise
        return result

    def record_data(
        self, conversations: Sequence[TrainingSample], *, learnt: int, left_out: int, validation: int
    ) -> None:
        """Write data.json: the files by their hashes, how many conversations are learnt, of how many patients.

        Args:
            learnt, left_out: conversations; what was too long was left out.
            validation: held-out questions.
        """
        recipe = self.recipe
        files = (*recipe.samples, *recipe.truth, *((recipe.validation.questions,) if recipe.validation else ()))
        document = {
            "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            "samples": learnt,
            "left_out": left_out,
            "patients": len({one.about.patient for one in conversations if one.about.patient}),
            "validation": validation,
        }
        write_json(self.folder.path / "data.json", document)

    def stopping(self) -> bool:
        """Whether it has been asked to stop, by a signal or a file: a signal may be lost while libraries load."""
        return self._asked.is_set() or self.folder.asked_to_stop() or progress.stop_requested()

    def say(self, state: State) -> None:
        """Write a state, with the figures that the last one had."""
        if not self.writes:
            return
        known = self.folder.state() or state
        self.folder.write_state(
            State(state.state, known.stage, known.step, known.steps, None, best=known.best, message=state.message)
        )

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Within the block SIGTERM and Ctrl-C ask the run to stop at a checkpoint; a second Ctrl-C ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def asked(number: int, frame: object) -> None:
            if self._asked.is_set() and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._asked.set()

        before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

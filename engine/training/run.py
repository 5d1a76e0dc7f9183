"""One training run: a recipe in, a run folder (run_folder.py) with a model or an adapter out.

A run writes into a folder of its own, never into an old one. Interrupted, it is taken up with ``resume``: finished
stages are read back, the last whole checkpoint of the unfinished one is gone on from, and the weights that come out are
those of a run that was never interrupted. The module knows files and the engine; it prints nothing.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import set_seed

from engine.datasets.leakage import refuse_shared_patients
from engine.datasets.libra import TrainingSample, read_training
from engine.errors import Cancelled, DatasetError, ResourceError, UsageError
from engine.models.memory import free
from engine.training import results
from engine.training.adaptation import adapt
from engine.training.auxiliary import AuxiliaryHeads, TruthTable, read_truth
from engine.training.curves import draw
from engine.training.factory.driver import FactoryRun
from engine.training.lifetime import OUT_OF_MEMORY, STOPPED_WORDS, Lifetime, Report
from engine.training.memory import SPARE, Counts, Sizes, Watch, planned
from engine.training.objective import Objective
from engine.training.pixels import PixelStore
from engine.training.processes import Process
from engine.training.recipe import Recipe, Stage, read_recipe
from engine.training.run_folder import DONE, RUNNING, STOP, RunFolder, State, fresh, write_json
from engine.training.samples import Collator, Prepared, prepare
from engine.training.stage_trainer import RESULT, StageTrainer, load_trainable, save_trainable
from engine.training.start import Start, begin
from engine.training.validating import Validator

log = logging.getLogger(__name__)


def run(path: Path, output: Path | None = None, report: Report = lambda stage, figures: None) -> Path:
    """Train what the recipe at ``path`` describes; the folder of the trained model or adapter.

    Args:
        output: the run's folder, instead of the recipe's.
        report: called with figures while it runs.

    Raises:
        UsageError: the recipe cannot be used, or its output folder already holds a run.
        DatasetError: the files cannot be used; ``rows`` says which of their rows.
        ModelError: the model to start from cannot be loaded.
        ResourceError: not enough memory.
        Cancelled: it was asked to stop; it can be resumed.
    """
    recipe = read_recipe(path)
    process = Process.this()
    wanted = output or recipe.output
    if process.world > 1 and wanted is None:
        raise UsageError("A run in several processes needs to be told its folder: --output, or 'output' in the recipe.")
    if process.first:
        folder = fresh(wanted, recipe.name)
        shutil.copyfile(path, folder.recipe)
    process.wait()
    return _life(folder if process.first else RunFolder(wanted or Path()), recipe, report, process).go()


def resume(path: Path, report: Report = lambda stage, figures: None) -> Path:
    """Go on with the run in the folder ``path``. Returns and raises as ``run``.

    Raises:
        UsageError: there is no run, or it is finished.
    """
    folder = RunFolder(path)
    if not folder.recipe.is_file():
        raise UsageError(f"There is no training run in {path}.")
    state = folder.state()
    if state is not None and state.state == DONE:
        raise UsageError(f"The run {folder.name} is finished; there is nothing to resume.")
    (path / STOP).unlink(missing_ok=True)
    return _life(folder, read_recipe(folder.recipe), report, Process.this()).go()


def _life(folder: RunFolder, recipe: Recipe, report: Report, process: Process) -> Lifetime:
    """Whoever trains what the recipe says."""
    if recipe.llamafactory is None:
        return _Run(folder, recipe, report, process)
    if process.world > 1:
        raise UsageError("LLaMA-Factory starts its own processes: say 'processes' in the recipe, and start one.")
    return FactoryRun(folder, recipe, report)


@dataclass(frozen=True)
class _Material:
    """What a run learns from and is validated with, ready."""

    training: Prepared
    validation: Prepared | None
    validator: Validator | None
    collator: Collator
    truth: TruthTable | None


class _Run(Lifetime):
    """A run of this program's own trainer."""

    def __init__(self, folder: RunFolder, recipe: Recipe, report: Report, process: Process) -> None:
        super().__init__(folder, recipe, report, writes=process.first)
        self.process = process

    def train(self) -> Path:
        recipe = self.recipe
        self.say(State(RUNNING))
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        set_seed(recipe.seed)
        conversations = [sample for file in recipe.samples for sample in read_training(file, recipe.images)]
        validator = Validator(recipe.validation) if recipe.validation is not None else None
        held_out = validator.learnt() if validator is not None else []
        if validator is not None and recipe.shared_patients == "refuse":
            refuse_shared_patients(conversations, held_out)
        start = begin(recipe, self.folder, conversations, self.process.device)
        material = self._prepare(start, conversations, held_out, validator)
        if self.process.first:
            self.record_data(
                conversations,
                learnt=len(material.training.samples),
                left_out=len(material.training.left_out),
                validation=len(validator.questions) if validator is not None else 0,
            )
        if recipe.lora is not None:
            adapt(start.model.language_model, recipe.lora)
        heads = _heads(material.truth, start)
        objective = Objective(start.model, heads)
        for number, stage in enumerate(recipe.stages):
            self._stage(number, stage, start, objective, material)
        if self.process.first:
            results.write(self.folder, recipe, start)
            draw(self.folder)
            last = recipe.stages[-1]
            known = self.folder.state()
            steps = known.steps if known is not None else 0
            self.folder.write_state(State(DONE, last.name, steps, steps, 0.0, best=known.best if known else None))
        self.process.wait()
        return self.folder.model

    def _prepare(
        self,
        start: Start,
        conversations: Sequence[TrainingSample],
        held_out: Sequence[TrainingSample],
        validator: Validator | None,
    ) -> _Material:
        recipe = self.recipe
        truth = read_truth(recipe.truth) if recipe.truth else None
        unknown = [one.id for one in conversations if truth is not None and one.id not in truth]
        if unknown:
            raise DatasetError(f"The truth files say nothing of sample {unknown[0]}.")
        images = sorted({image for one in (*conversations, *held_out) for image in one.images})

        def progress(done: int, total: int) -> None:
            if done % 1000 == 0 or done == total:
                self.report("images", {"step": done, "steps": total})

        with self.process.first_ahead():  # the others find the store made
            store = PixelStore(images, start.processor, progress)
        room = recipe.max_length or int(start.model.language_model.config.max_position_embeddings)

        def ready(samples: Sequence[TrainingSample], leave_out: bool) -> Prepared:
            return prepare(
                samples, store, start.tokenizer, start.template, marks=start.marks,
                image_positions=start.model.patches, room=room, leave_out=leave_out,
            )  # fmt: skip

        training = ready(conversations, recipe.too_long == "leave out")
        validation = ready(held_out, True) if held_out else None
        collator = Collator(store, truth, pad=start.tokenizer.pad_token_id or 0)
        return _Material(training, validation, validator, collator, truth)

    def _stage(self, number: int, stage: Stage, start: Start, objective: Objective, material: _Material) -> None:
        """Train one stage, or read back what it has learnt."""
        folder = self.folder.stage(stage.name)
        objective.begin(stage)
        if (folder / RESULT).is_file():
            load_trainable(objective, folder / RESULT)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._choose_checkpointing(stage, start, objective, material)
        text = stage.text and material.validation is not None
        with Watch(self.process.device) as watch:
            trainer = StageTrainer(
                start.loaded, objective, stage, self.folder,
                samples=material.training.samples,
                validation=material.validation.samples if text and material.validation is not None else (),
                collator=material.collator,
                validator=material.validator if text else None,
                seed=self.recipe.seed + number,
                bfloat16=start.bfloat16,
                watch=watch,
                report=self.report,
                stopping=self.stopping,
            )  # fmt: skip
            checkpoint = _newest(folder)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
            if trainer.stopped:
                raise Cancelled(STOPPED_WORDS)
            trainer.load_best()
            if self.process.first:
                trainer.write_state()
                trainer.write_forecast("peak_bytes")
                save_trainable(objective, folder / RESULT)
        self.process.wait()

    def _choose_checkpointing(self, stage: Stage, start: Start, objective: Objective, material: _Material) -> None:
        """Compute activations twice where the recipe says so, or where the plan does not fit into the memory."""
        language = start.model.language_model.config
        samples = sorted(material.training.samples, key=lambda one: len(one.input_ids))[-stage.batch_size :]
        sizes = Sizes(
            batch=stage.batch_size,
            positions=len(samples[-1].input_ids) - 1 + start.model.patches,
            learnt=sum(sum(label >= 0 for label in one.labels) for one in samples),
            layers=language.num_hidden_layers,
            width=language.hidden_size,
            inner=language.intermediate_size,
            vocabulary=language.vocab_size,
            value=2 if start.bfloat16 else 4,
            device=self.process.device.type,
        )
        counts = Counts.of(objective)
        room = free(self.process.device) + counts.weights  # which are in memory already
        plain = planned(counts, stage, sizes, checkpointing=False)
        wanted = self.recipe.gradient_checkpointing
        twice = wanted == "on" or (wanted == "auto" and plain > SPARE * room)
        needed = planned(counts, stage, sizes, checkpointing=True) if twice else plain
        if needed > room:
            raise ResourceError(f"{OUT_OF_MEMORY} It is planned to take {needed / 1e9:.1f} of {room / 1e9:.1f} GB.")
        if twice:
            start.model.language_model.activation_checkpointing_enable({"use_reentrant": False})
        else:
            start.model.language_model.activation_checkpointing_disable()
        if self.process.first:
            known = self.folder.document("forecast.json")
            stages = dict(known.get("stages") or {})
            stages[stage.name] = {"planned_bytes": needed, "checkpointing": twice, "room_bytes": room}
            write_json(
                self.folder.path / "forecast.json", {"device": self.process.device.type, **known, "stages": stages}
            )


def _heads(truth: TruthTable | None, start: Start) -> AuxiliaryHeads | None:
    if truth is None:
        return None
    model = start.model
    if truth.cells and truth.cells != model.patches:
        raise DatasetError(f"The truth files divide an image into {truth.cells} cells, the tower into {model.patches}.")
    widths = model.vision_tower.config.hidden_size, model.language_model.config.hidden_size
    return AuxiliaryHeads(truth, *widths).to(start.device)


def _newest(folder: Path) -> Path | None:
    """The last checkpoint of a stage; they appear in one step, so there is no half one."""
    found = [one for one in folder.glob("checkpoint-*") if one.name.removeprefix("checkpoint-").isdecimal()]
    return max(found, key=lambda one: int(one.name.removeprefix("checkpoint-")), default=None)

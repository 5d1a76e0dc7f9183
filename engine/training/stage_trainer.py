"""One stage of a run: transformers' Trainer with our objective, checkpoints, validation and records.

What differs from the Trainer as it comes:

* a checkpoint holds what learns and nothing else, and appears in one step, whole or not at all;
* the order of the samples depends on the seed and the epoch alone, so that a resumed run takes the steps that it would
  have taken;
* validation scores what the model writes; the best weights are kept in ``best`` beside the checkpoints;
* a run that is asked to stop writes a checkpoint first.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from engine.models.libra import LoadedLibra
from engine.training import optimiser
from engine.training.lifetime import Report, refuse_nonsense
from engine.training.memory import PROBE, Watch
from engine.training.objective import Objective
from engine.training.recipe import Stage
from engine.training.run_folder import RUNNING, Best, RunFolder, State, read_json, write_json
from engine.training.samples import ByLength, Collator, Sample, Samples
from engine.training.validating import LOSS, Validator

log = logging.getLogger(__name__)

LOG_EVERY = 10
KEPT = 2
"""Checkpoints that are kept of a stage, the newest."""

TRAINABLE = "trainable.safetensors"
BEST = "best"
RESULT = "result.safetensors"


class StageTrainer(Trainer):
    """Trains one stage.

    Args:
        loaded: the model that learns, with what drafts need.
        objective: over that model; ``begin`` has been called with ``stage``.
        samples, validation: conversations to learn from, and such whose loss is computed now and then.
        validator: what is asked at each validation, or None for none.
        stopping: asked after every step whether to stop.
    """

    def __init__(
        self,
        loaded: LoadedLibra,
        objective: Objective,
        stage: Stage,
        folder: RunFolder,
        *,
        samples: Sequence[Sample],
        validation: Sequence[Sample],
        collator: Collator,
        validator: Validator | None,
        seed: int,
        bfloat16: bool,
        watch: Watch,
        report: Report,
        stopping: Callable[[], bool],
    ) -> None:
        self.objective: Objective = objective
        self.stage = stage
        self.folder = folder
        self.validator = validator
        self.stopped = False
        self._loaded = loaded
        self._samples = samples
        self._watch = watch
        self._report = report
        self._parts: dict[str, list[Tensor]] = defaultdict(list)
        self._began = time.monotonic()
        self._best: Best | None = None
        self._started_at = 0
        super().__init__(
            model=objective,
            args=_arguments(stage, folder, validator, seed, bfloat16),
            train_dataset=Samples(samples),
            eval_dataset=Samples(validation) if validator is not None else None,
            data_collator=collator,
            callbacks=[_Follow(self, stopping)],
        )
        self.remove_callback(PrinterCallback)  # standard output belongs to the command
        if validator is not None and validator.wanted.patience is not None:
            self.add_callback(_Patience(validator.wanted.patience))
        # The text's loss is a mean over all supervised positions of a step, also where a step is several batches.
        self.model_accepts_loss_kwargs = True

    # What is learnt, how

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**inputs)
        for name, value in outputs.items():
            if name not in ("loss", "learnt"):
                self._parts[name].append(value.detach())
        loss = outputs["loss"]
        if num_items_in_batch is not None and "text_loss" in outputs:
            share = outputs["learnt"] / num_items_in_batch * self.accelerator.num_processes
            others = (loss - outputs["text_loss"]) / self.current_gradient_accumulation_steps
            loss = outputs["text_loss"] * share + others
        elif num_items_in_batch is not None:
            loss = loss / self.current_gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None:
            self.optimizer = optimiser.build(self.stage, self.objective)
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        lengths = [len(sample.input_ids) for sample in self._samples] if self.stage.text else None
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return ByLength(len(self._samples), lengths, size, self.args.seed)

    # Records

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        refuse_nonsense(logs["loss"], self.state.global_step)
        figures: dict[str, float] = {"step": self.state.global_step, "steps": self.state.max_steps, **logs}
        figures |= {name: float(torch.stack(values).mean()) for name, values in self._parts.items()}
        self._parts.clear()
        figures |= {"seconds": round(time.monotonic() - self._began, 1), "memory_bytes": self._watch.peak}
        if self.is_world_process_zero():
            self.folder.append(self.folder.log, {"stage": self.stage.name, **figures})
            self._report(self.stage.name, figures)

    def write_state(self) -> None:
        """Say where the stage is."""
        done = self.state.global_step - self._started_at
        seconds = time.monotonic() - self._began
        left = seconds / done * (self.state.max_steps - self.state.global_step) if done else None
        self.folder.write_state(
            State(RUNNING, self.stage.name, self.state.global_step, self.state.max_steps, left, best=self._best)
        )

    def write_forecast(self, key: str) -> None:
        """Write what memory has been seen so far under ``key``."""
        known = self.folder.document("forecast.json")
        stages = dict(known.get("stages") or {})
        stages[self.stage.name] = {**stages.get(self.stage.name, {}), key: self._watch.peak}
        write_json(self.folder.path / "forecast.json", {**known, "stages": stages})

    # Validation

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The loss on the validation's own answers, and scores of what the model writes instead."""
        assert self.validator is not None
        self.objective.eval()
        scores = {LOSS: self._validation_loss()}
        with torch.no_grad():
            texts = self.validator.texts(
                self._loaded, self.folder.validation, f"{self.stage.name}-{self.state.global_step}"
            )
        scores |= self.validator.scores(texts)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        wanted = scores[self.validator.wanted.metric]
        before = self.state.best_metric
        better = math.isfinite(wanted) and (
            before is None or (wanted > before if self.args.greater_is_better else wanted < before)
        )
        if self.is_world_process_zero():
            line = {"stage": self.stage.name, "step": self.state.global_step, "evaluation": scores, "best": better}
            self.folder.append(self.folder.log, line)
            for sample in self.validator.generated(texts, self.stage.name, self.state.global_step):
                self.folder.append(self.folder.samples, sample)
            self._report(self.stage.name, {"step": self.state.global_step, "steps": self.state.max_steps, **scores})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _validation_loss(self) -> float:
        total = positions = 0.0
        for batch in self.get_eval_dataloader():
            with torch.no_grad(), self.compute_loss_context_manager():
                outputs = self.objective(**self._prepare_inputs(batch))
            total += float(outputs["text_loss"] * outputs["learnt"])
            positions += float(outputs["learnt"])
        sums = torch.tensor([total, positions], dtype=torch.float64)
        if dist.is_initialized():
            sums = self.accelerator.reduce(sums.to(self.args.device))
        return float(sums[0] / sums[1])

    def _determine_best_metric(self, metrics: Any, trial: Any) -> bool:
        better = super()._determine_best_metric(metrics, trial)
        if better and self.validator is not None:
            value = float(self.state.best_metric or 0.0)
            self._best = Best(self.stage.name, self.state.global_step, self.validator.wanted.metric, value)
            if self.args.should_save:
                best = self.folder.stage(self.stage.name) / BEST
                best.mkdir(parents=True, exist_ok=True)
                save_trainable(self.objective, best / TRAINABLE)
                write_json(best / "best.json", {"step": self.state.global_step, "value": value})
        return better

    def load_best(self) -> None:
        """Go back to the weights of the best evaluation, if there was one."""
        file = self.folder.stage(self.stage.name) / BEST / TRAINABLE
        if self.state.best_metric is not None and file.is_file():
            load_trainable(self.objective, file)

    # Checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.folder.stage(self.stage.name) / ".partial")

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As the Trainer's, into a folder beside that takes its place at the end."""
        stage = self.folder.stage(self.stage.name)
        partial, name = stage / ".partial", f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            shutil.rmtree(stage / name, ignore_errors=True)  # of a run that was killed after it and is resumed before
            (partial / name).rename(stage / name)
            shutil.rmtree(partial, ignore_errors=True)
            rotate_checkpoints(output_dir=str(stage), save_total_limit=KEPT)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        save_trainable(self.objective, folder / TRAINABLE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trainable(self.objective, Path(resume_from_checkpoint) / TRAINABLE)


class _Follow(TrainerCallback):
    """Says where the stage is, forecasts its memory, and stops it when it is asked to."""

    def __init__(self, trainer: StageTrainer, stopping: Callable[[], bool]) -> None:
        self._trainer, self._stopping = trainer, stopping
        self._said = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._trainer._started_at = state.global_step
        self._trainer._began = time.monotonic()
        best = read_json(self._trainer.folder.stage(self._trainer.stage.name) / BEST / "best.json")
        validator = self._trainer.validator
        if best and validator is not None and state.best_metric is not None:
            stage = self._trainer.stage.name
            self._trainer._best = Best(stage, int(best["step"]), validator.wanted.metric, float(best["value"]))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if state.is_world_process_zero:
            if now - self._said > 1.0:
                self._trainer.write_state()
                self._said = now
            if state.global_step - self._trainer._started_at == PROBE:
                self._trainer.write_forecast("probe_bytes")
        control.should_log |= state.global_step >= state.max_steps
        if self._asked() and state.global_step < state.max_steps:
            self._trainer.stopped = True
            control.should_save = control.should_training_stop = True

    def _asked(self) -> bool:
        asked = self._stopping()
        if dist.is_initialized():  # one process may have been told before the others
            flag = torch.tensor([int(asked)], device=self._trainer.args.device)
            dist.all_reduce(flag)
            asked = bool(flag.item())
        return asked


class _Patience(EarlyStoppingCallback):
    """Early stopping; the best weights are ours to load."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        pass


def _arguments(
    stage: Stage, folder: RunFolder, validator: Validator | None, seed: int, bfloat16: bool
) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    settings: dict[str, Any] = {}
    if validator is not None:
        every = validator.wanted.every
        settings = {
            "eval_strategy": "steps" if every else "epoch",
            "eval_steps": every,
            "metric_for_best_model": validator.wanted.metric,
            "greater_is_better": validator.higher_is_better,
            "per_device_eval_batch_size": stage.batch_size,
        }
    return TrainingArguments(
        output_dir=str(folder.stage(stage.name)),
        per_device_train_batch_size=stage.batch_size,
        gradient_accumulation_steps=stage.accumulate,
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        warmup_steps=stage.warmup,
        lr_scheduler_type=stage.schedule if stage.schedule != "constant" else "constant_with_warmup",
        max_grad_norm=1.0,
        logging_steps=LOG_EVERY,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=stage.checkpoint_every,
        save_total_limit=None,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if dist.is_initialized() and not cuda else None,
        disable_tqdm=True,
        report_to=[],
        seed=seed,
        bf16=bfloat16,
        use_cpu=not cuda,
        **settings,
    )


def save_trainable(module: torch.nn.Module, file: Path) -> None:
    """Write what learns, by its names in ``module``, in one step."""
    from safetensors.torch import save_file

    tensors: Mapping[str, Tensor] = {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    partial = file.with_name(f".{file.name}.partial")
    save_file(dict(tensors), partial, metadata={"format": "pt"})
    partial.replace(file)


def load_trainable(module: torch.nn.Module, file: Path) -> None:
    """Read into ``module`` what ``save_trainable`` wrote of one like it."""
    from safetensors.torch import load_file

    tensors = load_file(file)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)

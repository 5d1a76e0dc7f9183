"""One training run: a recipe in, a run folder with a model in Libra's format out.

The loop, the optimiser, its schedule and the checkpoints are transformers' Trainer; the objective, the label masks and
the stages are ours. A run writes into a folder of its own, never into an old one:

    recipe.yaml   the recipe as it was given          log.jsonl   losses and learning rate, one line every few steps
    data.json     hashes of the training files        stages/     checkpoints of each stage
    model/        the result, with a record of how it came about (training.json)

The module knows files and the engine; it prints nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainingArguments, set_seed

from engine.datasets.libra import TrainingSample, read_training
from engine.errors import DatasetError, ModelError, UsageError
from engine.models.checkpoint import LoadedLibra, load_model, save_model
from engine.models.composite import LibraModel
from engine.models.conversation import template
from engine.models.preprocessing import ImageProcessor
from engine.models.tokens import IMAGE_TEXT, load_tokenizer
from engine.training.auxiliary import AuxiliaryHeads, TruthTable, read_truth
from engine.training.objective import Objective
from engine.training.recipe import Recipe, Stage, read_recipe
from engine.training.samples import Collator, PixelStore, Sample, label
from engine.training.vocabulary import learn_vocabulary

log = logging.getLogger(__name__)

LOG_EVERY = 25
CHEST_MEAN, CHEST_STD = 0.5307, 0.2583
"""Grey level statistics of the RAD-DINO preprocessor, also used for towers made here."""

Report = Callable[[str, dict[str, float]], None]
"""Called with a stage's name and its latest figures: step, loss and its parts, learning rate."""


def run(path: Path, report: Report = lambda stage, figures: None) -> Path:
    """Train what the recipe at ``path`` describes; the folder of the trained model.

    Raises:
        UsageError: the recipe cannot be used, or its output folder already holds a run.
        DatasetError: the training files cannot be used.
        ModelError: the model to start from cannot be loaded.
    """
    recipe = read_recipe(path)
    output = recipe.output
    if output.exists() and any(output.iterdir()):
        raise UsageError(f"{output} already holds a run. Give another 'output', or remove the folder.")
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, output / "recipe.yaml")
    (output / "data.json").write_text(json.dumps(_hashes((*recipe.samples, *recipe.truth)), indent=2) + "\n")
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    set_seed(recipe.seed)

    conversations = [sample for file in recipe.samples for sample in read_training(file)]
    model, tokenizer, processor = _start(recipe, conversations)
    truth = read_truth(recipe.truth) if recipe.truth else None
    samples, store = _prepare(recipe, conversations, tokenizer, processor, truth)
    heads = _heads(truth, model)
    objective = Objective(model, heads)
    collator = Collator(store, truth, pad=tokenizer.pad_token_id or 0)
    for stage in recipe.stages:
        _train(recipe, stage, objective, samples, collator, report)
    save_model(
        model.eval(),
        tokenizer,
        processor,
        output / "model",
        conversation=recipe.conversation,
        name=recipe.name,
        license=recipe.license,
        demonstration=recipe.demonstration,
    )
    record(output)
    return output / "model"


def record(output: Path) -> None:
    """Write ``model/training.json`` from what a run has left in its folder: recipe, data hashes, stages, versions."""
    stages: dict[str, dict[str, float]] = {}
    for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines():
        figures = json.loads(line)
        stage = stages.setdefault(figures["stage"], {})
        kept = ("step", "seconds", "image_loss", "change_loss", "text_loss")
        stage.update({key: figures[key] for key in kept if key in figures})
    document = {
        "recipe": yaml.safe_load((output / "recipe.yaml").read_text(encoding="utf-8")),
        "data": json.loads((output / "data.json").read_text(encoding="utf-8")),
        "stages": stages,
        "versions": {name: version(name) for name in ("torch", "transformers", "accelerate", "sentencepiece")},
    }
    (output / "model" / "training.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _start(
    recipe: Recipe, conversations: Sequence[TrainingSample]
) -> tuple[LibraModel, PreTrainedTokenizerBase, ImageProcessor]:
    if recipe.start is not None:
        loaded = load_model(recipe.start, dtype="float32", device="cpu")
        if not isinstance(loaded, LoadedLibra):
            raise ModelError(f"{loaded.info.name} is no model in Libra's format; only those can be trained here.")
        return loaded.model, loaded.tokenizer, loaded.processor
    assert recipe.new is not None
    folder = recipe.output / "vocabulary"
    form = template(recipe.conversation)
    texts = (text for sample in conversations for turn in sample.turns for text in (form.layout, *turn))
    learn_vocabulary(texts, recipe.new.vocabulary, folder)
    tokenizer = load_tokenizer(folder)
    language = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "max_position_embeddings": recipe.max_length,
        **recipe.new.language_model,
    }
    model = LibraModel.from_config(recipe.new.vision_tower, language)
    edge = int(model.vision_tower.config.image_size)
    processor = ImageProcessor(
        shortest_edge=edge,
        crop=(edge, edge),
        mean=(CHEST_MEAN, CHEST_MEAN, CHEST_MEAN),
        std=(CHEST_STD, CHEST_STD, CHEST_STD),
    )
    return model, tokenizer, processor


def _prepare(
    recipe: Recipe,
    conversations: Sequence[TrainingSample],
    tokenizer: PreTrainedTokenizerBase,
    processor: ImageProcessor,
    truth: TruthTable | None,
) -> tuple[list[Sample], PixelStore]:
    form = template(recipe.conversation)
    store = PixelStore(sorted({image for sample in conversations for image in sample.images}), processor)
    samples = []
    for sample in conversations:
        if truth is not None and sample.id not in truth:
            raise DatasetError(f"The truth files say nothing of sample {sample.id}.")
        if len(sample.turns) != 1:
            raise DatasetError(f"Sample {sample.id} has several turns; one question with its answer can be trained on.")
        question, answer = sample.turns[0]
        # Wherever the question says "<image>", the images come first, on a line of their own: so do Libra's.
        ids, labels = label(tokenizer, form, question.replace(IMAGE_TEXT, "").strip(), answer)
        if len(ids) > recipe.max_length:
            raise DatasetError(f"Sample {sample.id} has {len(ids)} tokens, more than {recipe.max_length}.")
        current, prior = store.rows[sample.images[0]], store.rows[sample.images[-1]]
        samples.append(Sample(sample.id, current, prior, tuple(ids), tuple(labels)))
    return samples, store


def _heads(truth: TruthTable | None, model: LibraModel) -> AuxiliaryHeads | None:
    if truth is None:
        return None
    if truth.cells and truth.cells != model.patches:
        raise DatasetError(f"The truth files divide an image into {truth.cells} cells, the tower into {model.patches}.")
    widths = model.vision_tower.config.hidden_size, model.language_model.config.hidden_size
    return AuxiliaryHeads(truth, *widths)


def _train(
    recipe: Recipe,
    stage: Stage,
    objective: Objective,
    samples: list[Sample],
    collator: Collator,
    report: Report,
) -> None:
    objective.begin(stage)
    arguments = TrainingArguments(
        output_dir=str(recipe.output / "stages" / stage.name),
        per_device_train_batch_size=stage.batch_size,
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        warmup_steps=stage.warmup,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        logging_steps=LOG_EVERY,
        save_steps=500,
        save_total_limit=1,
        train_sampling_strategy="group_by_length" if stage.text else "random",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=[],
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = _StageTrainer(model=objective, args=arguments, train_dataset=_Samples(samples), data_collator=collator)
    trainer.remove_callback(PrinterCallback)  # standard output belongs to the command
    trainer.follow(stage.name, recipe.output / "log.jsonl", report)
    trainer.train()


class _Samples(Dataset[dict[str, Any]]):
    """Samples as the mappings Trainer's sampler by length expects."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"sample": self._samples[index], "input_ids": self._samples[index].input_ids}


class _StageTrainer(Trainer):
    """Trainer that also averages and records the parts of the loss."""

    def follow(self, stage: str, file: Path, report: Report) -> None:
        self._stage, self._file, self._report = stage, file, report
        self._parts: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._began = time.monotonic()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**inputs)
        for name, value in outputs.items():
            if name != "loss":
                self._parts[name].append(value)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)
        figures = {"step": float(self.state.global_step), "seconds": round(time.monotonic() - self._began, 1), **logs}
        figures |= {name: float(torch.stack(values).mean()) for name, values in self._parts.items()}
        self._parts.clear()
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": self._stage, **figures}) + "\n")
        self._report(self._stage, figures)


def _hashes(files: Sequence[Path]) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

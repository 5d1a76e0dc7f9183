"""A training recipe: a YAML file parsed once, at the border, into frozen dataclasses.

An object of these classes is valid: unknown keys, missing files and impossible numbers are refused while reading, all
of them at once, so that a run of hours never ends over a spelling mistake. Paths in a recipe are relative to the
folder the command is started in. This module reads text; it loads neither images nor weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from engine.errors import UsageError

PARTS = ("vision_tower", "connector", "language_model")
Part = Literal["vision_tower", "connector", "language_model"]
Optimiser = Literal["adamw", "muon", "adamw_8bit", "paged_adamw_8bit"]


DECIDED = frozenset({
    "model_name_or_path", "adapter_name_or_path", "trust_remote_code", "stage", "do_train", "do_eval", "do_predict",
    "predict_with_generate", "output_dir", "overwrite_output_dir", "resume_from_checkpoint", "dataset", "dataset_dir",
    "eval_dataset", "val_size", "tokenized_path", "template", "cutoff_len", "max_samples", "streaming", "packing",
    "neat_packing", "image_max_pixels", "image_min_pixels", "use_fast_tokenizer", "finetuning_type", "lora_rank",
    "lora_alpha", "lora_dropout", "use_rslora", "lora_target", "additional_target", "freeze_vision_tower",
    "freeze_multi_modal_projector", "freeze_language_model", "quantization_bit", "quantization_method",
    "double_quantization", "bf16", "fp16", "pure_bf16", "flash_attn", "disable_gradient_checkpointing",
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "learning_rate",
    "weight_decay", "warmup_ratio", "warmup_steps", "lr_scheduler_type", "num_train_epochs", "max_steps", "optim",
    "seed", "data_seed", "use_cpu", "eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit",
    "save_only_model",
    "load_best_model_at_end", "metric_for_best_model", "early_stopping_steps", "compute_accuracy", "logging_steps",
    "logging_strategy", "report_to", "plot_loss", "push_to_hub", "hub_model_id", "hub_token", "use_swanlab",
    "ray_run_name", "export_dir", "hf_hub_token", "ms_hub_token", "om_hub_token", "disable_tqdm",
})  # fmt: skip
"""LLaMA-Factory's settings that follow from the recipe, that this program needs as they are, or that would send
something elsewhere."""


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"no file {path}")
    return path


def _language(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})?", word):
        raise ValueError(f"{word!r} is no language; 'en' and 'zh' are")
    return word


def _modality(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,8}", word):
        raise ValueError(f"{word!r} is no DICOM modality; 'CT' and 'DX' are")
    return word


ExistingFile = Annotated[Path, AfterValidator(_existing)]
OneOrMore = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
Files = Annotated[tuple[ExistingFile, ...], OneOrMore]
Languages = Annotated[tuple[Annotated[str, AfterValidator(_language)], ...], OneOrMore]
Modalities = Annotated[tuple[Annotated[str, AfterValidator(_modality)], ...], OneOrMore]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

_CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=_CONFIG)
class NewModel:
    """Shapes of a model that starts from random weights; the keys are transformers' own configuration names."""

    vision_tower: dict[str, Any]
    language_model: dict[str, Any]
    vocabulary: int = 1024


@dataclass(frozen=True, slots=True, config=_CONFIG)
class AuxiliaryWeights:
    """Weights of the losses that only training data with truth files can give; 0 switches one off.

    ``findings``: size band of every finding, from the strongest patches. ``regions``: where it is, patch by patch.
    ``change``: what happened to it since the prior, from the connector's output.
    """

    findings: Weight = 0.0
    regions: Weight = 0.0
    change: Weight = 0.0

    @property
    def any(self) -> bool:
        """Whether one of them is on."""
        return bool(self.findings or self.regions or self.change)


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Lora:
    """Low-rank factors on every linear layer of the language model instead of its weights (Hu et al. 2021).

    Attributes:
        rank, alpha: an update is ``alpha / rank`` (rsLoRA: ``alpha / sqrt(rank)``) times the product of the factors.
        dropout: of the input of the factors.
        rslora: scale as in Kalajdzievski 2023.
    """

    rank: Count = 16
    alpha: Positive = 32.0
    dropout: Share = 0.0
    rslora: bool = False


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Stage:
    """One stage: which parts learn, from what, for how long. Parts that are not named stay frozen.

    Attributes:
        train: the parts. With ``lora`` the language model learns through its factors alone.
        batch_size: conversations a device takes at once; ``accumulate`` of them make a step.
        connector_learning_rate: of the connector; ``learning_rate`` unless given.
        warmup: share of the steps over which the learning rate rises.
        text: whether the words of the answers are learnt.
        checkpoint_every: steps from one checkpoint to the next.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w .-]{0,63}$")]
    train: Annotated[tuple[Part, ...], Field(min_length=1)]
    epochs: Positive
    batch_size: Count
    learning_rate: Positive
    accumulate: Count = 1
    connector_learning_rate: Positive | None = None
    weight_decay: Share = 0.01
    warmup: Share = 0.03
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    optimiser: Optimiser = "adamw"
    lora: Lora | None = None
    text: bool = True
    auxiliary: AuxiliaryWeights = Field(default_factory=AuxiliaryWeights)
    checkpoint_every: Count = 200

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if not self.text and not self.auxiliary.any:
            raise ValueError("nothing to learn from (no text, no auxiliary loss)")
        if self.lora is not None and "language_model" not in self.train:
            raise ValueError("'lora' belongs to the language_model, which this stage does not train")
        return self


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Validation:
    """Held-out questions that are answered while training, and which figure says what the best model is.

    Attributes:
        questions: in Libra's evaluation format, with references.
        images: folder their image paths are relative to; the file's own unless given.
        metric: "loss", a key of the scores (``score --help``), or ``file.py:function``.
        every: steps from one to the next; once an epoch unless given.
        limit: only the first so many questions.
        patience: evaluations without a better figure after which a stage ends early; never unless given.
    """

    questions: ExistingFile
    images: Path | None = None
    metric: str = "ROUGE-L"
    every: Count | None = None
    limit: Count = 100
    max_new_tokens: Count = 256
    patience: Count | None = None


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Factory:
    """That LLaMA-Factory trains, in an environment of its own: Qwen2-VL and LLaVA, by its names for what is its own.

    Attributes:
        image_max_pixels, image_min_pixels: what a picture is shrunk or enlarged to before the model's own processing.
            They are stored with the result, and drafting does the same.
        flash_attn: how attention is computed.
        processes: on one machine, each with a GPU. More than one listen on ports while they train (torchrun's): only
            in a network where everybody is trusted.
        settings: anything else of LLaMA-Factory's, as it stands in its own files (enable_liger_kernel, use_dora,
            loraplus_lr_ratio, neftune_noise_alpha, deepspeed, ...).
    """

    image_max_pixels: Annotated[int, Field(ge=28 * 28, le=4096 * 4096)] = 768 * 768
    image_min_pixels: Annotated[int, Field(ge=1, le=4096 * 4096)] = 32 * 32
    flash_attn: Literal["auto", "disabled", "sdpa", "fa2"] = "auto"
    processes: Count = 1
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _its_own(self) -> Self:
        ours = sorted(set(self.settings) & DECIDED)
        if ours:
            raise ValueError(
                f"llamafactory: '{ours[0]}' is not for its settings: the recipe or this program decides it"
            )
        if self.image_min_pixels > self.image_max_pixels:
            raise ValueError("llamafactory: image_min_pixels is more than image_max_pixels")
        return self


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Recipe:
    """Everything a run depends on. ``start`` is a model folder to continue from, or None with ``new`` given.

    Attributes:
        samples, truth, images: training files, truth files, the folder image paths are relative to (the file's own).
        conversation: template of the prompts; the start model's own unless given.
        output: folder of the run; one named after the recipe and the time under the data folder's runs unless given.
        projector: a published connector (``mm_projector.bin`` or a folder with one) to put in place of start's.
        max_length: positions of a conversation, image included; the language model's own unless given.
        too_long: what to do with longer ones.
        shared_patients: what to do where a patient is in the training and in the validation files.
        quantization: of the language model's frozen layers (QLoRA: Dettmers et al. 2023).
        dtype: what is computed in; what learns is kept in float32. "auto": bfloat16 on a GPU, else float32.
        gradient_checkpointing: compute activations again instead of keeping them; "auto": where memory demands it.
        modalities, languages: DICOM modalities of the images that the result reads, and languages (BCP 47) that it
            writes; those of the model it starts from unless given.
        llamafactory: given (it may be empty), LLaMA-Factory trains instead of this program's own trainer.
        demonstration: marks a model that shows the program and is not for reading radiographs; so is all it drafts.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,63}$")]
    samples: Annotated[Files, Field(min_length=1)]
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    conversation: str = ""
    output: Path | None = None
    truth: Files = ()
    images: Path | None = None
    validation: Validation | None = None
    start: Path | None = None
    projector: Path | None = None
    new: NewModel | None = None
    seed: int = 0
    max_length: Count | None = None
    too_long: Literal["refuse", "leave out"] = "refuse"
    shared_patients: Literal["refuse", "allow"] = "refuse"
    quantization: Literal["none", "int8", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    threads: Count | None = None
    license: str = ""
    modalities: Modalities = ()
    languages: Languages = ()
    llamafactory: Factory | None = None
    demonstration: bool | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.start is None) == (self.new is None):
            raise ValueError("give exactly one of 'start' (a model folder) and 'new' (the shapes of a new model)")
        if self.new is not None and not self.conversation:
            raise ValueError("'conversation' is missing: a new model has no template of its own")
        if any(stage.auxiliary.any for stage in self.stages) and not self.truth:
            raise ValueError("auxiliary losses need 'truth' files")
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("two stages have the same name")
        whole = [s.name for s in self.stages if "language_model" in s.train and s.lora is None]
        if self.quantization != "none" and whole:
            raise ValueError(f"quantised weights cannot learn: stage '{whole[0]}' needs 'lora'")
        seen = False
        for stage in self.stages:
            if seen and stage.lora is None and "language_model" in stage.train:
                raise ValueError("after a stage with 'lora' the language model learns through its factors alone")
            seen = seen or stage.lora is not None
        if len({(stage.lora.rank, stage.lora.alpha, stage.lora.rslora) for stage in self.stages if stage.lora}) > 1:
            raise ValueError("all stages with 'lora' share one rank and one alpha")
        if self.llamafactory is not None:
            self._fits_llamafactory()
        return self

    def _fits_llamafactory(self) -> None:
        """Raise ValueError for what LLaMA-Factory cannot do."""
        foreign = [key for key in ("new", "projector", "truth", "conversation") if getattr(self, key)]
        if foreign:
            raise ValueError(f"'{foreign[0]}' means nothing to LLaMA-Factory")
        if len(self.stages) > 1:
            raise ValueError("LLaMA-Factory trains one stage; start a second run from the first one's merged model")
        (stage,) = self.stages
        if not stage.text or stage.auxiliary.any:
            raise ValueError("LLaMA-Factory learns the words of the answers and nothing else")
        if stage.lora is not None and "connector" in stage.train:
            raise ValueError("LLaMA-Factory puts no LoRA on the connector: leave it or 'lora' out")
        if stage.optimiser == "muon":
            raise ValueError("'optimiser': LLaMA-Factory's Muon is another one; take adamw or an 8-bit one")
        if stage.connector_learning_rate is not None:
            raise ValueError("LLaMA-Factory has one learning rate: leave connector_learning_rate out")

    @property
    def lora(self) -> Lora | None:
        """The factors of the stages that have them."""
        return next((stage.lora for stage in self.stages if stage.lora is not None), None)


def read_recipe(path: Path) -> Recipe:
    """Parse and validate ``path``.

    Raises:
        UsageError: the file cannot be read or breaks the format; the message lists every fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The recipe {path} is not a text in UTF-8.") from error
    return parse_recipe(text, path.name)


def parse_recipe(text: str, name: str) -> Recipe:
    """A recipe's text; ``name`` is what a message calls it. Raises as ``read_recipe``."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"The recipe {name} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"The recipe {name} must be a YAML mapping of settings.")
    try:
        return TypeAdapter(Recipe).validate_python(document)
    except ValidationError as error:
        faults = dict.fromkeys(_fault(one) for one in error.errors())
        raise UsageError(f"The recipe {name} cannot be used: " + "; ".join(faults) + ".") from error


def _fault(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence in the words of the recipe."""
    steps = [step for step in error["loc"] if step != "lax-or-strict"]
    where = ", ".join(f"{step + 1}" if isinstance(step, int) else str(step) for step in steps[:-1])
    where = where.replace("stages, ", "stage ").replace("stages", "the stages")
    key = str(steps[-1]) if steps else ""
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    if kind == "missing":
        said = f"'{key}' is missing"
    elif kind in ("unexpected_keyword_argument", "extra_forbidden"):
        said = f"unknown setting '{key}'"
    elif kind == "value_error":
        said = message
    elif kind == "too_short":
        said = f"'{key}' is empty"
    else:
        said = f"'{key}': {message[0].lower()}{message[1:]}"
    return f"{where}: {said}" if where else said

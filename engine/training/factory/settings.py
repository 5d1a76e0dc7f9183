"""A recipe as LLaMA-Factory's own settings: the YAML that its command line would take.

What LLaMA-Factory would do otherwise and must not: split the training file at random for validation (the same patient
on both sides), cut long conversations silently, prepare pictures by torchvision where the viewer uses Pillow, choose
among checkpoints by the loss alone, report to the outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.training.recipe import Recipe, Stage

TEMPLATES = {"qwen2-vl": "qwen2_vl", "llava": "llava"}
"""Family -> LLaMA-Factory's template, which gives the pictures' processing; texts come as ids."""

_OPTIMISERS = {"adamw": "adamw_torch", "adamw_8bit": "adamw_bnb_8bit", "paged_adamw_8bit": "paged_adamw_8bit"}
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
LOG_EVERY = 5


def settings(
    recipe: Recipe, family: str, *, output: Path, tokenized: Path, room: int, cuda: bool, checkpointing: bool
) -> dict[str, Any]:
    """LLaMA-Factory's settings for a recipe with ``llamafactory``.

    Args:
        family: of the start model.
        output: folder of the stage.
        tokenized: folder of the prepared data.
        room: positions of the longest conversation.
        cuda: whether there is a GPU.
        checkpointing: whether activations are computed again instead of being kept.

    Raises:
        UsageError: a family that LLaMA-Factory is not used for here.
    """
    assert recipe.llamafactory is not None and recipe.start is not None
    if family not in TEMPLATES:
        raise UsageError(f"LLaMA-Factory trains {' and '.join(TEMPLATES)} here, not {family}: leave llamafactory out.")
    (stage,) = recipe.stages
    factory = recipe.llamafactory
    bfloat16 = recipe.dtype == "bfloat16" or (recipe.dtype == "auto" and cuda)
    return {
        "model_name_or_path": str(recipe.start.expanduser().absolute()),
        "trust_remote_code": False,
        "stage": "sft",
        "do_train": True,
        "template": TEMPLATES[family],
        "tokenized_path": str(tokenized),
        "dataset": "prepared",  # it wants a name, and reads tokenized_path
        "dataset_dir": str(tokenized.parent),
        "cutoff_len": room,  # nothing is longer: what would be was refused or left out
        "use_fast_tokenizer": False,  # pictures by Pillow, as for a draft
        "image_max_pixels": factory.image_max_pixels,
        "image_min_pixels": factory.image_min_pixels,
        "flash_attn": factory.flash_attn,
        **_parts(stage),
        **_quantisation(recipe.quantization),
        "bf16": bfloat16,
        "disable_gradient_checkpointing": not checkpointing,
        "output_dir": str(output),
        "per_device_train_batch_size": stage.batch_size,
        "per_device_eval_batch_size": stage.batch_size,
        "gradient_accumulation_steps": stage.accumulate,
        "num_train_epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "weight_decay": stage.weight_decay,
        "warmup_steps": stage.warmup,  # below 1 it is the share of the steps
        "lr_scheduler_type": _SCHEDULES[stage.schedule],
        "optim": _OPTIMISERS[stage.optimiser],
        "seed": recipe.seed,
        "use_cpu": not cuda,
        "logging_steps": LOG_EVERY,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # a loss that is no number is not to look like one
        **_moments(recipe, stage),
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
        "plot_loss": False,
        "report_to": "none",
        **factory.settings,
    }


def _parts(stage: Stage) -> dict[str, Any]:
    """What learns. With LoRA "all" are the linear layers of the parts that are not frozen."""
    frozen = {
        "freeze_vision_tower": "vision_tower" not in stage.train,
        "freeze_multi_modal_projector": "connector" not in stage.train,
        "freeze_language_model": "language_model" not in stage.train,
    }
    if stage.lora is None:
        return {"finetuning_type": "full", **frozen}
    return {
        "finetuning_type": "lora",
        "lora_rank": stage.lora.rank,
        "lora_alpha": int(stage.lora.alpha) if float(stage.lora.alpha).is_integer() else stage.lora.alpha,
        "lora_dropout": stage.lora.dropout,
        "use_rslora": stage.lora.rslora,
        "lora_target": "all",
        **frozen,
    }


def _quantisation(method: str) -> dict[str, Any]:
    if method == "none":
        return {}
    return {
        "quantization_bit": 4 if method == "nf4" else 8,
        "quantization_method": "bnb",
        "double_quantization": method == "nf4",
    }


def _moments(recipe: Recipe, stage: Stage) -> dict[str, Any]:
    """When it is validated and when a checkpoint is written; the worker keeps the newest and the best of them."""
    found: dict[str, Any] = {"save_strategy": "steps", "save_steps": stage.checkpoint_every, "save_total_limit": None}
    if recipe.validation is None:
        return {**found, "eval_strategy": "no"}
    found["eval_dataset"] = "prepared"  # of the same prepared data: other patients, by their own file
    if recipe.validation.every is None:
        return {**found, "eval_strategy": "epoch"}
    return {**found, "eval_strategy": "steps", "eval_steps": recipe.validation.every}

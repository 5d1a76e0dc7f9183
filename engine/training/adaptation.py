"""LoRA on a language model while it is trained, and the folder an adapter is written to.

The factors stand beside the frozen layers (peft puts them there), also where these are quantised. What is written is
peft's format as Libra and everybody else reads it, with the connector, where it was trained, as Libra writes it beside:
whole, in ``non_lora_trainables.bin``.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.adapters import CONFIG, FILES, PREFIX, TRAINED_BESIDE
from engine.models.libra import CONNECTOR
from engine.training.recipe import Lora

_ADAPTER = "default"
_FACTORS = ("lora_A", "lora_B")


def targets(language_model: nn.Module) -> list[str]:
    """The full names of all linear layers but the head: a suffix would hit the layers of a CLIP tower as well."""
    return [
        name
        for name, module in language_model.named_modules()
        if hasattr(module, "in_features") and hasattr(module, "out_features") and name != "lm_head"
    ]


def adapt(language_model: Any, lora: Lora) -> None:
    """Put factors on ``language_model``, in place. They are float32 and the only ones that learn there."""
    # peft imports bitsandbytes, which says then which kernels it has not found
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft's own scale is a division; a float serves
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=targets(language_model),
        bias="none",
    )
    inject_adapter_in_model(config, language_model, adapter_name=_ADAPTER)
    for name, parameter in language_model.named_parameters():
        if is_factor(name):
            parameter.data = parameter.data.float()


def is_factor(name: str) -> bool:
    """Whether a parameter of this name is a factor of an adapter."""
    return any(f".{part}." in name for part in _FACTORS)


def factors(language_model: nn.Module) -> dict[str, Tensor]:
    """The factors by their names in an adapter's file."""
    return {
        PREFIX + name.replace(f".{_ADAPTER}.", "."): parameter.detach()
        for name, parameter in language_model.named_parameters()
        if is_factor(name)
    }


def write_adapter(
    folder: Path, language_model: nn.Module, lora: Lora, base: str, connector: nn.Module | None
) -> tuple[str, ...]:
    """Write an adapter folder; the names of its weight files.

    Args:
        base: what the base is called in ``adapter_config.json``: a folder or a hub's id.
        connector: written whole beside the factors; None where it is the base's own.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in factors(language_model).items()}
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "use_rslora": lora.rslora,
        "bias": "none",
        "target_modules": sorted({name.removeprefix(PREFIX).split(".lora_")[0] for name in tensors}),
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    partial = folder / f".{FILES[0]}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(folder / FILES[0])
    if connector is None:
        return (FILES[0],)
    # Libra reads this one file with torch.load; it holds tensors alone and is read back without running any code.
    beside = {f"{PREFIX}{CONNECTOR}{name}": tensor.detach().cpu() for name, tensor in connector.state_dict().items()}
    partial = folder / f".{TRAINED_BESIDE}.partial"
    torch.save(beside, partial)
    partial.replace(folder / TRAINED_BESIDE)
    return FILES[0], TRAINED_BESIDE

"""Load a model of any family: its folder is examined first (recognition.py), tensors are read if nothing is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engine.errors import UsageError
from engine.models import families, quantisation, recognition
from engine.models.libra import LoadedLibra
from engine.models.loaded import LoadedModel, ModelInfo, Precision, Prompt
from engine.models.memory import memory_errors

__all__ = [
    "LoadedLibra",
    "LoadedModel",
    "ModelInfo",
    "Prompt",
    "choose_device",
    "choose_dtype",
    "load_model",
]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    path: str | Path,
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    merge: bool = True,
    dtype: str = "auto",
    quantization: str = "none",
    device: str = "auto",
    tower: str | Path | None = None,
    template: str | None = None,
) -> LoadedModel:
    """Load a model.

    Args:
        path: the model folder: a full checkpoint, or an adapter or a projector over a base.
        base: the base of an adapter or projector, instead of the one it names.
        adapter: an adapter folder to put on ``path``.
        merge: add an adapter to the weights instead of keeping it beside them.
        dtype: "float32", "bfloat16", "float16", "auto" or "fastest"; see choose_dtype.
        quantization: "int8" or "nf4" for the language model's layers, or "none".
        device: "cpu", "cuda" (or "cuda:1"), or "auto": the first GPU if there is one.
        tower: folder of the vision tower, instead of the one the checkpoint names.
        template: name of the conversation template, instead of the one the rules choose.

    Raises:
        ModelError: the folder cannot be used; ``problems`` lists everything wrong at once.
        ResourceError: it does not fit into memory.
        UsageError: an unknown dtype, quantisation, device or template.
    """
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    folder = recognition.examine(Path(path).expanduser(), base=base, adapter=adapter, tower=tower, template=template)
    folder.check()
    with memory_errors(f"There is not enough memory to load {folder.name}; a smaller dtype (bfloat16) needs less."):
        family = families.of(folder.config, folder.weights)
        assert family is not None  # or check would have raised
        return family.load(folder, Precision(place, kind, quantisation.check(quantization), merge))


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, else the CPU. Raises UsageError for one that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise UsageError(f"There is no device named {device!r}; use auto, cpu or cuda.") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("This machine has no GPU that PyTorch can use; use --device cpu.")
    if place.type not in ("cpu", "cuda"):
        raise UsageError(f"The device {device!r} is not supported; use auto, cpu or cuda.")
    return place


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype of that name. Raises UsageError for another one.

    "auto" is bfloat16 on a GPU and float32 on a CPU; "fastest" is bfloat16 as well on a CPU that computes in it.
    """
    if dtype == "fastest":
        return torch.bfloat16 if device.type == "cuda" or computes_in_bfloat16() else torch.float32
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"There is no dtype named {dtype!r}; use auto, fastest, {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def computes_in_bfloat16() -> bool:
    """Whether the processor has instructions for it (AVX512-BF16, AMX); without them it is slower than float32."""
    known: Any = torch.cpu
    return bool(known._is_avx512_bf16_supported() or known._is_amx_tile_supported())

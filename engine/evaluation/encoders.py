"""BERT-like encoders that scores need, read from a folder of the user's: configuration, tokenizer and weights.

The folder holds what transformers writes (``config.json``, the tokenizer's files, ``model.safetensors`` or
``pytorch_model.bin``). Tensors are read as tensors only; nothing in the folder is run and nothing is downloaded. Knows
no score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from engine.errors import ModelError
from engine.models import weights
from engine.models.weights import Weights

BATCH = 32
"""Texts that are read at once."""


def configuration(folder: Path, model_type: str) -> dict[str, Any]:
    """``config.json`` of a model of this type.

    Raises:
        ModelError: there is none, or it is of another type.
    """
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise ModelError(f"'{folder.name}' has no config.json that can be read.") from cause
    found = content.get("model_type") if isinstance(content, dict) else None
    if found != model_type:
        raise ModelError(f"'{folder.name}' is of the type {found!r}; this score needs one of the type '{model_type}'.")
    return dict(content)


def tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder. Raises ModelError where it cannot be read."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as cause:  # the libraries raise many kinds; each means the same to the user
        raise ModelError(f"'{folder.name}' has no tokenizer that can be read (tokenizer.json or vocab.txt).") from cause


def fill(model: nn.Module, found: Weights, name: str) -> None:
    """Put the tensors of ``found`` into a model as float32; those it has no place for are left out.

    Raises:
        ModelError: tensors are missing, of another shape or damaged.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    problems = (*found.problems, *found.contradictions(expected))
    if problems:
        raise ModelError(f"The weights of '{name}' cannot be used: {problems[0]}.", problems)
    put(model, weights.read(found, expected))


def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors that are known to fit, and make the model ready to read: float32, on a GPU where there is one."""
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    model.requires_grad_(False).eval().to("cuda" if torch.cuda.is_available() else "cpu")


def read(model: nn.Module, words: Any, texts: Sequence[str], most: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each different text with its token ids [tokens] and the encoder's last hidden states [tokens, width].

    Args:
        model: an encoder that takes ``input_ids`` and ``attention_mask``.
        words: its tokenizer.
        texts: may be empty and may repeat.
        most: tokens at most; what is longer is cut off.
    """
    device = next(model.parameters()).device
    # Long ones first, as long as each other: little is padded, and what does not fit into memory shows at once.
    different = sorted(set(texts), key=len, reverse=True)
    for begin in range(0, len(different), BATCH):
        some = different[begin : begin + BATCH]
        batch = words(some, padding=True, truncation=True, max_length=most, return_tensors="pt")
        ids, mask = batch["input_ids"], batch["attention_mask"]
        with torch.inference_mode():
            states = model(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state.cpu()
        for text, row, kept, state in zip(some, ids, mask.bool(), states, strict=True):
            yield text, row[kept], state[kept]

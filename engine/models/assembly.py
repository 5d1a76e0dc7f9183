"""What building a model of any family has in common: transformers' modules from our own objects and tensors.

transformers builds from configuration objects and the tensors we hand it: it opens no file of the folder, so nothing
in one can name code or another place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import ModelError
from engine.models import adapters, weights
from engine.models.loaded import ModelInfo, Precision
from engine.models.quantisation import quantise, values

if TYPE_CHECKING:
    from engine.models.recognition import ModelFolder

log = logging.getLogger(__name__)


def assemble(kind: Any, config: Any, state: Mapping[str, torch.Tensor], dtype: torch.dtype, what: str) -> Any:
    """A transformers model of ``kind`` with exactly these tensors; ModelError where one is missing or does not fit."""
    with quiet():
        model, report = kind.from_pretrained(
            None, config=config, state_dict=dict(state), dtype=dtype, output_loading_info=True,
            ignore_mismatched_sizes=True, attn_implementation="sdpa",
        )  # fmt: skip
    problems = [f"{what}: the tensor {name} is missing" for name in sorted(report["missing_keys"])]
    problems += [f"{what}: the tensor {item[0]} has the wrong shape" for item in report["mismatched_keys"]]
    if problems:
        raise ModelError(f"The model's weights do not fit its configuration: {problems[0]}.", tuple(problems))
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """transformers' progress bars and load reports off for the block: what matters of them is raised as ModelError."""
    from transformers.utils import logging

    hf_logging: Any = logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()


def settle(model: Any, layers: str, folder: ModelFolder, how: Precision) -> Any:
    """``model`` (transformers') with the folder's adapter on it and its language layers in their precision.

    Args:
        layers: name of the module that holds the language model's layers.
        how: an adapter is merged before the weights are quantised, or kept beside them afterwards.
    """
    if folder.adapter is not None and how.merge:
        model = adapters.apply(model, folder.adapter)
    quantise(model.get_submodule(layers), how.quantization, how.device)
    if folder.adapter is not None and not how.merge:
        model = adapters.apply(model, folder.adapter, merge=False)
    return model


def info(folder: ModelFolder, model: torch.nn.Module, how: Precision, more: tuple[Path, ...] = ()) -> ModelInfo:
    """What drafts say of the model built from ``folder``; ``more`` are weight files of another folder."""
    adapted = folder.adapter.weights.files if folder.adapter else ()
    found = ModelInfo(
        path=str(folder.path),
        name=folder.name,
        family=folder.family,
        sha256=weights.digest((*folder.weights.files, *adapted, *more)),
        dtype=str(how.dtype).removeprefix("torch."),
        quantization=how.quantization,
        parameters=sum(map(values, model.parameters())),
        demonstration=folder.demonstration,
        license=folder.license,
        conversation=folder.template,
        adapter=folder.adapter.folder.resolve().name if folder.adapter else "",
        modalities=folder.record.modalities,
        languages=folder.languages,
    )
    log.info("loaded model %s, %d parameters, %s", found.sha256[:12], found.parameters, found.dtype)
    return found


def check_tokenizer(tokenizer: Any, model: Any, image: str, image_id: int) -> None:
    """Raise ModelError where a tokenizer is not that of the model, whose image token ``image`` has the id given."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(f"The tokenizer has {len(tokenizer):,} tokens, the model has values for {rows:,} only.")
    if tokenizer.convert_tokens_to_ids(image) != image_id:
        raise ModelError(f"The tokenizer's {image} is not the model's image token, number {image_id}.")


def stop_ids(folder: ModelFolder, tokenizer: Any) -> tuple[int, ...]:
    """Ids that end an answer: of generation_config.json, else of config.json, else the tokenizer's."""
    generation: Any = {}
    for place in (folder.path, folder.tokenizer):
        try:
            generation = json.loads((place / "generation_config.json").read_text(encoding="utf-8-sig"))
            break
        except (OSError, ValueError, RecursionError):
            continue
    listed = generation.get("eos_token_id") if isinstance(generation, dict) else None
    for candidate in (listed, folder.config.get("eos_token_id"), tokenizer.eos_token_id):
        ids = candidate if isinstance(candidate, list) else [candidate]
        if ids and all(isinstance(i, int) and i >= 0 for i in ids):
            return tuple(ids)
    return ()

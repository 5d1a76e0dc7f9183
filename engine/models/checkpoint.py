"""Load a model folder, and write one in Libra's checkpoint format.

``load_model`` examines the folder first (recognition.py) and reads tensors only if nothing is wrong. transformers
builds tower and language model from our own configuration objects and the tensors we hand it: it opens no file of the
folder, so nothing in one can name code or another place. ``save_model`` writes what ``load_model`` reads, the tower
in a folder of its own inside the model's.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import ModelError, UsageError
from engine.models import conversation, recognition, tokens, weights
from engine.models.composite import TacModel
from engine.models.memory import memory_errors
from engine.models.preprocessing import ImageProcessor, Padding
from engine.models.recognition import CONNECTOR, TOWER, ModelFolder
from engine.models.tac import TemporalAlignmentConnector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOWER_FOLDER = "dinov2"
"""Libra tells the kind of a tower by its name, so the name says it."""


@dataclass(frozen=True)
class ModelInfo:
    """What a draft says about the model that wrote it.

    Attributes:
        path, name, family: where, what it is called, and "libra-tac".
        sha256: one hash over all weight files, the tower's included.
        dtype: "float32", "bfloat16" or "float16", as it runs.
        quantization: "none".
        parameters: values in tower, connector and language model together.
        demonstration: made to show the program, not to read radiographs.
        license: as far as known, else "".
        conversation: name of the template its prompts are written in.
    """

    path: str
    name: str
    family: str
    sha256: str
    dtype: str
    quantization: str
    parameters: int
    demonstration: bool
    license: str
    conversation: str


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to run, with all that belongs to it.

    Attributes:
        model: in evaluation mode on its device.
        tokenizer, processor, template: how its text, pictures and prompts are made.
        config: the checkpoint's configuration as it stands.
        stop_ids: ids that end an answer: the end of sequence of config.json or generation_config.json.
        image_marks: text around the image's place, ("", "") unless the checkpoint was trained with marks.
        warnings: sentences for the user.
    """

    model: TacModel
    tokenizer: PreTrainedTokenizerBase
    processor: ImageProcessor
    template: conversation.Template
    config: Mapping[str, Any]
    info: ModelInfo
    stop_ids: tuple[int, ...]
    image_marks: tuple[str, str]
    warnings: tuple[str, ...]


def load_model(
    path: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    tower: str | Path | None = None,
    template: str | None = None,
) -> LoadedModel:
    """Load a full checkpoint.

    Args:
        path: the model folder.
        dtype: "float32", "bfloat16", "float16", or "auto": bfloat16 on a GPU, else float32.
        device: "cpu", "cuda" (or "cuda:1"), or "auto": the first GPU if there is one.
        tower: folder of the vision tower, instead of the one the checkpoint names.
        template: name of the conversation template, instead of the one the rules choose.

    Raises:
        ModelError: the folder cannot be used; ``problems`` lists everything wrong at once.
        ResourceError: it does not fit into memory.
        UsageError: an unknown dtype, device or template.
    """
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    folder = recognition.examine(Path(path).expanduser(), tower=tower, template=template)
    folder.check()
    with memory_errors(f"There is not enough memory to load {folder.name}; a smaller dtype (bfloat16) needs less."):
        return _build(folder, place, kind)


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
    """The dtype of that name; "auto" is bfloat16 on a GPU and float32 on a CPU. Raises UsageError for another name."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"There is no dtype named {dtype!r}; use auto, {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def _build(folder: ModelFolder, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM

    assert folder.tower is not None and folder.tower.processor is not None
    entries = folder.weights.entries
    own_tower = bool(folder.config.get("unfreeze_mm_vision_tower")) and any(n.startswith(TOWER) for n in entries)
    connector_names = [name for name in entries if name.startswith(CONNECTOR)]
    tower_names = [name for name in entries if name.startswith("model.vision_tower.")]
    language_names = entries.keys() - {*connector_names, *tower_names}

    vision = (
        _strip(weights.read(folder.weights, [n for n in tower_names if n.startswith(TOWER)]), TOWER)
        if own_tower
        else weights.read(folder.tower.weights, folder.tower.weights.entries)
    )
    tower: Any = _assemble(
        Dinov2Model, Dinov2Config(**recognition.vision_config(folder.tower.config)), vision, dtype, "vision tower"
    )
    language: Any = _assemble(
        LlamaForCausalLM,
        LlamaConfig(**recognition.language_config(folder.config)),
        weights.read(folder.weights, language_names),
        dtype,
        "language model",
    )
    with torch.device("meta"):
        heads = recognition.connector_heads(folder.config)
        connector = TemporalAlignmentConnector(tower.config.hidden_size, language.config.hidden_size, heads)
    connector_tensors = _strip(weights.read(folder.weights, connector_names), CONNECTOR)
    # A copy, not a view: the file may be mapped, and fine-tuning writes in place.
    connector.load_state_dict({k: v.to(dtype, copy=True) for k, v in connector_tensors.items()}, assign=True)

    tokenizer = tokens.load_tokenizer(folder.path)
    marks = _add_tokens(tokenizer, folder.config)
    warnings = list(folder.warnings) + _fit_vocabulary(language, len(tokenizer))
    model = TacModel(tower, connector, language).to(device).eval()
    files = (*folder.weights.files, *(() if own_tower else folder.tower.weights.files))
    info = ModelInfo(
        path=str(folder.path),
        name=folder.name,
        family=folder.family,
        sha256=weights.digest(files),
        dtype=str(dtype).removeprefix("torch."),
        quantization="none",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        demonstration=folder.demonstration,
        license=folder.license,
        conversation=folder.template,
    )
    log.info("loaded model %s, %d parameters, %s on %s", info.sha256[:12], info.parameters, info.dtype, device)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        processor=folder.tower.processor,
        template=conversation.template(folder.template),
        config=folder.config,
        info=info,
        stop_ids=_stop_ids(folder, tokenizer),
        image_marks=marks,
        warnings=tuple(warnings),
    )


def _strip(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _assemble(kind: Any, config: Any, state: Mapping[str, torch.Tensor], dtype: torch.dtype, what: str) -> Any:
    """A transformers model of ``kind`` with exactly these tensors; ModelError where one is missing or does not fit."""
    with _quiet():
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
def _quiet() -> Iterator[None]:
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


def _add_tokens(tokenizer: Any, config: Mapping[str, Any]) -> tuple[str, str]:
    """Add the image tokens Libra's loader adds (its defaults where a field is absent); the marks around the image."""
    if config.get("mm_use_im_patch_token", True):
        tokenizer.add_tokens(["<im_patch>"], special_tokens=True)
    if not config.get("mm_use_im_start_end", False):
        return "", ""
    tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
    return "<im_start>", "<im_end>"


def _fit_vocabulary(language: Any, size: int) -> list[str]:
    """Give the language model as many rows as the tokenizer has tokens, as Libra's loader always does.

    Rows beyond the tokenizer's (padding of the vocabulary) are dropped. Rows that are missing are the mean of the
    others: Libra draws them at random, which would make two runs differ.
    """
    rows = language.get_input_embeddings().num_embeddings
    if size == rows:
        return []
    language.resize_token_embeddings(size, mean_resizing=False)
    if size < rows:
        return []
    with torch.no_grad():
        for layer in (language.get_input_embeddings(), language.get_output_embeddings()):
            layer.weight[rows:] = layer.weight[:rows].float().mean(dim=0).to(layer.weight.dtype)
    return [f"The tokenizer has {size - rows} tokens more than the model was trained with."]


def _stop_ids(folder: ModelFolder, tokenizer: Any) -> tuple[int, ...]:
    try:
        generation = json.loads((folder.path / "generation_config.json").read_text(encoding="utf-8-sig"))
        listed = generation.get("eos_token_id")
    except (OSError, ValueError, AttributeError, RecursionError):
        listed = None
    for candidate in (listed, folder.config.get("eos_token_id"), tokenizer.eos_token_id):
        ids = candidate if isinstance(candidate, list) else [candidate]
        if ids and all(isinstance(i, int) and i >= 0 for i in ids):
            return tuple(ids)
    return ()


def save_model(
    model: TacModel,
    tokenizer: PreTrainedTokenizerBase,
    processor: ImageProcessor,
    folder: str | Path,
    *,
    conversation: str,
    name: str,
    license: str = "",
    demonstration: bool = False,
) -> Path:
    """Write a model folder in Libra's checkpoint format, with the tower inside it, and return it.

    Writes config.json, generation_config.json, model.safetensors, the tokenizer's files, interval.json and ``dinov2/``.
    The same model gives the same bytes. The folder's other files are left alone.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    language = model.language_model
    state = {key: tensor for key, tensor in language.state_dict().items() if key.startswith(("model.", "lm_head."))}
    if language.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    state |= {CONNECTOR + key: tensor for key, tensor in model.connector.state_dict().items()}
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    partial = folder / f".model.{os.getpid()}.partial"
    save_file(state, partial, metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")

    with _quiet():
        model.vision_tower.save_pretrained(folder / TOWER_FOLDER)
        tokenizer.save_pretrained(folder)
    _write(folder / TOWER_FOLDER / "preprocessor_config.json", processor.to_config())
    _write(folder / "config.json", _libra_config(model, processor, len(tokenizer)))
    _write(
        folder / "generation_config.json",
        {"bos_token_id": language.config.bos_token_id, "eos_token_id": language.config.eos_token_id},
    )
    own = {
        "name": name,
        "conversation": conversation,
        "demonstration": demonstration,
        "license": license,
        "padding": processor.padding.value,
        "card": "README.md",
    }
    _write(folder / "interval.json", own)
    return folder


def _libra_config(model: TacModel, processor: ImageProcessor, vocabulary: int) -> dict[str, Any]:
    language = model.language_model.config
    fields = {key: getattr(language, key) for key in recognition.LANGUAGE_FIELDS}
    rope = dict(language.rope_parameters)
    theta = rope.pop("rope_theta")
    if model.connector.heads != language.num_attention_heads:
        fields["mm_tac_heads"] = model.connector.heads  # ours: in published models the two are the same
    return fields | {
        "architectures": ["LibraLlamaForCausalLM"],
        "model_type": "libra",
        "vocab_size": vocabulary,
        "rope_theta": theta,
        "rope_scaling": None if rope.get("rope_type", "default") == "default" else rope,
        "torch_dtype": str(model.language_model.dtype).removeprefix("torch."),
        "use_cache": True,
        "mm_vision_tower": TOWER_FOLDER,
        "mm_hidden_size": model.vision_tower.config.hidden_size,
        "mm_projector_type": "TAC",
        "mm_vision_select_layer": "all",
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "use_mm_proj": True,
        "image_aspect_ratio": "pad" if processor.padding is Padding.MEAN else "square",
        "tokenizer_padding_side": "right",
        "tokenizer_model_max_length": language.max_position_embeddings,
    }


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(dict(content), indent=2, sort_keys=True) + "\n", encoding="utf-8")

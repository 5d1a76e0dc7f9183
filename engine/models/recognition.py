"""What lies in a model folder, from its configuration and tensor names, and everything that is wrong with it at once.

Nothing is built and no tensor is read, so that looking is quick however large the model. What decides is
``model_type``, ``architectures`` and the names and shapes of the tensors; the folder's name decides nothing.
Supported so far: full checkpoints in Libra's format with a llama language model, the TAC connector and a DINOv2
tower. The rest is recognised and named.

A configuration is not trusted: only the fields listed here are ever passed on, so none can name code to run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.errors import ModelError, UsageError
from engine.models import catalogue, conversation, towers
from engine.models.preprocessing import Padding
from engine.models.tac import TemporalAlignmentConnector
from engine.models.tokens import TOKENIZER_FILES
from engine.models.weights import Weights, look

FAMILY = "libra-tac"
DEFAULT_CONVERSATION = "libra_v1"
CONNECTOR = "model.mm_projector."
TOWER = "model.vision_tower.vision_tower."
LANGUAGE_FIELDS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps", "pad_token_id", "bos_token_id",
    "eos_token_id", "tie_word_embeddings", "attention_bias", "attention_dropout", "mlp_bias", "head_dim",
)  # fmt: skip
VISION_FIELDS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps", "image_size", "patch_size", "num_channels",
    "qkv_bias", "layerscale_value", "drop_path_rate", "use_swiglu_ffn", "use_mask_token",
)  # fmt: skip

_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_MAX_LISTED = 20


@dataclass(frozen=True)
class ModelFolder:
    """One model folder, examined.

    Attributes:
        path, name: where, and what to call it: interval.json's name, the catalogue's, or the folder's.
        family: "libra-tac", or "" where it is nothing this program can use.
        config: the checkpoint's configuration as it stands.
        weights: the files' headers.
        tower: the vision tower, or None where it was not found.
        template: name of the conversation template, and ``template_basis``, why that one.
        license: as interval.json says; "" unknown.
        demonstration: made to show the program, not to read radiographs.
        problems: everything that keeps it from being used, one sentence each.
        warnings: what may be used but should be known.
    """

    path: Path
    name: str
    family: str
    config: Mapping[str, Any]
    weights: Weights
    tower: towers.Tower | None
    template: str
    template_basis: str
    license: str
    demonstration: bool
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def check(self) -> None:
        """Raise ModelError listing every problem, if there is one."""
        if self.problems:
            count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
            first = self.problems[0]
            raise ModelError(
                f"The model {self.name} cannot be used because of {count}: {first}.", problems=self.problems
            )


def examine(path: Path, *, tower: str | Path | None = None, template: str | None = None) -> ModelFolder:
    """Examine a model folder by its headers.

    Raises ModelError where there is no folder and UsageError for an unknown ``template``; all else is in ``problems``.
    """
    if template is not None:
        conversation.template(template)
    if not path.is_dir():
        raise ModelError(f"There is no model folder {path}.")
    problems: list[str] = []
    warnings: list[str] = []
    config = _read(path / "config.json", problems)
    own = _read(path / "interval.json", []) if (path / "interval.json").is_file() else {}
    published = catalogue.match(config)
    weights = look(path) if config else Weights()
    problems += _unsupported(path, config, weights)
    family = "" if problems else FAMILY
    found_tower = None
    if family:
        problems += weights.problems
        problems += _mismatches(config, weights)
        if not any((path / name).is_file() for name in TOKENIZER_FILES):
            problems.append(f"no tokenizer: one of {', '.join(TOKENIZER_FILES)} is missing")
        try:
            place = towers.find(str(config.get("mm_vision_tower") or ""), path, tower)
            found_tower = towers.examine(place, padding(config, own))
            problems += found_tower.problems
            problems += _tower_mismatches(config, found_tower)
        except ModelError as error:
            problems.append(str(error).rstrip("."))
    chosen, basis = _choose_template(template, own, published)
    if family and basis == "default":
        warnings.append(f"The conversation template is not known; {chosen} is assumed.")
    fallback = published.name if published else path.resolve().name
    return ModelFolder(
        path=path,
        name=str(own.get("name") or fallback)[:200],
        family=family,
        config=config,
        weights=weights,
        tower=found_tower,
        template=chosen,
        template_basis=basis,
        license=str(own.get("license") or "")[:200],
        demonstration=own.get("demonstration") is True,
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def language_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a LlamaConfig in a Libra configuration, with the rotary settings as transformers 5 has them."""
    fields = {key: config[key] for key in LANGUAGE_FIELDS if config.get(key) is not None}
    scaling = config.get("rope_scaling") or {}
    rope = {("rope_type" if key == "type" else key): value for key, value in scaling.items()}
    stored = config.get("rope_parameters")
    if isinstance(stored, Mapping):  # as transformers 5 writes it
        rope = dict(stored)
    rope.setdefault("rope_theta", config.get("rope_theta") or 10000.0)
    rope.setdefault("rope_type", "default")
    fields["rope_parameters"] = rope
    return fields


def vision_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Dinov2Config in a tower's configuration."""
    return {key: config[key] for key in VISION_FIELDS if config.get(key) is not None}


def connector_heads(config: Mapping[str, Any]) -> int:
    """Attention heads of the connector: those of the language model, unless our own trainer wrote another number."""
    return int(config.get("mm_tac_heads", config["num_attention_heads"]))


def padding(config: Mapping[str, Any], own: Mapping[str, Any]) -> Padding:
    """How a checkpoint's pictures become square: interval.json's ``padding``, else Libra's ``image_aspect_ratio``.

    Where that is absent it means "pad".
    """
    if own.get("padding") in list(Padding):
        return Padding(own["padding"])
    return Padding.MEAN if config.get("image_aspect_ratio", "pad") == "pad" else Padding.NONE


def _read(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problems.append(f"{file.name} is missing: this is not a model folder")
        return {}
    except (OSError, ValueError, RecursionError):
        problems.append(f"{file.name} is damaged")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{file.name} is damaged")
        return {}
    return content


def _unsupported(path: Path, config: Mapping[str, Any], weights: Weights) -> Iterator[str]:
    """Why this is not a model this program can use yet; the first reason decides, the rest would follow from it."""
    if (path / "adapter_config.json").is_file():
        yield "it is a LoRA adapter, and adapters are not supported yet"
        return
    if not config:
        return
    kind = str(config.get("model_type", ""))
    listed = config.get("architectures")
    architecture = str(listed[0]) if isinstance(listed, list) and listed else ""
    has_connector = any(name.startswith(CONNECTOR + "LFE") for name in weights.entries)
    if kind != "libra" and architecture != "LibraLlamaForCausalLM" and not (kind == "llama" and has_connector):
        name = architecture or kind or "without a name"
        yield f"the architecture {name} is not supported yet; Libra with a llama language model is"
        return
    projector = config.get("mm_projector_type")
    if projector != "TAC" and not has_connector:
        yield f"the projector {projector} is not supported yet; TAC is"
        return
    if not weights.files and any((path / name).is_file() for name in ("mm_projector.bin", "mm_tac_projector.bin")):
        yield "it holds a projector without a language model, which is not supported yet"
        return
    if config.get("quantization_config"):
        yield "its weights are stored quantised, which is not supported yet"
    if str(config.get("mm_vision_select_layer", "all")) != "all":
        yield "TAC needs all layers of the tower, but mm_vision_select_layer selects one"
    if config.get("mm_vision_select_feature", "patch") != "patch":
        yield "features with the class token (cls_patch) are not supported yet"
    if config.get("mm_use_im_start_end") and config.get("tune_mm_mlp_adapter"):
        yield "prompts with trained image start and end tokens are not supported yet"


def _mismatches(config: Mapping[str, Any], weights: Weights) -> list[str]:
    """Tensors that are missing or whose shape contradicts the configuration."""
    if not all(isinstance(config.get(key), int) and 0 < config[key] < 1 << 24 for key in _SIZES):
        return [f"config.json lacks one of {', '.join(_SIZES)}"]
    if weights.problems:
        return []  # a missing file explains its missing tensors
    try:
        expected = dict(_language_shapes(config)) | _connector_shapes(config)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        return [f"config.json contradicts itself: {error}"]
    problems = []
    missing = [name for name in expected if name not in weights.entries]
    for name in missing[:_MAX_LISTED]:
        problems.append(f"the tensor {name} is missing")
    if len(missing) > _MAX_LISTED:
        problems.append(f"{len(missing) - _MAX_LISTED} more tensors are missing")
    for name, shape in expected.items():
        entry = weights.entries.get(name)
        if entry is not None and entry.shape != shape:
            problems.append(f"{name} has the shape {list(entry.shape)}, the configuration says {list(shape)}")
    return problems[: 2 * _MAX_LISTED]


def _language_shapes(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or width // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    yield "model.embed_tokens.weight", (vocabulary, width)
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}."
        yield layer + "self_attn.q_proj.weight", (queries, width)
        yield layer + "self_attn.k_proj.weight", (keys, width)
        yield layer + "self_attn.v_proj.weight", (keys, width)
        yield layer + "self_attn.o_proj.weight", (width, queries)
        yield layer + "mlp.gate_proj.weight", (inner, width)
        yield layer + "mlp.up_proj.weight", (inner, width)
        yield layer + "mlp.down_proj.weight", (width, inner)
        yield layer + "input_layernorm.weight", (width,)
        yield layer + "post_attention_layernorm.weight", (width,)
    yield "model.norm.weight", (width,)
    if not config.get("tie_word_embeddings"):
        yield "lm_head.weight", (vocabulary, width)


def _connector_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        connector = TemporalAlignmentConnector(
            int(config.get("mm_hidden_size", 768)),
            config["hidden_size"],
            connector_heads(config),
        )
    return {CONNECTOR + name: tuple(tensor.shape) for name, tensor in connector.state_dict().items()}


def _tower_mismatches(config: Mapping[str, Any], tower: towers.Tower) -> Iterator[str]:
    width, expected = tower.config.get("hidden_size"), config.get("mm_hidden_size")
    if width is not None and expected is not None and width != expected:
        yield f"the vision tower is {width} wide, the connector expects {expected}"


def _choose_template(
    asked: str | None, own: Mapping[str, Any], published: catalogue.Published | None
) -> tuple[str, str]:
    """The template's name and why: the caller's wish, interval.json, the catalogue, else the family's default."""
    if asked is not None:
        return asked, "asked for"
    named = own.get("conversation")
    if isinstance(named, str):
        try:
            return conversation.template(named).name, "interval.json"
        except UsageError:
            pass  # written by a newer version; the next rule decides
    if published is not None:
        return published.conversation, "catalogue"
    return DEFAULT_CONVERSATION, "default"

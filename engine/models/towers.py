"""The vision tower a checkpoint names: where it is on this machine, what it is, and which of its features are used.

DINOv2 (RAD-DINO among them), CLIP and SigLIP towers, as transformers' classes. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import paths
from engine.errors import ModelError
from engine.models import configs, places
from engine.models.preprocessing import ImageProcessor, Padding
from engine.models.tac import LAYERS
from engine.models.weights import Weights, look

ALL = "all"
"""Of ``Selection.layer``: the features of every block."""


@dataclass(frozen=True)
class Kind:
    """A kind of tower: transformers' classes, and how its tensors are called in files.

    ``prefix`` stands before the names in files and not in the model; ``layer`` is what a block's names begin with;
    ``projection`` is the patches' embedding. ``class_token`` says whether the first position is no patch.
    """

    config: str
    model: str
    prefix: str
    layer: str
    projection: str
    class_token: bool


KINDS = {
    "dinov2": Kind(
        "Dinov2Config", "Dinov2Model", "", "encoder.layer.", "embeddings.patch_embeddings.projection.weight", True
    ),
    "clip_vision_model": Kind(
        "CLIPVisionConfig", "CLIPVisionModel", "vision_model.", "encoder.layers.", "embeddings.patch_embedding.weight",
        True,
    ),
    "siglip_vision_model": Kind(
        "SiglipVisionConfig", "SiglipVisionModel", "vision_model.", "encoder.layers.",
        "embeddings.patch_embedding.weight", False,
    ),
}  # fmt: skip
"""``model_type`` -> Kind. The whole CLIP and SigLIP models hold a tower as their ``vision_config``."""

WHOLE = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")


@dataclass(frozen=True)
class Selection:
    """Which of a tower's features a connector gets.

    Attributes:
        layer: ALL for every block's, or the index of one among the hidden states (0 is before the first block).
        class_token: keep the first position as well ("cls_patch").
        normed: the tower's own output, after its final layer norm, instead of a block's (MAIRA-2).
    """

    layer: str | int = ALL
    class_token: bool = False
    normed: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Selection:
        """From ``mm_vision_select_layer``, ``mm_vision_select_feature`` and ``use_maira_feature_norm``.

        Raises:
            ModelError: a value that means nothing.
        """
        layer = config.get("mm_vision_select_layer", ALL)
        feature = config.get("mm_vision_select_feature", "patch")
        try:
            chosen: str | int = ALL if str(layer) == ALL else int(layer)  # "-2" is published as a text
        except (TypeError, ValueError):
            raise ModelError(f"mm_vision_select_layer is {layer!r}, which names no layer") from None
        if feature not in ("patch", "cls_patch"):
            raise ModelError(f"mm_vision_select_feature is {feature!r}; patch and cls_patch are known")
        return cls(chosen, feature == "cls_patch", config.get("use_maira_feature_norm") is True)

    @property
    def layers(self) -> int:
        """Layers of features a connector gets."""
        return LAYERS if self.layer == ALL and not self.normed else 1

    def features(self, tower: Any, pixels: Tensor) -> Tensor:
        """Pixels ``[B, 3, height, width]`` -> features ``[B, layers, N, D]``."""
        return self.chosen(tower(pixels, output_hidden_states=True))

    def chosen(self, output: Any) -> Tensor:
        """The features ``[B, layers, N, D]`` in the output of a tower with all its hidden states.

        The first position is dropped unless the class token is wanted, also where a tower (SigLIP) has none: so the
        published models were trained.
        """
        chosen: Tensor
        if self.normed:
            chosen = output.last_hidden_state.unsqueeze(1)
        elif self.layer == ALL:
            chosen = torch.stack(output.hidden_states[1:], dim=1)
        else:
            chosen = output.hidden_states[self.layer].unsqueeze(1)
        return chosen if self.class_token else chosen[:, :, 1:]

    def patches(self, config: Any) -> int:
        """Image tokens N of a tower with this configuration object, for its own image size."""
        positions = int(config.image_size // config.patch_size) ** 2
        has_class_token = KINDS[config.model_type].class_token
        return positions + has_class_token - (not self.class_token)


@dataclass(frozen=True)
class Tower:
    """A tower's folder, kind, configuration, how pictures are prepared for it, its weights, and what is wrong.

    ``weights`` holds the tower's tensors alone, by the names they have in the model.
    """

    folder: Path
    kind: Kind | None
    config: Mapping[str, Any]
    processor: ImageProcessor | None
    weights: Weights
    problems: tuple[str, ...]

    def configuration(self) -> Any:
        """transformers' configuration object. Raises ModelError."""
        assert self.kind is not None
        return configs.make(self.kind.config, self.config, SIZES, "the vision tower's config.json")


def find(name: str, model: Path, override: str | Path | None = None) -> Path:
    """The folder of the tower ``name`` that the checkpoint in the folder ``model`` names, or ``override``.

    Raises ModelError that says what to add.
    """
    if override is not None:
        folder = Path(override).expanduser()
        if not places.is_model(folder):
            raise ModelError(f"There is no vision tower in {override}: a folder with a config.json is needed.")
        return folder
    if not name:
        raise ModelError("The model's config.json names no vision tower; name one with --tower.")
    found = places.find(name, model)
    if found is None:
        raise ModelError(
            f"The model needs the vision tower {name}, which is not on this machine. "
            f"Put its folder at {paths.models() / name} or name it with --tower."
        )
    return found


def examine(folder: Path, padding: Padding) -> Tower:
    """What lies in a tower's folder by its headers; never raises for what the files hold."""
    problems: list[str] = []
    config = _read_json(folder / "config.json", problems) or {}
    preprocessor = _read_json(folder / "preprocessor_config.json", problems)
    processor = None
    if preprocessor is not None:
        try:
            processor = ImageProcessor.from_config(preprocessor, padding)
        except ModelError as error:
            problems.append(str(error))
    named = str(config.get("model_type"))
    inner = config.get("vision_config") if named in WHOLE else config
    kind = KINDS.get(WHOLE.get(named, named))
    if config and (kind is None or not isinstance(inner, Mapping)):
        problems.append(f"vision towers of the kind {named!r} are not supported; DINOv2, CLIP and SigLIP are")
        return Tower(folder, None, config, processor, Weights(), tuple(problems))
    weights = look(folder)
    problems.extend(f"vision tower: {problem}" for problem in weights.problems)
    if kind is None:
        return Tower(folder, None, config, processor, weights, tuple(problems))
    own, inner = weights.under(kind.prefix), dict(inner or {})
    problems += _contradictions(kind, inner, own) if weights.entries else ()
    return Tower(folder, kind, inner, processor, own, tuple(problems))


def _contradictions(kind: Kind, config: Mapping[str, Any], weights: Weights) -> Iterator[str]:
    """What shows at a glance; transformers names single tensors otherwise than the files do, and tells when loading."""
    missing = [key for key in SIZES if not isinstance(config.get(key), int)]
    if missing:
        yield f"vision tower: config.json lacks {', '.join(missing)}"
        return
    width, patch, blocks = config["hidden_size"], config["patch_size"], config["num_hidden_layers"]
    entry = weights.entries.get(kind.projection)
    if entry is None:
        yield f"vision tower: the weights are not those of a {kind.model}"
        return
    if entry.shape != (width, config.get("num_channels", 3), patch, patch):
        yield f"vision tower: {kind.projection} has the shape {list(entry.shape)}, against config.json"
    held = {name.removeprefix(kind.layer).split(".")[0] for name in weights.entries if name.startswith(kind.layer)}
    if len(held) != blocks:
        yield f"vision tower: the weights hold {len(held)} blocks, config.json says {blocks}"


def model_class(kind: Kind) -> Any:
    """transformers' class of a tower."""
    import transformers

    return getattr(transformers, kind.model)


def _read_json(file: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, dict):
            return content
    except FileNotFoundError:
        problems.append(f"vision tower: {file.name} is missing")
        return None
    except (OSError, ValueError, RecursionError):
        pass
    problems.append(f"vision tower: {file.name} is damaged")
    return None

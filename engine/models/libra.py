"""Models in Libra's checkpoint format: what a folder must hold to be one, and building it.

A vision tower, a connector (TAC or a projector) and one of six language models; a full checkpoint, or a projector
alone over a plain language model. What a folder is and where its parts come from, recognition.py finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.errors import ModelError, UsageError
from engine.models import conversation, language, projectors, stored, tokens, towers, weights
from engine.models.assembly import assemble, info, settle, stop_ids
from engine.models.composite import LibraModel
from engine.models.demand import Demand, of_language_model
from engine.models.loaded import LoadedModel, Precision, Prompt
from engine.models.preprocessing import ImageProcessor, Padding, prepare
from engine.models.tac import LAYERS
from engine.models.weights import Weights

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.models.recognition import ModelFolder
    from engine.models.record import Record

CONNECTOR = "model.mm_projector."
TOWER = "model.vision_tower.vision_tower."
TOWER_APART = True


@dataclass(frozen=True, eq=False)
class LoadedLibra(LoadedModel):
    """A Libra model ready to run.

    Attributes:
        model: tower, connector and language model.
        processor, template: how its pictures and prompts are made.
        config: the checkpoint's configuration as it stands.
        image_marks: text around the image's place, ("", "") unless the checkpoint was trained with marks.
    """

    model: LibraModel
    processor: ImageProcessor
    template: conversation.Template
    config: Mapping[str, Any]
    image_marks: tuple[str, str]

    @property
    def language_model(self) -> Any:
        return self.model.language_model

    def ask(self, question: str, *, has_prior: bool, earlier: conversation.Turns = ()) -> tuple[str, list[int]]:
        """The same prompt with and without a prior: so the published models were trained."""
        prompt = conversation.render(self.template, question, self.image_marks, earlier)
        return prompt, tokens.encode_with_image(self.tokenizer, prompt)

    def see(self, picture: Image) -> Tensor:
        """What the connector keeps of one image, float32 ``[1, N, D]``."""
        pixels = torch.from_numpy(prepare(picture, self.processor))[None].to(self.device)
        with torch.inference_mode():
            return self.model.connector.extract(self.model.encode(pixels))

    def embed(self, ids: list[int], current: Tensor, prior: Tensor | None) -> Prompt:
        """Without a prior the current image stands in for it, as published."""
        with torch.inference_mode():
            image_tokens = self.model.connector.align(current, current if prior is None else prior)
            embeddings = self.model.embed(torch.tensor([ids], device=self.device), image_tokens)
        return Prompt(embeddings, boundary=ids.index(tokens.IMAGE_TOKEN) + image_tokens.shape[1])

    def positions(self, ids: list[int], sizes: Sequence[tuple[int, int]]) -> int:
        return len(ids) - 1 + self.model.patches


def family(config: Mapping[str, Any], found: Weights) -> str:
    """ "libra-tac", "libra" for other projectors, or "" where this is no model in Libra's format."""
    named = str(config.get("model_type", ""))
    ours = named == "libra" or named.startswith("libra_") or language.architecture(config).startswith("Libra")
    has_connector = any(name.startswith(CONNECTOR) for name in found.entries)
    if not (ours or (language.kind(config) and has_connector)):
        return ""
    return "libra-tac" if _projector(config, found) == "TAC" else "libra"


def canonical(name: str) -> str:
    """A tensor is called in files as in the model."""
    return name


def default_template(config: Mapping[str, Any]) -> tuple[str, bool]:
    """That of the published TAC models; the others were trained with many."""
    return "libra_v1", False


def problems(
    config: Mapping[str, Any], found: Weights, preprocessor: Mapping[str, Any] | None, record: Record
) -> Iterator[str]:
    """Everything that keeps a folder of this family from being used, its tower and its tokenizer aside."""
    kind = language.kind(config)
    if kind is None:
        name = language.architecture(config) or config.get("model_type")
        yield f"the architecture {name} is not supported; Libra with {', '.join(language.CLASSES)} is"
        return
    said = list(stored.problems(config, found))
    yield from said
    if said:
        return
    if config.get("mm_use_im_start_end") and config.get("tune_mm_mlp_adapter"):
        yield "prompts with trained image start and end tokens are not supported yet"
    if config.get("mm_vision_tower_config"):
        yield "OpenCLIP vision towers are not supported"
    projector = _projector(config, found)
    try:
        configured = language.configuration(kind, config)
        selection = towers.Selection.of(config)
        expected = language.outline(kind, configured) | {
            CONNECTOR + name: shape
            for name, shape in projectors.shapes(
                projector, int(config.get("mm_hidden_size", 768)), configured.hidden_size, connector_heads(config)
            ).items()
        }
    except ModelError as error:
        yield str(error)
        return
    except (TypeError, ValueError, ZeroDivisionError) as error:
        yield f"config.json contradicts itself: {error}"
        return
    if projector == "TAC" and selection.layers == 1:
        yield "TAC needs all layers of the tower, but mm_vision_select_layer selects one"
    if projector != "TAC" and selection.layers != 1:
        yield f"the projector {projector} needs one layer of the tower, but mm_vision_select_layer says all"
    if not found.problems:  # a missing file explains its missing tensors
        yield from found.contradictions(expected)


def tower_problems(config: Mapping[str, Any], tower: towers.Tower) -> Iterator[str]:
    """Why this tower is not the one the connector was made for."""
    width, expected = tower.config.get("hidden_size"), config.get("mm_hidden_size")
    if width is not None and expected is not None and width != expected:
        yield f"the vision tower is {width} wide, the connector expects {expected}"
    try:
        layer = towers.Selection.of(config).layer
    except ModelError:
        return  # said already
    blocks = tower.config.get("num_hidden_layers")
    if not isinstance(blocks, int):
        return
    if layer == towers.ALL and blocks != LAYERS:
        yield f"vision tower: TAC needs {LAYERS} blocks, config.json says {blocks}"
    elif isinstance(layer, int) and not -blocks - 1 <= layer <= blocks:
        yield f"vision tower: mm_vision_select_layer is {layer}, but there are {blocks} blocks"


def has_own_tower(config: Mapping[str, Any], found: Weights) -> bool:
    """Whether the tower among a checkpoint's own tensors is used, because it was trained, and not the one it names."""
    return bool(config.get("unfreeze_mm_vision_tower")) and any(name.startswith(TOWER) for name in found.entries)


def connector_heads(config: Mapping[str, Any]) -> int:
    """Attention heads of TAC: those of the language model, unless our own trainer wrote another number."""
    return int(config.get("mm_tac_heads", config["num_attention_heads"]))


def padding(config: Mapping[str, Any], record: Record) -> Padding:
    """How a checkpoint's pictures become square: interval.json's ``padding``, else Libra's ``image_aspect_ratio``.

    Where that is absent it means "pad".
    """
    if record.padding in list(Padding):
        return Padding(record.padding)
    return Padding.MEAN if config.get("image_aspect_ratio", "pad") == "pad" else Padding.NONE


def demand(folder: ModelFolder) -> Demand:
    """The sizes its memory follows from."""
    assert folder.tower is not None
    kind = language.kind(folder.config)
    assert kind is not None
    tower, selection = folder.tower.configuration(), towers.Selection.of(folder.config)
    patches = selection.patches(tower)
    inner = getattr(tower, "intermediate_size", None) or int(tower.hidden_size * tower.mlp_ratio)
    return Demand(
        **of_language_model(language.configuration(kind, folder.config)),
        images=patches,
        tower_width=tower.hidden_size,
        tower_inner=inner,
        tower_blocks=tower.num_hidden_layers,
        patches=patches,
        mixed=selection.layers if selection.layers > 1 else 0,
    )


def load(folder: ModelFolder, how: Precision) -> LoadedLibra:
    """Build the model of an examined folder without problems.

    Raises ModelError for damaged tensors, UsageError for another quantisation than the one it is stored in.
    """
    assert folder.tower is not None and folder.tower.processor is not None and folder.tower.kind is not None
    config, entries = folder.config, folder.weights.entries
    kind, kept = language.kind(config), stored.method(folder.weights)
    assert kind is not None
    if kept != "none" and how.quantization not in ("none", kept):
        raise UsageError(f"{folder.name} is stored in {kept} and runs in {kept} alone, not in {how.quantization}.")
    connector_names = [name for name in entries if name.startswith(CONNECTOR)]
    language_names = [
        name
        for name, entry in entries.items()
        if not name.startswith((CONNECTOR, "model.vision_tower.")) and not isinstance(entry, stored.Packed)
    ]

    own_tower = has_own_tower(config, folder.weights)
    vision = folder.weights.under(TOWER + folder.tower.kind.prefix) if own_tower else folder.tower.weights
    tower = assemble(
        towers.model_class(folder.tower.kind),
        folder.tower.configuration(),
        weights.read(vision, vision.entries),
        how.dtype,
        "vision tower",
    )
    text = assemble(
        language.model_class(kind),
        language.configuration(kind, config),
        weights.read(folder.weights, language_names) | stored.stand_ins(folder.weights, how.dtype),
        how.dtype,
        "language model",
    )
    if kept != "none":
        stored.put(text, folder.weights, how.device)
    with torch.device("meta"):
        connector = projectors.make(
            _projector(config, folder.weights), tower.config.hidden_size, text.config.hidden_size,
            connector_heads(config),
        )  # fmt: skip
    tensors = weights.read(folder.weights, connector_names)
    # A copy, not a view: the file may be mapped, and fine-tuning writes in place.
    state = {name.removeprefix(CONNECTOR): tensor.to(how.dtype, copy=True) for name, tensor in tensors.items()}
    connector.load_state_dict(state, assign=True)

    tokenizer = tokens.load_tokenizer(folder.tokenizer)
    marks = add_tokens(tokenizer, config)
    warnings = list(folder.warnings) + _fit_vocabulary(text, len(tokenizer))
    text = settle(text, "model.layers", folder, how if kept == "none" else replace(how, quantization="none"))
    model = LibraModel(tower, connector, text, towers.Selection.of(config)).to(how.device).eval()
    template = conversation.template(folder.template)
    return LoadedLibra(
        info=info(
            folder,
            model,
            how if kept == "none" else replace(how, quantization=kept),
            () if own_tower else folder.tower.weights.files,
        ),
        tokenizer=tokenizer,
        stop_ids=stop_ids(folder, tokenizer),
        stop_text=template.stop,
        warnings=tuple(warnings),
        model=model,
        processor=folder.tower.processor,
        template=template,
        config=config,
        image_marks=marks,
    )


def _projector(config: Mapping[str, Any], found: Weights) -> str:
    """The kind of connector; its tensors decide where the configuration says nothing."""
    named = config.get("mm_projector_type")
    if isinstance(named, str):
        return named
    return "TAC" if any(name.startswith(CONNECTOR + "LFE") for name in found.entries) else "linear"


def add_tokens(tokenizer: Any, config: Mapping[str, Any]) -> tuple[str, str]:
    """Add the image tokens Libra's loader adds (its defaults where a field is absent); the marks around the image."""
    if config.get("mm_use_im_patch_token", True):
        tokenizer.add_tokens(["<im_patch>"], special_tokens=True)
    if not config.get("mm_use_im_start_end", False):
        return "", ""
    tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
    return "<im_start>", "<im_end>"


def _fit_vocabulary(text: Any, size: int) -> list[str]:
    """Give the language model as many rows as the tokenizer has tokens, as Libra's loader always does.

    Rows beyond the tokenizer's (padding of the vocabulary) are dropped. Rows that are missing are the mean of the
    others: Libra draws them at random, which would make two runs differ.
    """
    rows = text.get_input_embeddings().num_embeddings
    if size == rows:
        return []
    text.resize_token_embeddings(size, mean_resizing=False)
    if size < rows:
        return []
    with torch.no_grad():
        for layer in (text.get_input_embeddings(), text.get_output_embeddings()):
            layer.weight[rows:] = layer.weight[:rows].float().mean(dim=0).to(layer.weight.dtype)
    return [f"The tokenizer has {size - rows} tokens more than the model was trained with."]

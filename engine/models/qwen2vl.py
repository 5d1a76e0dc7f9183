"""Qwen2-VL and Qwen2.5-VL: transformers' own model, a picture's size kept, positions in three dimensions.

Both the layout of the hub (a flat config.json, tensors ``visual.*`` and ``model.*``) and the one transformers 5 writes
(a ``text_config``; ``model.visual.*`` and ``model.language_model.*``) are read, in any mixture.

A picture becomes 28 x 28 pixels per image token, so its size decides what it costs: a film of 2544 x 3056 pixels would
take 9 900 positions. In training LLaMA-Factory first shrinks every picture to image_max_pixels, which interval.json
repeats; where it says nothing LLaMA-Factory's default holds, 768 x 768 (at most 750 positions), for models that were
trained elsewhere as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.models import configs, conversation, language, tokens, weights
from engine.models.assembly import assemble, check_tokenizer, info, settle, stop_ids
from engine.models.demand import FILM, Demand, of_language_model
from engine.models.loaded import LoadedModel, Precision, Prompt
from engine.models.preprocessing import Bounds, is_plain, three
from engine.models.qwen_pictures import last_size, resized
from engine.models.record import PIXELS
from engine.models.splicing import boundary, expand, splice
from engine.models.weights import Weights
from engine.models.wording import Wording

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.models.recognition import ModelFolder
    from engine.models.record import Record

TOWER_APART = False
IMAGE = "<|image_pad|>"
PLACE = f"<|vision_start|>{IMAGE}<|vision_end|>"
GAP = ""
"""Between a single image and the question."""


@dataclass(frozen=True)
class Kind:
    """A version: what transformers' class names begin with, its tower's sizes, and which of them its output has."""

    name: str
    sizes: tuple[str, ...]
    width: str

    @property
    def model(self) -> str:
        """transformers' class."""
        return f"{self.name}ForConditionalGeneration"


KINDS = {
    "qwen2_vl": Kind("Qwen2VL", ("depth", "embed_dim", "hidden_size", "num_heads"), "hidden_size"),
    "qwen2_5_vl": Kind(
        "Qwen2_5_VL", ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size"), "out_hidden_size"
    ),
}
STACKS = (
    configs.Stack("model.language_model.layers.", "text_config"),
    configs.Stack("model.visual.blocks.", "vision_config"),
)
TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")


@dataclass(frozen=True, eq=False)
class LoadedQwen2VL(LoadedModel):
    """A Qwen2-VL model ready to run.

    Attributes:
        processor: transformers' image processor.
        bounds: what a picture is resized to before it.
        template: how its prompts are made.
    """

    processor: Any
    bounds: Bounds
    template: conversation.Template

    @property
    def language_model(self) -> Any:
        return self.model

    def ask(self, question: str, *, has_prior: bool, earlier: conversation.Turns = ()) -> tuple[str, list[int]]:
        """One picture stands before the question without words, as in training; two are named."""
        prompt = conversation.render_labelled(
            self.template, question, PLACE, has_prior=has_prior, gap=GAP, earlier=earlier
        )
        return prompt, tokens.encode_whole(self.tokenizer, prompt, self.model.config.image_token_id)

    def see(self, picture: Image) -> Tensor:
        """The image tokens of one picture, row by row ``[rows, columns, H]``."""
        made = self.processor(images=[resized(picture, self.bounds)], return_tensors="pt").to(self.device)
        rows, columns = (made["image_grid_thw"][0, 1:] // self.processor.merge_size).tolist()
        with torch.inference_mode():
            output = self.model.get_image_features(made["pixel_values"], made["image_grid_thw"])
            seen: Tensor = output.pooler_output[0].view(rows, columns, -1)
        return seen

    def embed(self, ids: list[int], current: Tensor, prior: Tensor | None) -> Prompt:
        """The prior comes first, as in the prompt of ``ask``."""
        images = [current] if prior is None else [prior, current]
        image_id = self.model.config.image_token_id
        counts = [rows * columns for rows, columns, _ in (image.shape for image in images)]
        filled = expand(ids, counts, image_id)
        expanded = torch.tensor([filled], device=self.device)
        merge = self.processor.merge_size
        grids = torch.tensor([[1, image.shape[0] * merge, image.shape[1] * merge] for image in images])
        with torch.inference_mode():
            embeddings = splice(
                self.model.get_input_embeddings(), expanded, image_id, [image.flatten(0, 1) for image in images]
            )
            # Given by hand: without them the model counts in one dimension and says nothing.
            positions, ahead = self.model.model.get_rope_index(
                expanded, mm_token_type_ids=(expanded == image_id).int(), image_grid_thw=grids.to(self.device)
            )
        return Prompt(embeddings, positions, len(filled) + int(ahead), boundary=boundary(filled, image_id))

    def positions(self, ids: list[int], sizes: Sequence[tuple[int, int]]) -> int:
        ends = [last_size(size, self.bounds) for size in sizes]
        patches = sum(self.processor.get_number_of_image_patches(height, width) for width, height in ends)
        return len(ids) - len(sizes) + int(patches) // int(self.processor.merge_size) ** 2


def family(config: Mapping[str, Any], found: Weights) -> str:
    """ "qwen2-vl" or ""."""
    return "qwen2-vl" if _kind(config) is not None else ""


def canonical(name: str) -> str:
    """The hub's ``visual.x`` and ``model.x`` are the model's ``model.visual.x`` and ``model.language_model.x``."""
    if name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(("model.visual.", "model.language_model.")):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


def default_template(config: Mapping[str, Any]) -> tuple[str, bool]:
    """All of the family have one chat format."""
    return "qwen2_vl", True


def problems(
    config: Mapping[str, Any], found: Weights, preprocessor: Mapping[str, Any] | None, record: Record
) -> Iterator[str]:
    """Everything that keeps a folder of this family from being used, its tokenizer aside."""
    if config.get("quantization_config"):
        yield "its weights are stored quantised, which is not supported yet"
        return
    kind = _kind(config)
    assert kind is not None
    try:
        configured = configuration(config)
        expected = configs.outline(kind.model, configured, *STACKS)
    except ModelError as error:
        yield str(error)
    else:
        yield from _contradictions(kind, configured)
        if configured.tie_word_embeddings:
            expected.pop("lm_head.weight", None)
        if not found.problems:  # a missing file explains its missing tensors
            yield from found.contradictions(expected)
        if preprocessor is not None:
            yield from _unfit(preprocessor, configured.vision_config)


def configuration(config: Mapping[str, Any]) -> Any:
    """transformers' configuration object. Raises ModelError."""
    kind = _kind(config)
    assert kind is not None
    text, vision = config.get("text_config", config), config.get("vision_config")
    if not isinstance(text, Mapping) or not isinstance(vision, Mapping):
        raise ModelError("config.json lacks vision_config, or its text_config is damaged")
    outer = {key: config[key] for key in TOKENS if key in config}
    return configs.make(
        f"{kind.name}Config",
        outer
        | {
            "text_config": configs.make(f"{kind.name}TextConfig", text, language.SIZES),
            "vision_config": configs.make(
                f"{kind.name}VisionConfig", vision, kind.sizes, "the vision_config of config.json"
            ),
            "tie_word_embeddings": config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)),
        },
        (),
    )


def demand(folder: ModelFolder) -> Demand:
    """The sizes its memory follows from, for pictures as large as radiographs are."""
    assert folder.preprocessor is not None
    configured, processor = configuration(folder.config), _processor(folder.preprocessor)
    vision = configured.vision_config
    bounds = Bounds.stated(folder.record.image_min_pixels, folder.record.image_max_pixels)
    width, height = last_size(FILM, bounds)
    patches = int(processor.get_number_of_image_patches(height, width))
    tower_width = getattr(vision, "embed_dim", None) or vision.hidden_size
    return Demand(
        **of_language_model(configured.text_config) | {"tied": bool(configured.tie_word_embeddings)},
        images=2 * (patches // int(processor.merge_size) ** 2),
        tower_width=tower_width,
        tower_inner=getattr(vision, "intermediate_size", None) or int(tower_width * vision.mlp_ratio),
        tower_blocks=0,  # of its states only the last is kept
        patches=patches,
    )


def load(folder: ModelFolder, how: Precision) -> LoadedQwen2VL:
    """Build the model of an examined folder without problems. Raises ModelError for damaged tensors."""
    import transformers

    assert folder.preprocessor is not None
    kind = _kind(folder.config)
    assert kind is not None
    state = weights.read(folder.weights, folder.weights.entries)
    model = assemble(getattr(transformers, kind.model), configuration(folder.config), state, how.dtype, "model")
    tokenizer = tokens.load_tokenizer(folder.tokenizer)
    check_tokenizer(tokenizer, model, IMAGE, model.config.image_token_id)
    model = settle(model, "model.language_model.layers", folder, how).to(how.device).eval()
    template = conversation.template(folder.template)
    return LoadedQwen2VL(
        info=info(folder, model, how),
        tokenizer=tokenizer,
        stop_ids=stop_ids(folder, tokenizer),
        stop_text=template.stop,
        warnings=folder.warnings,
        model=model,
        processor=_processor(folder.preprocessor),
        bounds=Bounds.stated(folder.record.image_min_pixels, folder.record.image_max_pixels),
        template=template,
    )


def wording(folder: ModelFolder) -> Wording:
    """How its conversations become ids, of an examined folder without problems."""
    assert folder.preprocessor is not None
    processor = _processor(folder.preprocessor)
    bounds = Bounds.stated(folder.record.image_min_pixels, folder.record.image_max_pixels)

    def positions(width: int, height: int) -> int:
        columns, rows = last_size((width, height), bounds)
        return int(processor.get_number_of_image_patches(rows, columns)) // int(processor.merge_size) ** 2

    return Wording(
        tokens.load_tokenizer(folder.tokenizer), conversation.template(folder.template),
        place=PLACE, gap=GAP, image=IMAGE, positions=positions,
    )  # fmt: skip


def _kind(config: Mapping[str, Any]) -> Kind | None:
    named = language.architecture(config)
    by_architecture = next((kind for kind in KINDS.values() if kind.model == named), None)
    return by_architecture or KINDS.get(str(config.get("model_type", "")))


def _contradictions(kind: Kind, configured: Any) -> Iterator[str]:
    """What transformers would only meet while computing."""
    text, vision = configured.text_config, configured.vision_config
    width = getattr(vision, kind.width)
    if width != text.hidden_size:
        yield f"the vision tower's image tokens are {width} wide, the language model {text.hidden_size}"
    sections = text.rope_parameters.get("mrope_section")
    half = text.hidden_size // text.num_attention_heads // 2
    if not isinstance(sections, list) or len(sections) != 3 or sum(sections) != half:
        yield f"config.json: mrope_section must be three numbers whose sum is {half}, half the width of a head"


def _unfit(preprocessor: Mapping[str, Any], vision: Any) -> Iterator[str]:
    """What of the pictures' processing is not as the tower needs it, or not what this program can do."""
    try:
        processor = _processor(preprocessor)
        least, most = int(processor.size["shortest_edge"]), int(processor.size["longest_edge"])
    except (ValueError, TypeError, KeyError, AttributeError, ModelError):
        yield "preprocessor_config.json is not one this program can follow"
        return
    made = [processor.patch_size, processor.temporal_patch_size, processor.merge_size]
    needed = [vision.patch_size, vision.temporal_patch_size, vision.spatial_merge_size]
    if made != needed or not all(isinstance(number, int) and number > 0 for number in needed):
        yield f"preprocessor_config.json makes patches of {made}, the vision tower takes {needed}"
    if not 0 < least <= most or least > PIXELS[-1]:
        yield f"preprocessor_config.json: min_pixels {least} and max_pixels {most} cannot be met"


def _processor(preprocessor: Mapping[str, Any]) -> Any:
    """transformers' image processor that needs no torchvision, from the numbers of its file alone."""
    from transformers import Qwen2VLImageProcessorPil

    if not is_plain(preprocessor):
        raise ModelError("The preprocessor_config.json asks for steps this program does not support yet.")
    size = preprocessor.get("size") or {}
    edges = {
        "shortest_edge": preprocessor.get("min_pixels", size.get("shortest_edge", 56 * 56)),
        "longest_edge": preprocessor.get("max_pixels", size.get("longest_edge", 28 * 28 * 1280)),
    }
    fields: dict[str, Any] = {
        key: preprocessor[key] for key in ("patch_size", "temporal_patch_size", "merge_size") if key in preprocessor
    }
    fields |= {key: three(preprocessor[key]) for key in ("image_mean", "image_std") if key in preprocessor}
    return Qwen2VLImageProcessorPil(size=edges, **fields)

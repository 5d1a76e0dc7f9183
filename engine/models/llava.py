"""LLaVA-1.5 as transformers' own model: a CLIP tower, a perceptron and a llama or mistral, in the hf layout.

Tensors are read by the names of the hub's files (``language_model.model.*``, ``vision_tower.vision_model.*``), by those
transformers 5 writes, with or without a ``model.`` before them, and by those of its modules. LLaVA's original layout,
without a ``text_config``, is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.models import configs, conversation, language, tokens, towers, weights
from engine.models.assembly import assemble, check_tokenizer, info, settle, stop_ids
from engine.models.demand import Demand, of_language_model
from engine.models.loaded import LoadedModel, Precision, Prompt
from engine.models.preprocessing import Bounds, ImageProcessor, Padding, prepare
from engine.models.splicing import boundary, expand, splice
from engine.models.tokens import IMAGE_TEXT
from engine.models.weights import Weights
from engine.models.wording import Wording

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.models.recognition import ModelFolder
    from engine.models.record import Record

TOWER_APART = False
MODEL = "LlavaForConditionalGeneration"
GAP = "\n"
"""Between a single image and the question."""

TEXTS = ("llama", "mistral")
TOWER = "clip_vision_model"
STACKS = (
    configs.Stack("model.language_model.layers.", "text_config"),
    configs.Stack("model.vision_tower.encoder.layers.", "vision_config"),
)
_MOVED = (
    ("model.language_model.lm_head.", "lm_head."),
    ("model.language_model.model.", "model.language_model."),
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model.language_model."),
    ("language_model.", "model.language_model."),
    ("multi_modal_projector.", "model.multi_modal_projector."),
    ("vision_tower.vision_model.", "model.vision_tower."),
    ("vision_tower.", "model.vision_tower."),
    ("model.vision_tower.vision_model.", "model.vision_tower."),
)
"""What names of tensors and modules begin with in files and adapters, and in the model; the first that fits counts."""


@dataclass(frozen=True, eq=False)
class LoadedLlava(LoadedModel):
    """A LLaVA model ready to run.

    Attributes:
        processor, template: how its pictures and prompts are made.
        bounds: what a picture is resized to before the processor, where training did so; else None.
    """

    processor: ImageProcessor
    bounds: Bounds | None
    template: conversation.Template

    @property
    def language_model(self) -> Any:
        return self.model

    def ask(self, question: str, *, has_prior: bool, earlier: conversation.Turns = ()) -> tuple[str, list[int]]:
        """One picture stands on a line of its own before the question, as in training; two are named."""
        prompt = conversation.render_labelled(
            self.template, question, IMAGE_TEXT, has_prior=has_prior, gap=GAP, earlier=earlier
        )
        return prompt, tokens.encode_whole(self.tokenizer, prompt, self.model.config.image_token_id)

    def see(self, picture: Image) -> Tensor:
        """The image tokens of one picture, ``[N, H]``."""
        made = prepare(self.bounds.apply(picture) if self.bounds else picture, self.processor)
        pixels = torch.from_numpy(made)[None].to(self.device, self.model.dtype)
        with torch.inference_mode():
            seen: Tensor = self.model.get_image_features(pixels).pooler_output[0]
        return seen

    def embed(self, ids: list[int], current: Tensor, prior: Tensor | None) -> Prompt:
        """The prior comes first, as in the prompt of ``ask``."""
        images = [current] if prior is None else [prior, current]
        image_id = self.model.config.image_token_id
        filled = expand(ids, [len(image) for image in images], image_id)
        expanded = torch.tensor([filled], device=self.device)
        with torch.inference_mode():
            embeddings = splice(self.model.get_input_embeddings(), expanded, image_id, images)
        return Prompt(embeddings, boundary=boundary(filled, image_id))

    def positions(self, ids: list[int], sizes: Sequence[tuple[int, int]]) -> int:
        return len(ids) + len(sizes) * (_positions(self.model.config) - 1)


def family(config: Mapping[str, Any], found: Weights) -> str:
    """ "llava" or ""."""
    named = language.architecture(config)
    if named == MODEL or (not named and config.get("model_type") == "llava" and "text_config" in config):
        return "llava"
    return ""


def canonical(name: str) -> str:
    """The model's name for what files and adapters of other versions call otherwise."""
    for before, after in _MOVED:
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name


def default_template(config: Mapping[str, Any]) -> tuple[str, bool]:
    """LLaVA-1.5 is vicuna, a llama; over another language model the template is a guess."""
    text = config.get("text_config")
    return "vicuna_v1", isinstance(text, Mapping) and language.kind(text) == "llama"


def problems(
    config: Mapping[str, Any], found: Weights, preprocessor: Mapping[str, Any] | None, record: Record
) -> Iterator[str]:
    """Everything that keeps a folder of this family from being used, its tokenizer aside."""
    if config.get("quantization_config"):
        yield "its weights are stored quantised, which is not supported yet"
        return
    try:
        configured = configuration(config)
        expected = configs.outline(MODEL, configured, *STACKS)
    except ModelError as error:
        yield str(error)
    else:
        yield from _contradictions(configured)
        if configured.tie_word_embeddings:
            expected.pop("lm_head.weight", None)
        if not found.problems:  # a missing file explains its missing tensors
            yield from found.contradictions(expected)
        if preprocessor is not None:
            yield from _unfit(preprocessor, record, configured.vision_config)


def configuration(config: Mapping[str, Any]) -> Any:
    """transformers' configuration object. Raises ModelError."""
    text, vision = config.get("text_config"), config.get("vision_config")
    if not isinstance(text, Mapping) or not isinstance(vision, Mapping):
        raise ModelError("config.json lacks text_config or vision_config")
    kind = language.kind(text)
    if kind not in TEXTS:
        raise ModelError(f"LLaVA with the language model {text.get('model_type')!r} is not supported")
    if vision.get("model_type") != TOWER:
        raise ModelError(f"LLaVA with the vision tower {vision.get('model_type')!r} is not supported; CLIP is")
    fields = ("image_token_index", "projector_hidden_act", "vision_feature_select_strategy", "vision_feature_layer",
              "multimodal_projector_bias", "tie_word_embeddings")  # fmt: skip
    return configs.make(
        "LlavaConfig",
        {key: config[key] for key in fields if key in config}
        | {
            "text_config": language.configuration(kind, _completed(kind, text)),
            "vision_config": configs.make(
                towers.KINDS[TOWER].config, vision, towers.SIZES, "the vision_config of config.json"
            ),
        },
        (),
    )


def demand(folder: ModelFolder) -> Demand:
    """The sizes its memory follows from."""
    configured = configuration(folder.config)
    vision = configured.vision_config
    patches = int(vision.image_size // vision.patch_size) ** 2
    return Demand(
        **of_language_model(configured.text_config),
        images=2 * patches,
        tower_width=vision.hidden_size,
        tower_inner=vision.intermediate_size,
        tower_blocks=vision.num_hidden_layers,
        patches=patches,
    )


def load(folder: ModelFolder, how: Precision) -> LoadedLlava:
    """Build the model of an examined folder without problems. Raises ModelError for damaged tensors."""
    import transformers

    assert folder.preprocessor is not None
    state = weights.read(folder.weights, folder.weights.entries)
    model = assemble(
        transformers.LlavaForConditionalGeneration, configuration(folder.config), state, how.dtype, "model"
    )
    tokenizer = tokens.load_tokenizer(folder.tokenizer)
    check_tokenizer(tokenizer, model, IMAGE_TEXT, model.config.image_token_id)
    model = settle(model, "model.language_model.layers", folder, how).to(how.device).eval()
    template = conversation.template(folder.template)
    record = folder.record
    stated = record.image_max_pixels is not None or record.image_min_pixels is not None
    return LoadedLlava(
        info=info(folder, model, how),
        tokenizer=tokenizer,
        stop_ids=stop_ids(folder, tokenizer),
        stop_text=template.stop,
        warnings=folder.warnings,
        model=model,
        processor=_processor(folder.preprocessor, record),
        bounds=Bounds.stated(record.image_min_pixels, record.image_max_pixels) if stated else None,
        template=template,
    )


def wording(folder: ModelFolder) -> Wording:
    """How its conversations become ids, of an examined folder without problems."""
    each = _positions(configuration(folder.config))
    return Wording(
        tokens.load_tokenizer(folder.tokenizer), conversation.template(folder.template),
        place=IMAGE_TEXT, gap=GAP, image=IMAGE_TEXT, positions=lambda width, height: each,
    )  # fmt: skip


def _positions(config: Any) -> int:
    """Image tokens of a picture."""
    side = int(config.vision_config.image_size // config.vision_config.patch_size)
    return side * side + int(config.vision_feature_select_strategy == "full")  # which keeps the class token


def _completed(kind: str, text: Mapping[str, Any]) -> Mapping[str, Any]:
    """A ``text_config`` with the sizes it leaves out: published files say only what differs from transformers' own."""
    import transformers

    default = getattr(transformers, language.CLASSES[kind][0])()
    return {key: getattr(default, key) for key in language.SIZES} | dict(text)


def _contradictions(configured: Any) -> Iterator[str]:
    """What transformers would only meet while computing."""
    layers, blocks = configured.vision_feature_layer, configured.vision_config.num_hidden_layers
    for layer in layers if isinstance(layers, list) else [layers]:
        if not -blocks - 1 <= layer <= blocks:
            yield f"vision_feature_layer is {layer}, but there are {blocks} blocks"


def _unfit(preprocessor: Mapping[str, Any], record: Record, vision: Any) -> Iterator[str]:
    """What of the pictures' processing is not as the tower needs it, or not what this program can do."""
    try:
        crop = _processor(preprocessor, record).crop
    except ModelError as error:
        yield str(error).rstrip(".")
        return
    if crop != (vision.image_size, vision.image_size):
        yield f"preprocessor_config.json makes pictures of {list(crop)}, the vision tower takes {vision.image_size}"


def _processor(preprocessor: Mapping[str, Any], record: Record) -> ImageProcessor:
    """CLIP's: the sides are cut off unless the file or interval.json asks for a padding."""
    padding = Padding.MEAN if preprocessor.get("do_pad") is True else Padding.NONE
    if record.padding in list(Padding):
        padding = Padding(record.padding)
    return ImageProcessor.from_config(preprocessor, padding)

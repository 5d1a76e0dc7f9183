"""The settings of a recipe as a form has them: where each stands, what it is called, and what it does in plain words.

Every setting of the recipe's format is here, or in ELSEWHERE with the reason why it has no field. A setting that is not
in a recipe holds its default; a form shows that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from engine.evaluation import wordnet
from engine.evaluation.keys import KEYS, Key, describe
from trainer_ui.services.recipes import Place

Kind = Literal["text", "count", "number", "rate", "choice", "parts", "switch", "model", "training", "questions"]
"""How a setting is asked for: a "rate" is a small number, written as one would write it."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        place: below the recipe, or below a stage.
        label, help: what it is called, and what a reader who knows no training has to know of it.
        default: what holds where the recipe does not say; None where a recipe must, or need not, say.
        options: of a choice, value to words.
        empty: what an empty field means; "" where it may not be empty.
        advanced: whether its default is right for nearly everybody.
        needs: the setting without which it means nothing: "lora", "connector", "validation" or "llamafactory".
        foreign: whether it means nothing where LLaMA-Factory trains.
    """

    place: tuple[str, ...]
    label: str
    help: str
    kind: Kind
    default: Any = None
    options: Mapping[Any, str] = field(default_factory=dict)
    empty: str = ""
    advanced: bool = False
    needs: str = ""
    foreign: bool = False


PARTS = {
    "connector": "Connector: compares current and prior",
    "language_model": "Language model: writes the report",
    "vision_tower": "Vision tower: sees the image",
}

WHAT = (
    Setting(
        ("name",), "Name",
        "The run and the model that comes of it are called so. Letters, digits, - _ and . are allowed.",
        "text",
    ),
    Setting(
        ("start",), "Model to start from",
        "It keeps what it knows and learns from your reports. The model itself is not changed: what comes out is a new "
        "model, or a small adapter for this one.",
        "model",
    ),
    Setting(
        ("samples",), "Training file",
        "The images with their reports, captions or answers that the model learns from.",
        "training",
    ),
    Setting(
        ("validation", "questions"), "Validation file",
        "Questions with reports of patients that the model does not learn from. It answers them now and then, and what "
        "it writes decides which weights are the best. Keep a third file, of other patients again, for the evaluation.",
        "questions", empty="none: nobody will know which weights are the best",
    ),
    Setting(
        ("validation", "metric"), "The best is chosen by",
        "The weights with the best value are kept. Likeness of words (ROUGE-L, BLEU) is steady but does not ask what "
        "is true; findings and progression ask that and need some hundred questions to be steady.",
        "choice", default="ROUGE-L", needs="validation",
    ),
    Setting(
        ("validation", "patience"), "Early stop after (validations)",
        "It stops after so many validations without a better value: a model that no longer gets better begins to learn "
        "by heart. Empty: it always learns to the end.",
        "count", empty="never", needs="validation",
    ),
    Setting(
        ("quantization",), "Precision of the layers that do not learn",
        "In 4 or 8 bits a large model fits into a small GPU; it writes a little less well and learns no faster. It "
        "takes LoRA to learn on top of them.",
        "choice", default="none",
        options={"none": "full", "int8": "8 bits", "nf4": "4 bits (QLoRA)"},
    ),
)  # fmt: skip

STAGE = (
    Setting(
        ("train",), "What learns",
        "Parts that do not learn stay exactly as they are. With few reports of your own: the language model, by LoRA, "
        "and the connector where the images look different.",
        "parts", options=PARTS,
    ),
    Setting(
        ("lora",), "The language model learns by LoRA",
        "Small matrices beside its layers learn, and its own weights stay as they are: far less memory, less is "
        "forgotten, and the result is an adapter of some MB. Off: all of its weights learn.",
        "switch",
    ),
    Setting(
        ("lora", "rank"), "LoRA rank",
        "How much the matrices can hold: 8 to 16 for some hundred reports, 64 to 128 for many thousand.",
        "count", default=16, needs="lora",
    ),
    Setting(
        ("lora", "alpha"), "LoRA alpha",
        "How strongly what was learnt counts. Twice the rank is usual.",
        "number", default=32.0, needs="lora",
    ),
    Setting(
        ("epochs",), "Epochs",
        "How often every report is gone through. More than three to five only with very few reports.",
        "number",
    ),
    Setting(
        ("batch_size",), "Reports at once",
        "So many go through the model together. More are faster and take more memory.",
        "count",
    ),
    Setting(
        ("accumulate",), "Batches for a step",
        "The weights change after so many batches: this times the reports at once is what a step learns from. It takes "
        "no memory, so a small GPU takes few at once and gathers more. 16 in all is a good beginning.",
        "count", default=1,
    ),
    Setting(
        ("learning_rate",), "Learning rate",
        "How far a step moves the weights. Too high, and the model forgets how to write; too low, and it learns "
        "nothing. Usual: 0.0001 for LoRA, 0.00002 for all weights.",
        "rate",
    ),
    Setting(
        ("connector_learning_rate",), "Learning rate of the connector",
        "It may learn at a rate of its own beside the language model.",
        "rate", empty="the same", needs="connector", foreign=True,
    ),
)  # fmt: skip

ADVANCED = (
    Setting(("validation", "every"), "Validate every so many steps",
            "Often with few reports, so that the best moment is not missed. Each takes the time of its answers.",
            "count", empty="once an epoch", needs="validation"),
    Setting(("validation", "limit"), "Questions of a validation",
            "Only the first so many of the file are answered.", "count", default=100, needs="validation"),
    Setting(("validation", "max_new_tokens"), "Longest answer, tokens",
            "Longer answers are cut off there. A report has 100 to 250.", "count", default=256, needs="validation"),
    Setting(("max_length",), "Room of a conversation, tokens",
            "Image, question and report together.", "count", empty="what the model has"),
    Setting(("too_long",), "Longer conversations",
            "Nothing is ever cut off silently.", "choice", default="refuse",
            options={"refuse": "refuse to start", "leave out": "leave them out"}),
    Setting(("shared_patients",), "A patient in training and validation",
            "A model that is judged on patients it has learnt from looks better than it is.", "choice",
            default="refuse", options={"refuse": "refuse to start", "allow": "allow, and know it"}),
    Setting(("seed",), "Seed", "The same seed gives the same run on the same machine.", "count", default=0),
    Setting(("dtype",), "Computed in", "bfloat16 takes half the memory. What learns is kept in float32 in any case.",
            "choice", default="auto",
            options={"auto": "bfloat16 on a GPU, else float32", "float32": "float32", "bfloat16": "bfloat16"}),
    Setting(("gradient_checkpointing",), "Compute activations twice",
            "A third slower, and takes far less memory.", "choice", default="auto",
            options={"auto": "where memory demands it", "on": "always", "off": "never"}),
    Setting(("threads",), "Processor threads", "Fewer leave room for other work on this machine.", "count",
            empty="as many as there are"),
    Setting(("conversation",), "Conversation template", "How a question is put to the model.", "text", default="",
            empty="the model's own", foreign=True),
    Setting(("projector",), "Other connector", "A published mm_projector.bin, or the folder that holds it, in place of "
            "the model's own.", "text", empty="the model's own", foreign=True),
    Setting(("llamafactory", "image_max_pixels"), "Largest picture, pixels", "Larger ones are shrunk first. A picture "
            "costs one position for every 28 x 28 pixels: 589,824 are 750. It is stored with the result, and drafting "
            "does the same.", "count", default=589824, needs="llamafactory"),
    Setting(("llamafactory", "image_min_pixels"), "Smallest picture, pixels", "Smaller ones are enlarged first.",
            "count", default=1024, needs="llamafactory"),
    Setting(("llamafactory", "flash_attn"), "Attention", "How it is computed; all give the same but for rounding. "
            "FlashAttention has to be installed in LLaMA-Factory's environment.", "choice", default="auto",
            options={"auto": "the fastest there is", "sdpa": "PyTorch's own", "fa2": "FlashAttention 2",
                     "disabled": "plain"}, needs="llamafactory"),
    Setting(("llamafactory", "processes"), "GPUs", "So many processes train side by side, each on a GPU of its own.",
            "count", default=1, needs="llamafactory"),
    Setting(("license",), "Licence of the result", "As it stands on the card of the model that comes out.", "text",
            default="", empty="that of the start model"),
)  # fmt: skip

ADVANCED_STAGE = (
    Setting(("lora", "dropout"), "LoRA dropout", "A share of its input is left out at random, against learning by "
            "heart: 0.05 to 0.1 with few reports.", "number", default=0.0, needs="lora"),
    Setting(("lora", "rslora"), "LoRA scaled by the square root of its rank", "For ranks above 64.", "switch",
            default=False, needs="lora"),
    Setting(("weight_decay",), "Weight decay", "Pulls weights towards zero, a little at each step.", "number",
            default=0.01),
    Setting(("warmup",), "Warm-up", "The share of the steps over which the learning rate rises from zero.", "number",
            default=0.03),
    Setting(("schedule",), "Learning rate over time", "How it falls after the warm-up.", "choice", default="cosine",
            options={"cosine": "falls as a cosine", "linear": "falls evenly", "constant": "stays"}),
    Setting(("optimiser",), "Optimiser", "The 8-bit ones take less memory where many weights learn.", "choice",
            default="adamw",
            options={"adamw": "AdamW", "muon": "Muon", "adamw_8bit": "AdamW, 8 bits",
                     "paged_adamw_8bit": "AdamW, 8 bits, paged"}),
    Setting(("checkpoint_every",), "Checkpoint every so many steps",
            "From a checkpoint a run goes on after a power cut. One is written at a stop as well.", "count",
            default=200),
)  # fmt: skip

FACTORYS: Mapping[Place, Mapping[str, Any]] = {
    ("train",): {
        "help": "Parts that do not learn stay exactly as they are. With little data of your own: the language model, "
        "by LoRA; the vision tower as well where the images are of a kind it does not know. The connector can learn "
        "only where LoRA is off.",
        "options": {
            "connector": "Connector: hands the image over",
            "language_model": "Language model: writes the answer",
            "vision_tower": "Vision tower: sees the image",
        },
    },
    ("lora",): {
        "label": "These parts learn by LoRA",
        "help": "Small matrices beside the layers learn, and the model's own weights stay as they are: far less "
        "memory, less is forgotten, and the result is an adapter of some MB. Off: all weights of these parts learn.",
    },
    ("lora", "rank"): {
        "help": "How much the matrices can hold: 8 to 16 for some hundred captions or questions, 64 to 128 for many "
        "thousand.",
    },
    ("batch_size",): {"label": "Samples at once"},
    ("accumulate",): {
        "help": "The weights change after so many batches: this times the samples at once is what a step learns from. "
        "It takes no memory, so a small GPU takes few at once and gathers more. 16 in all is a good beginning.",
    },
    ("epochs",): {"help": "How often every sample is gone through. More than three to five only with very few."},
    ("optimiser",): {
        "options": {"adamw": "AdamW", "adamw_8bit": "AdamW, 8 bits", "paged_adamw_8bit": "AdamW, 8 bits, paged"}
    },
}
"""What is said otherwise of a setting where LLaMA-Factory trains, by its place: LoRA is on every part that learns, a
connector compares nothing, and not every optimiser is there."""

ELSEWHERE = {
    "stages": "a stage has a form of its own",
    "images": "goes with the training file that is chosen",
    "validation.images": "goes with the validation file that is chosen",
    "truth": "truth files exist for phantoms alone",
    "new": "a model from random weights is described in the YAML",
    "modalities": "goes with the start model, or is said in the YAML",
    "languages": "goes with the start model, or is said in the YAML",
    "llamafactory.settings": "anything else of LLaMA-Factory's is said in the YAML by its own names",
    "output": "every run gets a folder of its own",
    "demonstration": "goes with the start model",
    "stages.name": "a stage keeps the name it was given",
    "stages.text": "stages that learn no words are described in the YAML",
    "stages.auxiliary": "needs truth files",
}
"""Settings without a field, and why."""

_NEEDS_A_CHECKPOINT = ("Bert_score", "chexbert_", "radgraph_", "RG_ER", "radcliq_", "ratescore", "judge_")
LOSS = "loss"


def metrics() -> dict[str, str]:
    """The scores that can choose the best weights on this machine, each with its title and which way is better."""
    found = {
        name: f"{key.title}{'' if key.higher_is_better else ' (lower is better)'}"
        for name, key in KEYS.items()
        if key.higher_is_better is not None
        and "[" not in name
        and not name.startswith(_NEEDS_A_CHECKPOINT)
        and not (name == "METEOR" and wordnet.missing())
    }
    return {**found, LOSS: "Loss of the true reports (lower is better)"}


def about(metric: str) -> Key:
    """What a score of a run is; also the loss, and a function of the user's own."""
    if metric == LOSS:
        return Key(LOSS, "Loss", False, "", "How unlikely the model finds the true reports.")
    try:
        return describe(metric)
    except KeyError:
        return Key(metric, metric, True, "", "A score of your own.")


def shown(setting: Setting, parts: object, lora: bool, validated: bool, factory: bool = False) -> bool:
    """Whether a setting means anything beside what else a recipe says."""
    learns = parts if isinstance(parts, list | tuple) else ()
    needs = {
        "": True,
        "lora": lora and "language_model" in learns,
        "connector": "connector" in learns,
        "validation": validated,
        "llamafactory": factory,
    }
    if factory and setting.foreign:
        return False
    return needs[setting.needs] and (setting.place != ("lora",) or "language_model" in learns)


def worded(setting: Setting, factory: bool) -> Setting:
    """A setting in the words of whoever trains."""
    said = FACTORYS.get(setting.place) if factory else None
    return replace(setting, **said) if said else setting


def plainly(number: float) -> str:
    """A number as a person writes it: 0.00002, not 2e-05."""
    text = f"{Decimal(repr(float(number))):f}" if math.isfinite(number) else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def at(setting: Setting, stage: int | None) -> Place:
    """Where a setting stands, of a stage or of the recipe."""
    return setting.place if stage is None else ("stages", stage, *setting.place)

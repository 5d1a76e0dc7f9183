"""Makes a random checkpoint in Libra's format, from a seed.

Random weights decode well enough to measure if three things hold, and they are made to hold: answers depend on the
images and do not run into a loop (wide embeddings, layers that neither shrink nor blow up what passes through them),
the likeliest token leads clearly, so that rounding does not decide (a sharp head), and no answer ends before its last
token (the head's rows of control tokens are zero, which is far below the leading ones).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from engine.bench.sizes import Size
from engine.models import conversation
from engine.models.checkpoint import DTYPES
from engine.models.composite import LibraModel
from engine.models.preprocessing import ImageProcessor
from engine.models.saving import save_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE = "libra_v1"
SEED = 20_240_611
CONTROLS = ("<unk>", "<s>", "</s>")
SPACE = "\u2581"
WORDS = (
    "Provide a detailed description of the findings impression in the radiology image. Following clinical context: "
    "History: Indication: chest pain. cough fever dyspnea follow-up"
)
"""What the bench asks, beside the template's own words: they become pieces of their own, as in a trained vocabulary."""

GAIN = 1.5
BIAS = 0.2
SHARPNESS = 3.0
MEAN, STD = (0.5307,) * 3, (0.2583,) * 3
"""RAD-DINO's."""


def make(size: Size, folder: Path, device: str = "cpu") -> Path:
    """Write a checkpoint of this size into ``folder`` and return it. The same size gives the same values."""
    torch.manual_seed(SEED)
    before = torch.get_default_dtype()
    torch.set_default_dtype(DTYPES[size.dtype])
    try:
        with torch.device(device):
            model = LibraModel.from_config(
                dict(size.vision),
                {**size.language, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": False},
            )
            _draw(model)
    finally:
        torch.set_default_dtype(before)
    edge = size.vision["image_size"]
    processor = ImageProcessor(edge, (edge, edge), MEAN, STD)
    return save_model(
        model, tokenizer(size.language["vocab_size"]), processor, folder,
        conversation=TEMPLATE, name=f"bench-{size.name}", demonstration=True,
    )  # fmt: skip


@torch.no_grad()
def _draw(model: LibraModel) -> None:
    for name, values in model.named_parameters():
        if "layer_scale" in name or ("norm" in name and name.endswith("weight")):
            values.fill_(1.0)
        elif values.ndim < 2 or "bias" in name:
            nn.init.normal_(values, 0.0, BIAS)
        elif name.endswith("embed_tokens.weight"):
            nn.init.normal_(values)
        else:
            width = values[0].numel()
            gain = SHARPNESS if name.endswith("lm_head.weight") else GAIN
            nn.init.normal_(values, 0.0, gain / max(1, width) ** 0.5)
    model.language_model.lm_head.weight[: len(CONTROLS)] = 0.0


def tokenizer(size: int) -> PreTrainedTokenizerBase:
    """A tokenizer with exactly ``size`` pieces, so that the loader leaves the vocabulary as it is.

    Control tokens, bytes, printable ASCII, the words of the prompts with all their beginnings (which is how byte pairs
    merge to them), and made-up words up to the size.
    """
    from transformers import LlamaTokenizer

    base = [*CONTROLS, *(f"<0x{byte:02X}>" for byte in range(256)), SPACE, *map(chr, range(0x21, 0x7F))]
    if size < len(base):
        raise ValueError(f"a vocabulary needs at least {len(base)} pieces")
    pieces: dict[str, int] = {piece: number for number, piece in enumerate(base)}
    merges: list[tuple[str, str]] = []
    asked = conversation.template(TEMPLATE).layout.replace("<image>", " ").replace(conversation.QUESTION, WORDS)
    for word in dict.fromkeys(asked.split()):
        for end, letter in enumerate(word):
            beginning = SPACE + word[:end]
            if len(pieces) < size and beginning in pieces and beginning + letter not in pieces:
                merges.append((beginning, letter))
                pieces[beginning + letter] = len(pieces)
    for word in _made_up():
        if len(pieces) == size:
            break
        pieces.setdefault(word, len(pieces))
    # Typed loosely: transformers' own annotations lack these arguments.
    kind: Any = LlamaTokenizer
    made: PreTrainedTokenizerBase = kind(vocab=pieces, merges=merges, pad_token="<unk>", add_bos_token=True)
    return made


def _made_up() -> itertools.chain[str]:
    """Words of syllables, shortest first, without end for any vocabulary there is."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    return itertools.chain.from_iterable(
        (SPACE + "".join(word) for word in itertools.product(syllables, repeat=length)) for length in (2, 3, 4)
    )

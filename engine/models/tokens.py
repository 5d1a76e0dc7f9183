"""Prompts as token ids, with the slot of the image.

An image's place in ids is IMAGE_TOKEN (-200), which no tokenizer produces. In a prompt of Libra's it is the text
``<image>``; the text on either side is tokenised on its own, each time with the beginning-of-sequence id, and every
such id but the first is dropped: so the text after the image starts a fresh word, as it did when the published models
were trained. In other families' prompts it is a token of theirs and the prompt is tokenised as a whole.

The tokenizers are transformers'. Text that a person typed passes through ``as_plain_text`` first, so that it cannot
hold a control token or a second image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IMAGE_TOKEN = -200
IMAGE_TEXT = "<image>"

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""Any one of these makes a tokenizer."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a model folder. Raises ModelError when there is none or it cannot be read.

    transformers 5 builds the same fast tokenizer from ``tokenizer.json`` and from ``tokenizer.model``; a stored
    ``tokenizer_class`` of "PreTrainedTokenizer", which older versions wrote for some, names no class that can be
    built and is read as the fast one. The model's own config.json is kept out of it: it decides nothing here.
    """
    from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(f"{folder.name} has no tokenizer: one of {', '.join(TOKENIZER_FILES)} must be in the folder.")
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = {}
    except (OSError, ValueError) as error:
        raise ModelError(f"The tokenizer of {folder.name} cannot be read: tokenizer_config.json is damaged.") from error
    abstract = isinstance(settings, dict) and settings.get("tokenizer_class") == "PreTrainedTokenizer"
    try:
        kind: Any = PreTrainedTokenizerFast if abstract else AutoTokenizer
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(
            str(folder), config=PreTrainedConfig(), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever a damaged file provokes in transformers, sentencepiece or the Rust library
        raise ModelError(f"The tokenizer of {folder.name} cannot be read.") from error
    return tokenizer


def encode_with_image(tokenizer: Any, prompt: str) -> list[int]:
    """The ids of a prompt, with IMAGE_TOKEN where it says ``<image>``."""
    ids: list[int] = []
    for number, chunk in enumerate(prompt.split(IMAGE_TEXT)):
        chunk_ids = encode(tokenizer, chunk)
        if number:
            ids.append(IMAGE_TOKEN)
            if chunk_ids and chunk_ids[0] == tokenizer.bos_token_id:
                chunk_ids = chunk_ids[1:]
        ids.extend(chunk_ids)
    return ids


def encode_whole(tokenizer: Any, prompt: str, image_id: int) -> list[int]:
    """The ids of a prompt in which an image's place is a token of the tokenizer, with IMAGE_TOKEN for each.

    The prompt is tokenised as one text, as transformers' processors do.
    """
    ids: list[int] = tokenizer(prompt).input_ids
    return [IMAGE_TOKEN if i == image_id else i for i in ids]


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text with the tokenizer's own beginning and end.

    A SentencePiece model puts one space before any text; transformers' fast version leaves it out where the text begins
    with a space already. It is put back here, so that the ids are those the model was trained on.
    """
    ids: list[int] = tokenizer(_spaced(tokenizer, text)).input_ids
    return ids


def encode_with_spans(tokenizer: Any, text: str, *, spaced: bool = True) -> tuple[list[int], list[tuple[int, int]]]:
    """The ids of ``encode`` and where each stands in ``text``, as (first character, character after the last).

    ``spaced``: whether a space that the tokenizer leaves out is put back; ``encode_whole`` does not do so.
    What the tokenizer adds by itself stands nowhere: its two places are equal. Raises ModelError for a tokenizer that
    does not tell.
    """
    given = _spaced(tokenizer, text) if spaced else text
    found = tokenizer(given, return_offsets_mapping=True)
    ids, spans = found.input_ids, found.get("offset_mapping", ())
    if len(spans) != len(ids):
        raise ModelError("This tokenizer does not tell where its tokens stand in the text.")
    added = len(given) - len(text)
    return list(ids), [(max(0, begin - added), max(0, end - added)) for begin, end in spans]


def _spaced(tokenizer: Any, text: str) -> str:
    return " " + text if text.startswith(" ") and _prepends_space(tokenizer) else text


def _prepends_space(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    scheme = getattr(getattr(backend, "pre_tokenizer", None), "prepend_scheme", "never")
    return bool(scheme != "never")


def as_plain_text(tokenizer: Any, text: str) -> str:
    """``text`` with every control string in it broken by a space ("<image>" -> "< image>").

    Control strings are the image's place and the tokenizer's special and added tokens. What is left is ordinary words
    to the tokenizer, and still readable.
    """
    controls = {IMAGE_TEXT, *tokenizer.all_special_tokens}
    controls |= {str(token) for token in getattr(tokenizer, "get_added_vocab", dict)()}
    # Tokens with a space in them (runs of blanks in some vocabularies) control nothing, and a space would not break
    # them.
    breakable = sorted((c for c in controls if len(c) > 1 and len(c.split()) == 1 and c == c.strip()), key=len)
    while True:  # every pass leaves fewer control strings, but one may have hidden inside another
        before = text
        for control in breakable:
            text = text.replace(control, f"{control[0]} {control[1:]}")
        if text == before:
            return text

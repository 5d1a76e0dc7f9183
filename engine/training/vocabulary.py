"""A small vocabulary for a model that starts from nothing, in the file format Llama tokenizers are published in.

Byte-pair pieces with byte fallback: whatever a user types can be written down, however small the vocabulary is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

SETTINGS = {
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "clean_up_tokenization_spaces": False,
    "eos_token": "</s>",
    "legacy": False,
    "model_max_length": 2048,
    "pad_token": "<unk>",
    "padding_side": "right",
    "tokenizer_class": "LlamaTokenizer",
    "unk_token": "<unk>",
}


def learn_vocabulary(texts: Iterable[str], size: int, folder: Path) -> None:
    """Learn ``size`` pieces from ``texts`` and write ``tokenizer.model`` and its settings into ``folder``.

    The pieces depend on the texts and on nothing else, so that a recipe gives the same vocabulary again.
    """
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tokenizer.model").open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line for text in texts for line in text.splitlines() if line.strip()),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            byte_fallback=True,
            normalization_rule_name="identity",
            split_digits=True,
            add_dummy_prefix=True,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    (folder / "tokenizer_config.json").write_text(json.dumps(SETTINGS, indent=2) + "\n", encoding="utf-8")

"""Tiny random BERT and DistilBERT folders with the tokenizer of a few words."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertForMaskedLM, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "the heart is normal no small large left right effusion pleural edema new stable increased decreased unchanged "
    "pneumothorax nodule cardiomegaly . , ##s ##ly a of and lung opacity"
).split()


def tokenizer(folder: Path) -> None:
    """The tokenizer's files, as transformers writes them."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    made = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=made,
        **{f"{name.strip('[]').lower()}_token": name for name in SPECIAL},
    ).save_pretrained(folder)


def distilbert(folder: Path, layers: int = 6) -> Path:
    """A DistilBERT checkpoint as distilbert-base-uncased is published: with the head of its language model."""
    torch.manual_seed(3)
    config = DistilBertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), dim=16, n_layers=layers, n_heads=2, hidden_dim=24,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    DistilBertForMaskedLM(config).save_pretrained(folder)
    tokenizer(folder)
    return folder


def chexbert(folder: Path, *, wrapped: bool = True, legacy: bool = False) -> Path:
    """A CheXbert folder: BERT's configuration and tokenizer, and ``chexbert.pth`` as its training wrote it."""
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=32, initializer_range=0.7,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tokenizer(folder)
    state = {f"bert.{name}": tensor for name, tensor in BertModel(config).state_dict().items()}
    for head in range(14):
        size = 2 if head == 13 else 4
        state[f"linear_heads.{head}.weight"] = torch.randn(size, 16)
        state[f"linear_heads.{head}.bias"] = torch.randn(size)
    state["bert.embeddings.position_ids"] = torch.arange(32)[None]
    whole = {"epoch": 3, "model_state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(whole if wrapped else state, folder / "chexbert.pth", _use_new_zipfile_serialization=not legacy)
    return folder

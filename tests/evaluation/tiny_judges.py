"""Tiny random language models in folders, plain and as parts of models that draft."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import transformers

_MODELS = Path(__file__).resolve().parent.parent / "models"
sys.path[:0] = [str(_MODELS), str(_MODELS / "golden")]

import tiny_checkpoint  # noqa: E402
import tiny_multimodal  # noqa: E402

CONTROLS = ("<|im_start|>", "<|im_end|>")


def plain(folder: Path, *, room: int = 16384, **generation: object) -> Path:
    """A llama with the tokenizer of letters, and generation settings of its own."""
    folder.mkdir(parents=True)
    tiny_checkpoint.write_tokenizer(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(tiny_checkpoint.vocabulary()[0]) + len(CONTROLS), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=room, bos_token_id=1, eos_token_id=2,
        initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(4)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, **generation}))
    return folder


def chat_template(folder: Path, *, system: bool = True, text: str = "") -> Path:
    """Give a plain model a chat template; without ``system`` it refuses that role, as some do."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(CONTROLS)})
    refuse = "" if system else "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    turn = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    tokenizer.chat_template = text or f"{{% for m in messages %}}{refuse}{turn}{{% endfor %}}<|im_start|>assistant\n"
    tokenizer.save_pretrained(folder)
    return folder


def drafting(folder: Path, kind: str) -> Path:
    """A model that drafts, with room for a judge's instructions in letters."""
    if kind == "libra":
        made = tiny_checkpoint.build(folder)
    elif kind == "llava":
        made = tiny_multimodal.llava(folder)
    else:
        made = tiny_multimodal.qwen2vl(folder)
    file = made / "config.json"
    config = json.loads(file.read_text())
    config.get("text_config", config)["max_position_embeddings"] = 16384
    file.write_text(json.dumps(config))
    return made

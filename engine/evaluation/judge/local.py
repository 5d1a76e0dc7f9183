"""A judge from a folder of this machine: a plain causal language model, or the language part of a model that drafts.

Words are chosen greedily; nothing is downloaded and no code of the folder is run. Plain language models are read from
safetensors files alone. A model that drafts (Libra, LLaVA, Qwen2-VL) judges without an image, as a language model; it
is not made for that, and its figures should be held against people's grades before anybody believes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from engine.errors import ModelError
from engine.evaluation.judge.asking import Declined
from engine.evaluation.judge.verdict import Message
from engine.models import conversation, families, installed, weights
from engine.models.assembly import quiet
from engine.models.checkpoint import choose_device, choose_dtype, load_model
from engine.models.memory import memory_errors
from engine.models.tokens import as_plain_text, load_tokenizer

TOKENS = 512
"""Of a reply at most."""

SHORTEST = 32
"""Tokens that must be left for a reply."""

PLAIN = "{system}\n\n{user}\n\nReply:\n"
"""The prompt of a model that knows no conversation."""


class Local:
    """A judge from a folder.

    Args:
        place: the folder, or the name of an installed model.
        device, dtype: as in `load_model`.

    Raises:
        ModelError: there is no model that can be used. ResourceError: it does not fit into memory.
    """

    def __init__(self, place: str, device: str = "auto", dtype: str = "auto") -> None:
        folder = folder_of(place)
        found = weights.look(folder)
        self._template: conversation.Template | None = None
        self._stop = ""
        if families.of(_config(folder), found) is not None:
            loaded = load_model(folder, device=device, dtype=dtype)
            self._model, self._tokenizer = loaded.language_model, loaded.tokenizer
            self._template, self._stop = conversation.template(loaded.info.conversation), loaded.stop_text
            self._ends, digest = list(loaded.stop_ids), loaded.info.sha256
        else:
            self._model, self._tokenizer = _plain(folder, found, device, dtype)
            self._ends, digest = _ends(self._model, self._tokenizer), weights.digest(found.files)
        _forget_settings(self._model)
        text = getattr(self._model.config, "text_config", self._model.config)
        self._room = int(getattr(text, "max_position_embeddings", 0) or 0) or 4096
        self.id = f"{folder.resolve().name} {digest[:12]} {str(self._model.dtype)[6:]}"

    @property
    def warning(self) -> str:
        """Nothing need be said: no text leaves this process."""
        return ""

    def reply(self, messages: Sequence[Message]) -> str:
        """What it says. Raises Declined where the text does not fit."""
        ids = torch.tensor([self._ids(messages)], device=self._model.device)
        most = min(TOKENS, self._room - ids.shape[1])
        if most < SHORTEST:
            raise Declined("the text is longer than the judge can read")
        with torch.inference_mode(), memory_errors("There is not enough memory for the judge; take a smaller one."):
            made = self._model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, num_beams=1,
                eos_token_id=self._ends or None, pad_token_id=self._ends[0] if self._ends else 0,
            )  # fmt: skip
        said = str(self._tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
        return said.partition(self._stop)[0] if self._stop else said

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt; texts hold no control token of the model's."""
        clean = [{**one, "content": as_plain_text(self._tokenizer, one["content"])} for one in messages]
        if self._template is not None:
            return list(self._tokenizer(self._template_prompt(clean)).input_ids)
        first, second, *rest = clean
        if not getattr(self._tokenizer, "chat_template", None):
            user = "\n\n".join(one["content"] for one in (second, *rest))
            return list(self._tokenizer(PLAIN.format(system=first["content"], user=user)).input_ids)
        try:
            return self._chat(clean)
        except Exception:  # templates raise what they like for a role they do not know
            joined = {"role": "user", "content": f"{first['content']}\n\n{second['content']}"}
            try:
                return self._chat([joined, *rest])
            except Exception as cause:
                raise ModelError("The judge's chat template cannot be used.") from cause

    def _chat(self, messages: Sequence[Message]) -> list[int]:
        text = self._tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _template_prompt(self, messages: Sequence[Message]) -> str:
        """In the words of a model that drafts: what a judge is told stands before the first question."""
        assert self._template is not None
        system, *said = [one["content"] for one in messages]
        first = f"{system}\n\n{said[0]}"
        if len(said) == 1 or not self._template.again:
            return self._template.layout.replace(conversation.QUESTION, "\n\n".join([first, *said[1:]]))
        return conversation.dialogue(self._template, "", said[2], [(first, said[1])])


def folder_of(place: str) -> Path:
    """The folder that a word means. Raises ModelError where no whole model is there."""
    folder = installed.locate(place)
    if not (folder / "config.json").is_file():
        raise ModelError(f"There is no model to judge in '{place}': neither a folder with one nor installed.")
    return folder


def _plain(folder: Path, found: weights.Weights, device: str, dtype: str) -> tuple[Any, Any]:
    """A causal language model as transformers knows it."""
    from transformers import AutoModelForCausalLM

    if found.problems:
        raise ModelError(f"The judge '{folder.name}' cannot be used: {found.problems[0]}.", found.problems)
    if any(file.suffix != ".safetensors" for file in found.files):
        raise ModelError(f"The judge '{folder.name}' must have its weights as safetensors; other files may hold code.")
    place = choose_device(device)
    with quiet(), memory_errors(f"There is not enough memory for the judge '{folder.name}'; take a smaller one."):
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=choose_dtype(dtype, place), local_files_only=True, trust_remote_code=False,
                use_safetensors=True,
            )  # fmt: skip
        except (ValueError, KeyError, OSError, ImportError, TypeError, AttributeError) as cause:
            raise ModelError(
                f"The judge '{folder.name}' is no causal language model that can be loaded without code of its own."
            ) from cause
        return model.to(place).eval(), load_tokenizer(folder)


def _config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as cause:
        raise ModelError(f"The config.json of '{folder.name}' cannot be read.") from cause
    return content if isinstance(content, dict) else {}


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a reply."""
    said = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = said if isinstance(said, list) else [said]
    return list(dict.fromkeys(one for one in [*ids, tokenizer.eos_token_id] if isinstance(one, int)))


def _forget_settings(model: Any) -> None:
    """What the folder says of generating would be mixed in, and may not be greedy."""
    kind: Any = GenerationConfig
    model.generation_config = kind()

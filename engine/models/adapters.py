"""LoRA adapters: what lies in a peft folder, whether it fits a base model, and putting the two together.

An adapter folder is peft's (``adapter_config.json`` with ``adapter_model.safetensors`` or ``.bin``), also where Libra
or LLaMA-Factory wrote it. Libra adds ``non_lora_trainables.bin``: the connector it trained beside the adapter, whole.
Looking reads headers alone; tensors pass through weights.py, never through peft's own file reading.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.models import weights
from engine.models.weights import MAX_LISTED, Weights

CONFIG = "adapter_config.json"
FILES = ("adapter_model.safetensors", "adapter_model.bin")
TRAINED_BESIDE = "non_lora_trainables.bin"
PREFIX = "base_model.model."
_FACTOR = re.compile(r"\.lora_(?:(?P<side>[AB])|(?P<embedding>embedding_[AB])|magnitude_vector)(?:\.weight)?$")
_FIELDS = (
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "bias", "use_rslora", "use_dora",
    "rank_pattern", "alpha_pattern", "fan_in_fan_out", "layers_to_transform", "layers_pattern",
)  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """An adapter folder, examined.

    Attributes:
        base: the base model's name as training recorded it, "" where it did not.
        settings: the fields of peft's LoraConfig.
        weights: the factors, by peft's names ("base_model.model....lora_A.weight").
        beside: tensors of the base that were trained whole and stand beside the adapter, by the base's names.
        problems: everything wrong, one sentence each.
    """

    folder: Path
    base: str
    settings: Mapping[str, Any]
    weights: Weights
    beside: Weights
    problems: tuple[str, ...]

    def renamed(self, rename: Callable[[str], str]) -> Adapter:
        """The same adapter for a base whose modules have other names: ``rename`` gives the base's name for one.

        Names that training wrote as whole paths are changed; suffixes ("q_proj") and patterns mean the same as before.
        """
        settings = dict(self.settings)
        if isinstance(settings.get("target_modules"), list):
            settings["target_modules"] = [rename(str(name)) for name in settings["target_modules"]]
        for key in ("rank_pattern", "alpha_pattern"):
            if isinstance(settings.get(key), Mapping):
                settings[key] = {rename(str(name)): value for name, value in settings[key].items()}
        named = self.weights.renamed(lambda name: PREFIX + rename(name.removeprefix(PREFIX)))
        return replace(self, settings=settings, weights=named, beside=self.beside.renamed(rename))

    def misfits(self, expected: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Why the adapter does not belong on a base with these tensors (name -> shape): a sentence each."""
        problems = []
        for name, entry in self.weights.entries.items():
            target = name.removeprefix(PREFIX)
            factor = _FACTOR.search(target)
            if factor is None:
                continue
            shape = expected.get(target[: factor.start()] + ".weight")
            if shape is None:
                problems.append(f"adapter: the base has no {target[: factor.start()]}")
            elif factor["side"] and len(shape) == 2:
                width = shape[1] if factor["side"] == "A" else shape[0]
                found = entry.shape[1] if factor["side"] == "A" else entry.shape[0]
                if width != found:
                    problems.append(f"adapter: {target} is {found} wide, the base {width}")
        return problems[:MAX_LISTED]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a peft adapter."""
    return (folder / CONFIG).is_file()


def examine(folder: Path) -> Adapter:
    """What lies in an adapter folder by its headers; never raises for what the files hold."""
    problems: list[str] = []
    settings: dict[str, Any] = {}
    base = ""
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8-sig"))
        base = str(content.get("base_model_name_or_path") or "")
        settings = {key: content[key] for key in _FIELDS if content.get(key) is not None}
        if content.get("peft_type") != "LORA":
            problems.append(f"adapters of the kind {content.get('peft_type')!r} are not supported; LoRA is")
        if content.get("modules_to_save"):
            problems.append("adapters that carry whole modules (modules_to_save) are not supported")
        if not isinstance(settings.get("r"), int) or not settings.get("target_modules"):
            problems.append(f"{CONFIG} names no rank or no target modules")
    except FileNotFoundError:
        problems.append(f"{CONFIG} is missing: this is not an adapter's folder")
    except (OSError, ValueError, AttributeError, RecursionError):
        problems.append(f"{CONFIG} is damaged")
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    found = weights.look_at(file) if file else Weights(problems=(f"{FILES[0]} is missing",))
    beside = Weights()
    if (folder / TRAINED_BESIDE).is_file():
        whole = weights.look_at(folder / TRAINED_BESIDE)
        beside = whole.renamed(lambda name: name.removeprefix(PREFIX))
    problems += [*found.problems, *beside.problems]
    return Adapter(folder, base, settings, found, beside, tuple(problems))


def apply(model: Any, adapter: Adapter, *, merge: bool = True) -> Any:
    """``model`` (transformers') with the adapter on it.

    Args:
        model: the base; it is changed.
        merge: add the adapter to the weights, so that it costs nothing afterwards. Impossible on a base whose weights
            are quantised; there the adapter stays beside them in its own dtype.

    Raises:
        ModelError: the adapter's tensors do not all find a place.
    """
    # peft imports bitsandbytes, which says then which kernels it has not found
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    settings = dict(adapter.settings, lora_dropout=0.0)
    try:
        wrapped = get_peft_model(model, LoraConfig(**settings))
        outcome: Any = set_peft_model_state_dict(wrapped, weights.read(adapter.weights, adapter.weights.entries))
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise ModelError(f"The adapter {adapter.folder.name} does not fit this model: {error}.") from error
    homeless = list(outcome.unexpected_keys)
    absent = [name for name in outcome.missing_keys if "lora_" in name]
    if homeless or absent:
        problems = tuple(f"{name} has no place in this model" for name in homeless[:MAX_LISTED])
        problems += tuple(f"{name} is missing" for name in absent[:MAX_LISTED])
        raise ModelError(f"The adapter {adapter.folder.name} does not fit this model: {problems[0]}.", problems)
    return wrapped.merge_and_unload() if merge else wrapped.get_base_model()

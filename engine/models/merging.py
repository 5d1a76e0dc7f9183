"""An adapter added to the weights of its base, file by file: a model folder that needs neither of the two.

The sum is computed in float32, tensor by tensor, and rounded once to the dtype of the file, so that a model of any
size is merged in a few GB of memory, and a merged bfloat16 model is as near to base and adapter as bfloat16 can be.
Tensors keep the names they have in the base's files; so whatever loads the base loads the merged model. Models in
Libra's format can be written quantised as well (stored.py). Works on the folders of every family; knows nothing of how
well a model does.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelError, UsageError
from engine.models import places, provenance, quantisation, stored, weights
from engine.models.adapters import PREFIX, TRAINED_BESIDE, Adapter
from engine.models.contents import SMALL_FILES
from engine.models.language import LAYER
from engine.models.recognition import ModelFolder, examine
from engine.models.saving import TOWER_FOLDERS

SHARD = 4_000_000_000
"""Bytes of a weight file; a model that is larger has several."""

OWN = frozenset(
    {"interval.json", "training.json", "figures.json", "certificate.json", "evaluation.json", "adapter_config.json"}
)
"""Small files that speak of one model and not of those made from it."""

OF_ONE = ("sha256", "base_sha256", "source", "revision", "merged_from", "quantization", "promoted")
"""What interval.json says of one folder and not of a model made from it."""

Report = Callable[[int, int], None]
"""Called with the tensors done and their total."""


@dataclass(frozen=True)
class Merged:
    """What was written: the folder, and the folders it was made from."""

    folder: Path
    base: Path
    adapter: Path


def merge(
    base: str | Path | None,
    adapter: str | Path,
    output: Path,
    *,
    name: str = "",
    dtype: str = "auto",
    quantization: str = "none",
    report: Report = lambda done, total: None,
) -> Merged:
    """Write the model that ``adapter`` makes of ``base`` to the folder ``output``.

    Args:
        base: the base's folder; None for the one the adapter names.
        name: what to call it; the adapter's own name unless given.
        dtype: of the tensors in the file: "float32", "bfloat16", "float16", or "auto": each as the base has it.
        quantization: "nf4" or "int8" to write the language model's layers quantised, from their sum in that dtype.

    Raises:
        ModelError: the two cannot be used, or not together; ``problems`` lists why.
        UsageError: ``output`` holds something, there is no such dtype or quantisation, or the model has no layers that
            could be stored so.
    """
    wanted = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in wanted:
        raise UsageError(f"There is no dtype named {dtype!r}; use {', '.join(wanted)}.")
    quantisation.check(quantization)
    if output.exists() and any(output.iterdir()):
        raise UsageError(f"{output} is not empty. Choose another folder, or remove what is in it.")
    found = examine(Path(adapter).expanduser(), base=base)
    if found.adapter is None:
        raise UsageError(f"{Path(adapter).name} is not an adapter's folder; there is nothing to merge.")
    found.check()
    matrices = _to_be_quantised(found) if quantization != "none" else frozenset()
    below = found.tokenizer  # the folder of the base, which brings the tokenizer
    output.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _copy_small_files(below, partial)
        files = _write_weights(found, partial, wanted[dtype], _Quantisation(quantization, matrices), report)
        config = _settle_tower(found, below, partial)
        if dtype != "auto":
            config |= {"torch_dtype": dtype}
        if matrices:
            computed = found.weights.dtype if dtype == "auto" else dtype
            config["quantization_config"] = stored.configuration(quantization, computed, _skipped(found, matrices))
        (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        _record(found, below, partial, files, name, quantization)
        output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Merged(output, below, found.adapter.folder)


@dataclass(frozen=True)
class _Quantisation:
    """How the matrices of these names are stored."""

    method: str
    names: frozenset[str]


def _to_be_quantised(found: ModelFolder) -> frozenset[str]:
    if not found.family.startswith("libra"):
        raise UsageError(f"{found.name} cannot be written quantised; only models in Libra's format can.")
    entries = found.weights.entries.items()
    names = frozenset(name for name, entry in entries if stored.is_matrix(name, entry.shape))
    if not names:
        raise UsageError(f"{found.name} has no layers that can be stored quantised.")
    return names


def _skipped(found: ModelFolder, matrices: frozenset[str]) -> list[str]:
    """The modules that stay as they are, for other programs that read the folder."""
    others = (name for name in found.weights.entries if name.startswith(LAYER) and name not in matrices)
    layers = [name.removesuffix(".weight") for name in others if len(found.weights.entries[name].shape) == 2]
    return ["lm_head", "model.mm_projector", "model.vision_tower", *layers]


def _copy_small_files(below: Path, output: Path) -> None:
    for name in SMALL_FILES:
        if name not in OWN and (below / name).is_file():
            shutil.copyfile(below / name, output / name)


def _write_weights(
    found: ModelFolder, output: Path, dtype: torch.dtype | None, quantised: _Quantisation, report: Report
) -> list[str]:
    """The weight files written: one, or several with an index."""
    from safetensors.torch import save_file

    assert found.adapter is not None
    change = _Change(found.adapter)
    groups = list(_groups(found, dtype, quantised))
    sharded = len(groups) > 1
    where: dict[str, str] = {}
    files, total, done = [], sum(map(len, groups)), 0
    for number, group in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors" if sharded else "model.safetensors"
        tensors: dict[str, Tensor] = {}
        for name, place in group.items():
            tensor = weights.read(found.weights, [name])[name]
            # A copy: safetensors refuses two tensors of one memory, which tied or mapped ones may be.
            whole = change.apply(name, tensor).to(dtype or tensor.dtype, copy=True).contiguous()
            tensors |= stored.pack(place, whole, quantised.method) if name in quantised.names else {place: whole}
            done += 1
            report(done, total)
        where |= dict.fromkeys(tensors, file)
        save_file(tensors, output / file, metadata={"format": "pt"})
        files.append(file)
    unused = change.unused()
    if unused:
        raise ModelError(
            f"The adapter {found.adapter.folder.name} does not fit this model: {unused[0]} has no place.", tuple(unused)
        )
    if sharded:
        size = sum((output / file).stat().st_size for file in files)
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}
        (output / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return files


def _groups(found: ModelFolder, dtype: torch.dtype | None, quantised: _Quantisation) -> Iterator[dict[str, str]]:
    """Tensors of a file each: name in the model -> name in the file."""
    assert found.adapter is not None
    item = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
    group: dict[str, str] = {}
    size = 0.0
    for name, entry in found.weights.entries.items():
        each: float = dtype.itemsize if dtype is not None else item.get(entry.dtype, 1)
        bytes_ = prod(entry.shape) * (quantisation.BYTES[quantised.method] if name in quantised.names else each)
        if group and size + bytes_ > SHARD:
            yield group
            group, size = {}, 0
        beside = entry.file.name == TRAINED_BESIDE and entry.file.parent == found.adapter.folder
        group[name] = name if beside else entry.name
        size += bytes_
    yield group


class _Change:
    """What an adapter does to the tensors of its base, by their names."""

    def __init__(self, adapter: Adapter) -> None:
        self._settings = adapter.settings
        self._weights = adapter.weights
        self._names = {name.removeprefix(PREFIX): name for name in adapter.weights.entries}
        self._left = set(self._names)

    def apply(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor as the adapter has it, float32 where it is changed."""
        module = name.removesuffix(".weight")
        if f"{module}.lora_A.weight" in self._names:
            down, up = self._take(f"{module}.lora_A.weight"), self._take(f"{module}.lora_B.weight")
            return self._scaled(module, tensor.float(), up @ down, len(down))
        if f"{module}.lora_embedding_A" in self._names:
            down, up = self._take(f"{module}.lora_embedding_A"), self._take(f"{module}.lora_embedding_B")
            return tensor.float() + (up @ down).T * self._scale(module, len(down))
        return tensor

    def unused(self) -> list[str]:
        """Names of the adapter's tensors that changed nothing."""
        return sorted(self._left)

    def _take(self, name: str) -> Tensor:
        self._left.discard(name)
        place = self._names[name]
        tensor: Tensor = weights.read(self._weights, [place])[place].float()
        return tensor

    def _scaled(self, module: str, tensor: Tensor, product: Tensor, rank: int) -> Tensor:
        """W + s BA; with DoRA (Liu et al. 2024) its rows have the trained lengths."""
        if self._settings.get("fan_in_fan_out"):
            product = product.T
        moved = tensor + product * self._scale(module, rank)
        magnitude = next((f"{module}.lora_magnitude_vector{end}" for end in ("", ".weight")
                          if f"{module}.lora_magnitude_vector{end}" in self._names), None)  # fmt: skip
        if magnitude is None:
            return moved
        stretched: Tensor = moved * (self._take(magnitude) / moved.norm(dim=1)).unsqueeze(1)
        return stretched

    def _scale(self, module: str, rank: int) -> float:
        """alpha / r, or alpha / sqrt(r) with rsLoRA; some modules may have an alpha of their own."""
        patterns: Mapping[str, Any] = self._settings.get("alpha_pattern") or {}
        own = (value for key, value in patterns.items() if re.fullmatch(rf"(.*\.)?({key})", module))
        alpha = float(next(own, self._settings.get("lora_alpha", rank)))
        return float(alpha / (rank**0.5 if self._settings.get("use_rslora") else rank))


def _settle_tower(found: ModelFolder, below: Path, output: Path) -> dict[str, Any]:
    """The configuration, with a tower that the merged folder finds: named as before, or copied into it."""
    config = json.loads((below / "config.json").read_text(encoding="utf-8-sig"))
    if found.tower is None or found.tower.kind is None:
        return dict(config)
    name = str(config.get("mm_vision_tower") or "")
    inside = (below / name / "config.json").is_file() and not Path(name).is_absolute()
    if not inside and places.find(name, output) is not None:
        return dict(config)
    kept = name if inside else TOWER_FOLDERS[str(found.tower.config["model_type"])]
    folder = output / kept
    folder.mkdir(parents=True)
    for file in ("config.json", "preprocessor_config.json"):
        if (found.tower.folder / file).is_file():
            shutil.copyfile(found.tower.folder / file, folder / file)
    for weight_file in found.tower.weights.files:
        shutil.copyfile(weight_file, folder / weight_file.name)
    for index in found.tower.folder.glob("*.index.json"):
        shutil.copyfile(index, folder / index.name)
    return {**config, "mm_vision_tower": kept}


def _record(found: ModelFolder, below: Path, output: Path, files: list[str], name: str, quantization: str) -> None:
    """interval.json: what is known of base and adapter, the hashes of the new files and of those they were made of."""
    assert found.adapter is not None
    adapter = found.adapter.folder
    said = provenance.read(below) | provenance.read(adapter)
    kept = {key: value for key, value in said.items() if key not in OF_ONE}
    towers = [path.relative_to(output).as_posix() for path in output.glob("*/*.safetensors")]
    made_of = {
        "base": found.adapter.base or below.name,
        "base_sha256": provenance.hashes(below),
        "adapter": str(provenance.read(adapter).get("name") or adapter.name),
        "adapter_sha256": {
            file.name: provenance.digest(file, lambda size: None)
            for file in (*found.adapter.weights.files, *found.adapter.beside.files)
        },
    }
    own = str(said.get("name") or adapter.name)
    provenance.write(
        output, kept,
        name=name or (own if quantization == "none" else f"{own}-{quantization}"),
        license=found.license, conversation=found.template,
        sha256={file: provenance.digest(output / file, lambda size: None) for file in (*files, *towers)},
        base=made_of["base"], merged_from=made_of, card="README.md",
        quantization=quantization if quantization != "none" else "",
    )  # fmt: skip

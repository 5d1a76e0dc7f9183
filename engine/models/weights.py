"""Weight files: what they hold by their headers alone, their tensors, and one hash of them all.

Three layouts are read: one ``model.safetensors``, several with ``model.safetensors.index.json``, and the same two
with ``pytorch_model.bin``, which is unpickled for tensors only (``weights_only=True``). Looking (``look``) reads no
tensor and lists everything wrong instead of raising. This module knows names, shapes and bytes, not models.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import paths
from engine.errors import ModelError

LAYOUTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
"""In the order in which they are looked for."""

MAX_HEADER = 100_000_000
"""Bytes; the safetensors library's own limit."""

WHOLE_CHECK = 1 << 16
"""Tensors of at most this many elements are checked for NaN in full; larger ones by this many samples."""

_ITEM_SIZE = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
_DTYPE_WORDS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


MAX_LISTED = 20
"""Problems of one sort that are listed one by one."""


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its name there, its shape and its dtype in torch's word ("bfloat16")."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Weights:
    """What the headers of a folder's weight files say.

    Attributes:
        files: the weight files, in the order of their names.
        entries: tensor name -> Entry.
        problems: everything wrong, one sentence each.
    """

    files: tuple[Path, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of values."""
        return sum(prod(entry.shape) for entry in self.entries.values())

    @property
    def dtype(self) -> str:
        """The dtype most of the values have; "" for no tensors."""
        counts: Counter[str] = Counter()
        for entry in self.entries.values():
            counts[entry.dtype] += prod(entry.shape)
        return counts.most_common(1)[0][0] if counts else ""

    def renamed(self, rename: Callable[[str], str | None]) -> Weights:
        """The same tensors under other names; those for which ``rename`` gives None are left out."""
        named = ((rename(name), entry) for name, entry in self.entries.items())
        return replace(self, entries={name: entry for name, entry in named if name is not None})

    def under(self, prefix: str) -> Weights:
        """The tensors whose names begin with ``prefix``, named without it."""
        return self.renamed(lambda name: name.removeprefix(prefix) if name.startswith(prefix) else None)

    def overlaid(self, other: Weights) -> Weights:
        """These tensors, and where ``other`` has one of the same name, that one instead; problems of both."""
        return Weights(
            files=(*self.files, *(file for file in other.files if file not in self.files)),
            entries={**self.entries, **other.entries},
            problems=(*self.problems, *other.problems),
        )

    def contradictions(self, expected: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Which of the tensors ``expected`` (name -> shape) are missing or have another shape; a sentence each."""
        missing = [name for name in expected if name not in self.entries]
        problems = [f"the tensor {name} is missing" for name in missing[:MAX_LISTED]]
        if len(missing) > MAX_LISTED:
            problems.append(f"{len(missing) - MAX_LISTED} more tensors are missing")
        for name, shape in expected.items():
            entry = self.entries.get(name)
            if entry is not None and entry.shape != shape:
                problems.append(f"{name} has the shape {list(entry.shape)}, the configuration says {list(shape)}")
        return problems[: 2 * MAX_LISTED]


def look(folder: Path) -> Weights:
    """The weights of a folder by their headers; never raises for what the files hold."""
    layout = next((name for name in LAYOUTS if (folder / name).is_file()), None)
    if layout is None:
        return Weights(problems=("no weights: model.safetensors or pytorch_model.bin is missing",))
    if not layout.endswith(".index.json"):
        return look_at(folder / layout)
    return _look_sharded(folder, layout)


def look_at(file: Path) -> Weights:
    """The weights of one file by its header; never raises for what it holds."""
    entries, problems = _header(file)
    return Weights((file,), entries, problems)


def read(weights: Weights, names: Iterable[str]) -> dict[str, Tensor]:
    """The named tensors on the CPU in their stored dtype; safetensors are mapped, not copied.

    Raises ModelError when a file cannot be read or a sample of its values is not finite.
    """
    wanted: dict[Path, dict[str, str]] = {}
    for name in names:
        entry = weights.entries[name]
        wanted.setdefault(entry.file, {})[name] = entry.name
    tensors: dict[str, Tensor] = {}
    for file, group in wanted.items():
        try:
            stored = _tensors(file, list(group.values()))
            tensors.update((name, stored[there]) for name, there in group.items())
        except Exception as error:  # the libraries raise many kinds; each means the same to the user
            raise ModelError(f"The weights in {file.name} cannot be read.") from error
    broken = [name for name, tensor in tensors.items() if not looks_finite(tensor)]
    if broken:
        raise ModelError(
            "The model's weights hold values that are not numbers; the files are damaged or the training failed.",
            problems=tuple(f"{name} holds values that are not finite" for name in broken),
        )
    return tensors


def looks_finite(tensor: Tensor) -> bool:
    """Whether no NaN or infinity is among the values looked at: all of a small tensor, a sample of a large one."""
    if not tensor.is_floating_point():
        return True
    flat = tensor.reshape(-1)
    step = max(1, flat.numel() // WHOLE_CHECK)
    return bool(torch.isfinite(flat[::step]).all())


def digest(files: Iterable[Path]) -> str:
    """One sha256 over the sha256 of each file in turn, as hex. Known hashes are kept in the data folder's cache.

    A kept hash is used while the file's path, size and modification time are the same.
    """
    cache_file = paths.home() / "cache" / "weight-hashes.json"
    cache = _read_cache(cache_file)
    whole, changed = hashlib.sha256(), False
    for file in files:
        stat = file.stat()
        key = f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        if key not in cache:
            with file.open("rb") as stream:
                cache[key] = hashlib.file_digest(stream, "sha256").hexdigest()
            changed = True
        whole.update(bytes.fromhex(cache[key]))
    if changed:
        _write_cache(cache_file, cache)
    return whole.hexdigest()


def _look_sharded(folder: Path, layout: str) -> Weights:
    try:
        weight_map = json.loads((folder / layout).read_text(encoding="utf-8"))["weight_map"]
        where = {str(name): str(file) for name, file in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Weights(problems=(f"{layout} is damaged",))
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    files: list[Path] = []
    for shard in sorted(set(where.values())):
        file = folder / shard
        if Path(shard).name != shard:
            problems.append(f"{layout} names a file outside the folder")
        elif not file.is_file():
            problems.append(f"the weight file {shard} is missing")
        else:
            found, wrong = _header(file)
            files.append(file)
            entries.update(found)
            problems.extend(wrong)
            absent = [name for name, home in where.items() if home == shard and name not in found]
            if absent and not wrong:
                problems.append(f"{shard} lacks {len(absent)} of its tensors, among them {absent[0]}")
    return Weights(tuple(files), entries, tuple(problems))


def _header(file: Path) -> tuple[dict[str, Entry], tuple[str, ...]]:
    reader = _safetensors_header if file.suffix == ".safetensors" else _pickle_header
    try:
        return reader(file), ()
    except _Damaged as damage:
        return {}, (f"{file.name} {damage}",)
    except OSError:
        return {}, (f"{file.name} cannot be read",)


class _Damaged(Exception):
    """What is wrong with a file, as the rest of a sentence that begins with its name."""


def _safetensors_header(file: Path) -> dict[str, Entry]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise _Damaged("is damaged or cut off: its header is not complete")
        raw = stream.read(length)
    try:
        header: dict[str, Any] = json.loads(raw)
        header.pop("__metadata__", None)
        entries, end = {}, 0
        for name, item in header.items():
            shape, dtype = tuple(int(n) for n in item["shape"]), str(item["dtype"])
            first, last = item["data_offsets"]
            if not 0 <= first <= last or last - first != prod(shape) * _ITEM_SIZE[dtype]:
                raise _Damaged("is damaged: its header contradicts itself")
            entries[name] = Entry(file, name, shape, _DTYPE_WORDS.get(dtype, dtype))
            end = max(end, last)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _Damaged("is damaged: its header cannot be read") from None
    if size < 8 + length + end:
        raise _Damaged(f"is cut off: {size:,} of {8 + length + end:,} bytes")
    return entries


def _pickle_header(file: Path) -> dict[str, Entry]:
    if not zipfile.is_zipfile(file):
        raise _Damaged("is damaged, cut off or in a format older than PyTorch 1.6")
    try:
        state = torch.load(file, map_location="meta", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise _Damaged("holds more than weights and is refused") from None
    except Exception:  # a damaged archive raises whatever its first broken part provokes
        raise _Damaged("is damaged") from None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise _Damaged("is not a table of weights")
    return {
        str(name): Entry(file, str(name), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in state.items()
    }


def _tensors(file: Path, names: list[str]) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(str(file), framework="pt", device="cpu") as opened:
            return {name: opened.get_tensor(name) for name in names}
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    return {name: state[name] for name in names}


def _read_cache(file: Path) -> dict[str, str]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): value for key, value in stored.items() if len(bytes.fromhex(value)) == 32}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a cache that cannot be read is a cache that is not there


def _write_cache(file: Path, cache: Mapping[str, str]) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        paths.ensure(file.parent)
        temporary.write_text(json.dumps(dict(cache), indent=0), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)  # a read-only data folder costs time, not the draft

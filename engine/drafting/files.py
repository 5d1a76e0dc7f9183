"""Whether a model's files are still those that were loaded: their sizes, times and inodes, then and now.

A stamp costs one look at the file system and no reading. A model is hashed when it is loaded (``ModelInfo.sha256``);
the stamps tell when that has to be done again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stamp", "changed", "model_files", "stamps"]

SMALL_FILES = (
    "config.json", "generation_config.json", "interval.json", "adapter_config.json", "preprocessor_config.json",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json",
    "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
    "model.safetensors.index.json", "pytorch_model.bin.index.json",
)  # fmt: skip
"""What a model is made of beside its weights. Those that are not there count: one may come."""


@dataclass(frozen=True)
class Stamp:
    """A file as it was. ``size`` is -1 where there was none."""

    path: str
    size: int
    modified_ns: int
    inode: int


def stamps(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """The files as they are now."""
    return tuple(_stamp(str(file.absolute())) for file in files)


def changed(then: Iterable[Stamp]) -> bool:
    """Whether any of the files has come, gone or been written since."""
    return any(_stamp(stamp.path) != stamp for stamp in then)


def model_files(
    path: str | Path,
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    tower: str | Path | None = None,
) -> tuple[Path, ...]:
    """The files that make the model which ``Engine.load`` loads with these arguments.

    Raises ModelError where there is no such folder; whatever else is wrong with it is for the loading to say.
    """
    from engine.models.recognition import examine  # imports torch, which comparing stamps does not need

    found = examine(Path(path).expanduser(), base=base, adapter=adapter, tower=tower)
    weights = list(found.weights.files)
    folders = [found.path, found.tokenizer, *(file.parent for file in found.weights.files)]
    if found.tower is not None:
        weights += found.tower.weights.files
        folders.append(found.tower.folder)
    if found.adapter is not None:
        weights += (*found.adapter.weights.files, *found.adapter.beside.files)
        folders.append(found.adapter.folder)
    small = (folder / name for folder in dict.fromkeys(folders) for name in SMALL_FILES)
    return tuple(dict.fromkeys((*weights, *small)))


def _stamp(path: str) -> Stamp:
    try:
        now = Path(path).stat()
    except OSError:
        return Stamp(path, -1, 0, 0)
    return Stamp(path, now.st_size, now.st_mtime_ns, now.st_ino)

"""LLaMA-Factory's data folders: training samples under names that a dataset_info.json states, read and written.

    dataset_info.json   {NAME: {"file_name", "formatting": "sharegpt" | "alpaca", "columns": {...}, "tags": {...}}, ...}
    FILE.json           [{"messages": [{"role", "content"}, ...], "images": [paths], ...}, ...]

Paths of images are relative to the folder of dataset_info.json, as LLaMA-Factory has them (its media_dir). Of an entry
only a file in that folder is read: nothing is fetched from a hub or a cloud, no script is run. Names that an entry with
"columns" or "tags" leaves out are names LLaMA-Factory does not look for; a system message is looked for all the same,
so that none is lost unsaid.

What LLaMA-Factory does with rows that break its form (it passes over them, breaks off in the middle, or learns an empty
answer) is no concern of readers here: they get every such row with its reason, as `libra` gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from engine.datasets.layouts import IMAGE_TEXT, MEDIA, Layout, Settled
from engine.datasets.libra import TrainingSample, further_keys, image_names, read_training
from engine.errors import DatasetError, UsageError

INFO = "dataset_info.json"

_ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_RANKED = ("chosen", "rejected", "kto_tag")
_UNTAKEN = ("videos", "audios", "tools")
_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True)
class Entry:
    """One data set of a data folder: its file, the names its rows use, and what image paths are relative to."""

    name: str
    file: Path
    images: Path
    layout: Layout


def read_source(
    source: str, images: Path | None = None, *, system: Settled = "refuse"
) -> tuple[list[TrainingSample], Path]:
    """The samples of a training file of any form, or of an entry ("folder/dataset_info.json:NAME"), and the folder
    that their image paths are relative to.

    Args:
        source: a path, with ":NAME" behind that of a dataset_info.json.
        images: that folder, where it is neither the file's own nor that of dataset_info.json.
        system: what becomes of system messages.

    Raises:
        DatasetError: the entry or some of its rows cannot be used.
        UsageError: a dataset_info.json without the name of an entry.
    """
    before, colon, name = source.rpartition(":")
    if colon and Path(before).name == INFO:
        found = entry(Path(before), name)
        folder = images or found.images
        return read_training(found.file, folder, layout=found.layout, system=system), folder
    file = Path(source)
    if file.name == INFO:
        raise UsageError(f"Name one of its data sets: {source}:NAME. There are: {', '.join(entries(file))}.")
    folder = images or file.parent
    return read_training(file, folder, system=system), folder


def entries(info: Path) -> tuple[str, ...]:
    """The names of all data sets of a dataset_info.json. Raises DatasetError for a file that is none."""
    return tuple(_read(info))


def entry(info: Path, name: str) -> Entry:
    """The data set of this name.

    Raises:
        DatasetError: no such entry, or one that cannot be read from this folder, with the reason.
    """
    known = _read(info)
    if name not in known:
        raise DatasetError(f"'{info.name}' names no data set {name}. There are: {', '.join(known) or 'none'}.")
    try:
        stated = known[name]
        if not isinstance(stated, dict):
            raise ValueError("it is no object")
        return Entry(name, _file(info.parent, stated), info.parent, _layout(stated))
    except ValueError as fault:
        raise DatasetError(f"The data set {name} of '{info.name}' cannot be used: {fault}.") from fault


def write_sharegpt(
    samples: Iterable[TrainingSample],
    file: Path,
    after_image: str = "",
    *,
    name: str = "",
    relative_to: Path | None = None,
) -> str:
    """Write samples in the sharegpt form, and an entry for them into the dataset_info.json beside the file.

    The first message of each begins with an <image> for each of its images. Keys that LLaMA-Factory passes over (id,
    patient, question_type, ...) are kept. A dataset_info.json that is there keeps its other entries.

    Args:
        samples: of any length.
        file: ends in ".json"; written over.
        after_image: what stands between the last <image> and the question: "" for Qwen2-VL, a line end for LLaVA.
        name: of the entry; the file's own without its ending if "".
        relative_to: the folder of the images, which LLaMA-Factory is then told as media_dir; the file's own if None.

    Returns:
        The name of the entry.

    Raises:
        DatasetError: texts that LLaMA-Factory would take for images or other media; all rows are named.
        UsageError: a name or a file that cannot be used, or the name of another file's entry.
    """
    name = name or file.stem
    if file.suffix != ".json" or file.name == INFO:
        raise UsageError(f"LLaMA-Factory's samples are written to a file that ends in .json and is not {INFO}.")
    if not name or any(character in name for character in ",:") or name != name.strip():
        raise UsageError("The name of a data set holds neither commas nor colons, and is not empty.")
    info = file.with_name(INFO)
    known = dict(_read(info)) if info.exists() else {}
    other = known.get(name)
    if other is not None and not (isinstance(other, dict) and other.get("file_name") == file.name):
        raise UsageError(f"'{INFO}' beside '{file.name}' already has a data set {name}. Choose another name.")
    folder = relative_to or file.parent
    lines: list[str] = []
    faults: list[tuple[int, str]] = []
    for number, sample in enumerate(samples, 1):
        try:
            lines.append(json.dumps(sharegpt_row(sample, folder, after_image), ensure_ascii=False))
        except ValueError as fault:
            faults.append((number, str(fault)))
    if faults:
        raise DatasetError(f"{len(faults)} samples cannot be written for LLaMA-Factory.", tuple(faults))
    if not lines:
        raise DatasetError(f"There are no samples to write to '{file.name}'.")
    _write_whole(file, "[\n" + ",\n".join(lines) + "\n]\n")
    known[name] = {
        "file_name": file.name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    _write_whole(info, json.dumps(known, ensure_ascii=False, indent=2) + "\n")
    return name


def sharegpt_row(sample: TrainingSample, folder: Path, after_image: str = "") -> dict[str, Any]:
    """A sample as an object of a sharegpt file. Raises ValueError for texts with marks of images or other media."""
    (first, answer), *further = sample.turns
    question = first.replace(IMAGE_TEXT, "").strip()
    texts = [question, answer, *(text for turn in further for text in turn)]
    for number, text in enumerate(texts, 1):
        for mark in (IMAGE_TEXT, *MEDIA):
            if mark in text:
                raise ValueError(f"turn {number} holds {mark}, which LLaMA-Factory takes for a file")
    texts[0] = IMAGE_TEXT * len(sample.images) + after_image + question
    messages = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    row = {"id": sample.id, "messages": messages, "images": image_names(sample.images, folder)}
    return row | further_keys(sample)


def _read(info: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(info.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as cause:
        raise DatasetError(f"'{info.name}' is not a JSON file.") from cause
    except OSError as cause:
        raise DatasetError(f"'{info.name}' cannot be read.") from cause
    if not isinstance(document, dict):
        raise DatasetError(f"'{info.name}' must hold an object with the names of data sets.")
    return document


def _file(folder: Path, stated: Mapping[str, Any]) -> Path:
    """The file of an entry, which lies in the folder. Raises ValueError."""
    elsewhere = [key for key in _ELSEWHERE if stated.get(key)]
    if elsewhere:
        raise ValueError(f"it comes from elsewhere ({elsewhere[0]}); only files of its folder are read")
    name = stated.get("file_name")
    if not isinstance(name, str) or not name:
        raise ValueError("it names no file (file_name)")
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or "\\" in name or "\0" in name:
        raise ValueError("its file_name is not a path relative to its folder")
    file = folder / name
    if ".." in PurePosixPath(name).parts or not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError("its file_name leads out of its folder")
    if file.suffix.lower() not in _SUFFIXES:
        raise ValueError("its file_name is neither a .json nor a .jsonl file")
    if not file.is_file():
        raise ValueError(f"its file {file.name} is not there")
    return file


def _layout(stated: Mapping[str, Any]) -> Layout:
    """The names an entry's rows use. Raises ValueError for what is not learnt from."""
    columns, tags = _names(stated, "columns"), _names(stated, "tags")
    if stated.get("ranking") or any(columns.get(key) for key in _RANKED):
        raise ValueError("it ranks answers; only single right answers are learnt from")
    if stated.get("num_samples") is not None:
        raise ValueError("num_samples takes rows of it by chance; make a file of the rows that are meant")
    more = [key for key in _UNTAKEN if columns.get(key)]
    if more:
        raise ValueError(f"it has {', '.join(more)}; only texts and images are learnt from")
    if not columns.get("images"):
        raise ValueError("its columns name no images")
    formatting = stated.get("formatting", "alpaca")
    system = columns.get("system") or "system"
    if formatting == "alpaca":
        if not columns.get("prompt"):
            raise ValueError("its columns name no prompt")
        return Layout(
            messages=columns["prompt"],
            images=columns["images"],
            system=system,
            prompt=columns["prompt"],
            query=columns.get("query", ""),
            response=columns.get("response", ""),
            history=columns.get("history", ""),
        )
    if formatting != "sharegpt":
        raise ValueError("its formatting is neither sharegpt nor alpaca")
    if not columns.get("messages"):
        raise ValueError("its columns name no messages")
    if "tags" not in stated:
        tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    missing = [key for key in ("role_tag", "content_tag", "user_tag", "assistant_tag") if not tags.get(key)]
    if missing:
        raise ValueError(f"its tags lack {', '.join(missing)}")
    return Layout(
        messages=columns["messages"],
        images=columns["images"],
        role=tags["role_tag"],
        content=tags["content_tag"],
        user=tags["user_tag"],
        assistant=tags["assistant_tag"],
        system=system,
        director=tags.get("system_tag") or "system",
    )


def _names(stated: Mapping[str, Any], key: str) -> dict[str, str]:
    """Names by what they stand for; those that are null are left out, as LLaMA-Factory does."""
    value = stated.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values() if name is not None):
        raise ValueError(f"its {key} are not an object of names")
    return {what: name for what, name in value.items() if name}


def _write_whole(file: Path, text: str) -> None:
    """Put ``text`` in place of what ``file`` holds; a reader sees the old or the new, never a part."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)

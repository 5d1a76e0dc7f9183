"""interval.json: what this program itself keeps of a model, beside the files that training wrote.

    name, license           what to call it, and the terms of its use
    conversation            the template its prompts are written in
    padding                 how its pictures become square
    image_max_pixels,       what LLaMA-Factory shrank or enlarged its pictures to in training
    image_min_pixels
    modalities              DICOM modalities it reads, ["CR", "DX"] unless stated
    languages               languages its reports are written in; unless stated those of its family (languages.py)
    demonstration           made to show the program, not to read radiographs

All are optional. A model may lie in several folders (an adapter and its base); the nearest one that says something
counts. A file that is damaged says nothing, but what decides which images a model may be given must not be misread: a
value there that makes no sense is a problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "interval.json"
RADIOGRAPHS = ("CR", "DX")
ENGLISH = ("en",)
PIXELS = range(1, 4096 * 4096 + 1)
"""What image_max_pixels and image_min_pixels may be."""

_MAX_WORD, _MAX_WORDS = 200, 32


@dataclass(frozen=True)
class Record:
    """What a model's folders say, merged; "" and None where they say nothing.

    Attributes:
        name: of the model in the first folder alone.
        modalities: in capitals; at least one.
        languages: as BCP 47 tags; none where nothing says them.
    """

    name: str = ""
    license: str = ""
    conversation: str = ""
    padding: str = ""
    image_max_pixels: int | None = None
    image_min_pixels: int | None = None
    modalities: tuple[str, ...] = RADIOGRAPHS
    languages: tuple[str, ...] = ()
    demonstration: bool = False


def read(folders: Iterable[Path], problems: list[str]) -> Record:
    """The record of a model that lies in ``folders``, nearest first; ``problems`` grows by what makes no sense."""
    contents = [_content(folder / FILE) for folder in folders]
    said: dict[str, Any] = {}
    for content in reversed(contents):
        said |= {key: value for key, value in content.items() if value is not None and value != ""}
    least, most = (_pixels(said, key, problems) for key in ("image_min_pixels", "image_max_pixels"))
    if least is not None and most is not None and least > most:
        problems.append(f"{FILE}: image_min_pixels ({least:,}) are more than image_max_pixels ({most:,})")
    return Record(
        name=_word(contents[0].get("name")) if contents else "",
        license=_word(said.get("license")),
        conversation=_word(said.get("conversation")),
        padding=_word(said.get("padding")),
        image_max_pixels=most,
        image_min_pixels=least,
        modalities=tuple(word.upper() for word in _words(said, "modalities", RADIOGRAPHS, problems)),
        languages=_words(said, "languages", ENGLISH, problems) if "languages" in said else (),
        demonstration=any(content.get("demonstration") is True for content in contents),
    )


def _content(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _word(value: Any) -> str:
    return value[:_MAX_WORD] if isinstance(value, str) else ""


def _words(said: Mapping[str, Any], key: str, default: tuple[str, ...], problems: list[str]) -> tuple[str, ...]:
    value = said.get(key, list(default))
    right = isinstance(value, list) and 0 < len(value) <= _MAX_WORDS
    if not right or not all(isinstance(word, str) and 0 < len(word.strip()) <= 16 for word in value):
        problems.append(f"{FILE}: {key} must be a list such as {json.dumps(list(default))}")
        return default
    return tuple(word.strip() for word in value)


def _pixels(said: Mapping[str, Any], key: str, problems: list[str]) -> int | None:
    value = said.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in PIXELS:
        problems.append(f"{FILE}: {key} must be a whole number from {PIXELS[0]:,} to {PIXELS[-1]:,}")
        return None
    return value

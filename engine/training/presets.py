"""Recipes to begin with: the files in recipes/, each with a title and an explanation in its first comment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("recipes")
ORDER = ("demo-site-c", "small-data", "libra-stage-1", "libra-stage-2", "medtrinity-qwen2-vl", "vqa-rad-llava", "demo")


@dataclass(frozen=True)
class Preset:
    """A recipe to begin with.

    Attributes:
        key: the file's name without its ending.
        title: the first line of its comment.
        help: the rest of the comment, as paragraphs in plain words.
        text: the recipe without that comment.
    """

    key: str
    title: str
    help: str
    text: str


def presets() -> list[Preset]:
    """All of them, those for a beginning first."""
    found = {file.stem: _read(file) for file in sorted(FOLDER.glob("*.yaml"))}
    return [found[key] for key in dict.fromkeys((*ORDER, *found)) if key in found]


def _read(file: Path) -> Preset:
    lines = file.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    comment = [line.removeprefix("#").removeprefix(" ") for line in lines[:end]]
    return Preset(file.stem, comment[0], "\n".join(comment[1:]).strip(), "\n".join(lines[end:]) + "\n")

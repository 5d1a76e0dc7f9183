"""An evaluation's folder: what was asked of whom, their answers, and later their scores.

    evaluation.json         questions, prior, decoding; of every contender its folder, hash, precision, times
    answers/NAME.jsonl      the answers of one contender, in Libra's format
    scores.json, scores.csv, cases.jsonl, report.html, report.pdf       what scoring makes of them

evaluation.json is written whole or not at all, and changed under a lock: several processes may work in one folder. One
folder holds one set of questions, put in one way; who answers may be added later. It may hold patients' texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import paths
from engine.errors import DatasetError, UsageError
from engine.jobs import files
from engine.jobs.locking import held

if TYPE_CHECKING:
    # Not at run time: it brings torch, and a screen that lists evaluations must not wait for that.
    from engine.evaluation.contenders import Contender

DOCUMENT = "evaluation.json"
FORMAT = 1


@dataclass(frozen=True)
class Asked:
    """What every contender is asked.

    Attributes:
        questions: the file, in Libra's evaluation format.
        images: the folder its image paths are relative to; its own unless given.
        prior: what stands for the prior (answering.Prior).
        limit: only the first so many.
        decoding: how words are chosen, plain values.
        truth: what is true of each study, for scoring; references: the reference texts where they are in another file.
        training: the file the models were trained on, for the usual normal report.
    """

    questions: Path
    images: Path | None
    prior: str
    limit: int | None
    decoding: Mapping[str, Any]
    truth: Path | None = None
    references: Path | None = None
    training: Path | None = None

    def plain(self) -> dict[str, Any]:
        """For evaluation.json; files with the hash of their contents."""
        named = {name: _file(file) for name, file in vars(self).items() if isinstance(file, Path) and name != "images"}
        return {
            **named,
            "images": None if self.images is None else str(self.images.resolve()),
            "prior": self.prior,
            "limit": self.limit,
            "decoding": dict(self.decoding),
        }


class Folder:
    """An evaluation's folder that is there. `create` and `find` give one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, asked: Asked) -> Folder:
        """The folder for these questions: a new one, or one that has been asked the same.

        Raises:
            UsageError: something else is there, or it was asked something else.
        """
        folder = cls(path)
        if path.exists() and not (path / DOCUMENT).is_file() and any(path.iterdir()):
            raise UsageError(f"'{path.name}' holds something else than an evaluation; choose a new folder.")
        paths.ensure(path / "answers")
        with folder._lock():
            document = files.read(path / DOCUMENT)
            if document is None:
                made = datetime.now(UTC).isoformat(timespec="seconds")
                document = {"format": FORMAT, "made": made, "asked": asked.plain(), "contenders": []}
                files.write(path / DOCUMENT, document)
        differs = [key for key, value in asked.plain().items() if not _same(key, value, document["asked"].get(key))]
        if differs:
            raise UsageError(
                f"'{path.name}' was begun with other {', '.join(differs)}; choose a new folder, or the same again."
            )
        return folder

    @classmethod
    def find(cls, path: Path) -> Folder:
        """The folder of an evaluation. Raises DatasetError where there is none."""
        document = files.read(path / DOCUMENT)
        if document is None or document.get("format") != FORMAT or not isinstance(document.get("contenders"), list):
            raise DatasetError(f"'{path.name}' is no evaluation's folder: it has no {DOCUMENT} that can be read.")
        return cls(path)

    def document(self) -> dict[str, Any]:
        """What evaluation.json says."""
        found = files.read(self.path / DOCUMENT)
        if found is None:
            raise DatasetError(f"'{self.path.name}' has lost its {DOCUMENT}.")
        return found

    def answers(self, name: str) -> Path:
        """The answer file of a contender."""
        return self.path / "answers" / f"{name}.jsonl"

    def enter(self, one: Contender) -> None:
        """Note a contender, or check that it is the one noted before.

        Raises:
            UsageError: another model, adapter or wording had this name.
        """
        said = {
            "name": one.name,
            "model": one.place,
            "adapter": None if one.adapter is None else str(one.adapter.resolve()),
            "base": None if one.base is None else str(one.base.resolve()),
            "prompt": {"name": one.prompt.name, "text": one.prompt.text} if one.prompt.name else None,
            "tuned_from": one.tuned_from,
        }
        with self._lock():
            document = self.document()
            before = next((entry for entry in document["contenders"] if entry["name"] == one.name), None)
            if before is None:
                document["contenders"].append(said)
                files.write(self.path / DOCUMENT, document)
            elif any(before[key] != said[key] for key in ("model", "adapter", "base", "prompt")):
                raise UsageError(
                    f"In '{self.path.name}' another model or wording is called '{one.name}'; give NAME=MODEL."
                )

    def note(self, name: str, **said: Any) -> None:
        """Add to what is said of a contender."""
        with self._lock():
            document = self.document()
            for entry in document["contenders"]:
                if entry["name"] == name:
                    entry |= said
            files.write(self.path / DOCUMENT, document)

    def _lock(self) -> Any:
        return held(self.path / ".lock")


def now() -> str:
    """The time as evaluation.json has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def file_of(asked: Mapping[str, Any], key: str) -> Path | None:
    """A file that ``asked`` of evaluation.json names; None where it names none."""
    return Path(asked[key]["file"]) if asked.get(key) else None


def changed(asked: Mapping[str, Any], key: str) -> bool:
    """Whether a file is there and holds something else than when the questions were asked."""
    file = file_of(asked, key)
    return file is not None and file.is_file() and _digest(file) != asked[key]["sha256"]


def _file(file: Path) -> dict[str, str]:
    return {"file": str(file.resolve()), "sha256": _digest(file)}


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _same(key: str, value: Any, before: Any) -> bool:
    """A file is the same wherever it lies; what serves scoring alone may change."""
    if key in ("truth", "references", "training", "images"):
        return True
    if isinstance(value, dict) and "sha256" in value and isinstance(before, dict):
        return bool(value["sha256"] == before.get("sha256"))
    return bool(json.dumps(value, sort_keys=True) == json.dumps(before, sort_keys=True))

"""The three files a converted data set consists of, written row by row and put in their place when all is well.

    train.json, validate.json     Libra's training format
    test.jsonl                    Libra's evaluation format, with references
    preparation.json              what it was made of (names and hashes), what was chosen, what was left out and why

Image paths are relative to the folder of the images, as training and evaluation expect it with their own options. A
split without rows gets no file. Knows no particular data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from engine.datasets.libra import MARKER, Question, TrainingSample, question_row, training_row
from engine.errors import UsageError

FILES = {"train": "train.json", "validate": "validate.json", "test": "test.jsonl"}
SUMMARY = "preparation.json"


class Tally:
    """How many rows of each split came to which end; printed as a table and kept in the summary.

    Args:
        columns: the splits, in the order of the table.
    """

    def __init__(self, columns: Iterable[str] = tuple(FILES)) -> None:
        self._columns = tuple(columns)
        self._counts: dict[str, dict[str, int]] = {}

    def add(self, what: str, split: str = "", count: int = 1) -> None:
        """Count ``what``; a split that is not known is counted in the total alone."""
        row = self._counts.setdefault(what, {})
        row[split] = row.get(split, 0) + count

    def of(self, what: str) -> int:
        """The total of ``what``."""
        return sum(self._counts.get(what, {}).values())

    def document(self) -> dict[str, dict[str, int]]:
        """Every count by what and split, "all" the total."""
        return {what: self._row(what) for what in self._counts}

    def table(self, order: Iterable[str] = ()) -> str:
        """Aligned lines for people; the rows of ``order`` first, then the others as they came."""
        names = [name for name in order if name in self._counts]
        names += [name for name in self._counts if name not in names]
        width = max((len(name) for name in names), default=0)
        lines = [" " * width + "".join(f"{column:>10}" for column in (*self._columns, "all"))]
        lines += [f"{name:<{width}}" + "".join(f"{count:>10,}" for count in self._row(name).values()) for name in names]
        return "\n".join(lines)

    def _row(self, what: str) -> dict[str, int]:
        counts = self._counts[what]
        return {column: counts.get(column, 0) for column in self._columns} | {"all": sum(counts.values())}


class SplitFiles:
    """Writes the files of a data set; a context manager. Nothing stays where it ends in an error.

    Args:
        folder: where to; made if it is not there, refused if it holds such files already.
        images: the folder that image paths are relative to.

    Raises:
        UsageError: the folder holds such files.
    """

    def __init__(self, folder: Path, images: Path) -> None:
        for name in (*FILES.values(), SUMMARY):
            if (folder / name).exists():
                raise UsageError(f"'{folder.name}' already holds {name}. Choose another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._images = folder, images
        self._open: dict[str, IO[str]] = {}

    def __enter__(self) -> SplitFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for split, stream in self._open.items():
            if FILES[split].endswith(".json"):
                stream.write("\n]\n")
            stream.close()
        for split in self._open:
            part = self._part(split)
            if kind is None:
                part.replace(self._folder / FILES[split])
            else:
                part.unlink()

    def write(self, split: str, sample: TrainingSample) -> None:
        """Write a sample whose first question begins with `MARKER`; in the test split as a question with reference."""
        stream = self._open.get(split)
        first = stream is None
        if stream is None:
            stream = self._open[split] = self._part(split).open("w", encoding="utf-8")
        if FILES[split].endswith(".json"):
            stream.write("[\n" if first else ",\n")
            stream.write(json.dumps(training_row(sample, self._images), ensure_ascii=False))
            return
        for asked, answer in sample.turns:
            text = asked.removeprefix(MARKER)
            said = sample.about, sample.kind, sample.prior_report, sample.form
            question = Question(sample.id, sample.images, text, answer, *said)
            stream.write(json.dumps(question_row(question, self._images), ensure_ascii=False) + "\n")

    def summarise(self, inputs: Iterable[Path], choice: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
        """Write the summary; what it holds."""
        sources = {file.name: _sha256(file) for file in inputs}
        summary = {"made_from": sources, "choice": dict(choice), "counts": tally.document()}
        text = json.dumps(summary, ensure_ascii=False, indent=1) + "\n"
        (self._folder / SUMMARY).write_text(text, encoding="utf-8")
        return summary

    def _part(self, split: str) -> Path:
        return self._folder / f"{FILES[split]}.part"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""What a judge has said, one line an answer: ``judge/NAME.jsonl`` of an evaluation's folder, NAME being who answered.

A line is found again by `key`, a hash of the judge, its instructions, the question, the reference and the answer: what
has been judged is never asked again, and what has changed is never taken for judged. The verdict is read anew from the
raw reply. Lines hold what the judge says of patients' texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.evaluation.judge.verdict import PROMPT_SHA256, Invalid, Verdict, read
from engine.jobs import files

FOLDER, DOCUMENT = "judge", "judge.json"


@dataclass(frozen=True)
class Item:
    """One answer to be judged."""

    id: str
    question: str
    reference: str
    answer: str


@dataclass(frozen=True)
class Record:
    """What a judge said of one answer: its raw replies, the last of which counts."""

    id: str
    key: str
    replies: tuple[str, ...]

    @property
    def outcome(self) -> Verdict | Invalid:
        """The verdict, or why there is none."""
        return read(self.replies[-1])

    def to_line(self, judge: str, when: str) -> str:
        """The line of a file."""
        said = self.outcome
        row: dict[str, Any] = {
            "question_id": self.id,
            "key": self.key,
            "judge": judge,
            "prompt_sha256": PROMPT_SHA256,
            "replies": list(self.replies),
            "when": when,
        }
        if isinstance(said, Verdict):
            row |= {"verdict": said.ruling, "contradiction": said.contradiction, "confidence": said.confidence,
                    "reason": said.reason, "invalid": None}  # fmt: skip
        else:
            row |= {"verdict": None, "invalid": said.why}
        return json.dumps(row) + "\n"  # ASCII: a reply may hold halves of characters, which no file takes


def key(judge: str, item: Item) -> str:
    """The hash by which what a judge said of an answer is found again; who answered is no part of it."""
    asked = [judge, PROMPT_SHA256, item.question, item.reference, item.answer]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def file_of(folder: Path, name: str) -> Path:
    """Where the lines about a system's answers are."""
    return folder / FOLDER / f"{name}.jsonl"


def records(file: Path) -> dict[tuple[str, str], Record]:
    """(question id, key) -> record of every whole line; what is damaged was never said."""
    if not file.is_file():
        return {}
    return {(one.id, one.key): one for one in _records(file.read_text(encoding="utf-8", errors="replace"))}


def mend(file: Path) -> None:
    """Cut off a last line that was never finished."""
    if file.is_file():
        data = file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with file.open("r+b") as stream:
                stream.truncate(whole)


def note(folder: Path, judge: str, when: str) -> None:
    """Write down who judged last."""
    files.write(folder / FOLDER / DOCUMENT, {"judge": judge, "prompt_sha256": PROMPT_SHA256, "when": when})


def last_judge(folder: Path) -> str:
    """The id of who judged last, by the instructions of today; "" for nobody."""
    found = files.read(folder / FOLDER / DOCUMENT) or {}
    return str(found.get("judge") or "") if found.get("prompt_sha256") == PROMPT_SHA256 else ""


def _records(text: str) -> Iterator[Record]:
    for line in text.split("\n")[:-1]:
        try:
            row = json.loads(line)
            replies = tuple(row["replies"])
            if replies and all(isinstance(reply, str) for reply in replies):
                yield Record(str(row["question_id"]), str(row["key"]), replies)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue

"""A folder of short questions and of what two models answered to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.datasets.libra import Answer
from engine.evaluation.contenders import Contender
from engine.evaluation.folder import Asked, Folder

ASKED = (
    ("Is there an effusion?", "yes", "presence", "CLOSED"),
    ("Is the heart enlarged?", "No", "presence", "CLOSED"),
    ("Is the opacity on the left or right?", "left", "position", "CLOSED"),
    ("What is seen?", "a pleural effusion", "abnormality", "OPEN"),
)
"""Question, reference, type, and whether it is closed."""

WRONG = "Unclear."


def rows(count: int, *, said: bool = True) -> list[dict[str, Any]]:
    """Questions in turn, four about one image; ``said``: with the keys that say of what sort they are."""
    found = []
    for number in range(count):
        text, reference, kind, form = ASKED[number % len(ASKED)]
        row = {"question_id": f"q{number}", "image": f"i{number // 4}.png", "text": f"<image>\n{text}"}
        more = {"question_type": kind, "answer_type": form} if said else {}
        found.append(row | {"reference": reference} | more)
    return found


def written(file: Path, content: list[dict[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in content))
    return file


def answer(folder: Folder, name: str, texts: dict[str, str], tuned_from: str = "") -> None:
    """Put answers into the folder as if a model had given them."""
    folder.enter(Contender(name, folder.path / name, tuned_from=tuned_from))
    metadata = {"prior": "none", "dtype": "float32", "quantization": "none"}
    lines = [Answer(identity, "?", text, "a", name, metadata).to_line() for identity, text in texts.items()]
    folder.answers(name).write_text("".join(lines))


def folder(root: Path, count: int = 40) -> Folder:
    """Two models: one wrong in every second question, and one made from it that is wrong in every fifth."""
    content = rows(count)
    made = Folder.create(root / "evaluation", Asked(written(root / "questions.jsonl", content), None, "none", None, {}))
    for name, each, base in (("pretrained", 2, ""), ("finetuned", 5, "pretrained")):
        said = {
            str(row["question_id"]): WRONG if number % each == 0 else f"It is {row['reference']}."
            for number, row in enumerate(content)
        }
        answer(made, name, said, base)
    return made

"""CT phantoms as a data set: pictures, captions to train on, and short questions, all parted by patient.

    images/<id>.png                                     8-bit grey
    train.json, validation.jsonl, test.jsonl            captions: Libra's training format, and questions with references
    questions-train.json, questions-validation.jsonl,   short questions with answer_type and question_type
    questions-test.jsonl
    split.json                                          how patients were parted, as `splitting` has it
    truth.jsonl                                         one slice a line: level, lesion, its box in pixels

The same arguments give the same bytes. Captions and questions part the patients alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from engine.datasets import splitting
from engine.datasets.ct_phantoms.drawing import box, draw
from engine.datasets.ct_phantoms.sampling import Slice, sample_patient
from engine.datasets.ct_phantoms.wording import LANGUAGES, Language, caption, instruction, questions
from engine.datasets.libra import MARKER, About, TrainingSample, write_questions, write_training
from engine.datasets.splitting import PARTS, Shares, as_questions
from engine.errors import UsageError

MOST = 100_000
SMALLEST, LARGEST = 56, 1024
TRUTH = "truth.jsonl"


def write_slices(
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    size: int = 168,
    language: str = "en",
    shares: Shares | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write ``count`` patients with two to four slices each.

    Args:
        folder: made if it is not there; must hold no data set yet.
        count: patients.
        seed: another one gives other patients and another split.
        size: pixels of a picture's sides.
        language: a key of `LANGUAGES`; with two of them every slice has a row of each.
        shares: of the patients held out; a fifth for the test and a tenth for validation if None.
        progress: called with the patients done and their total.

    Returns:
        File name -> rows written; a part without a patient has no file.

    Raises:
        UsageError: numbers or a language that cannot be had, a folder that holds such files.
        DatasetError: no patient fell into the training part.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"The number of patients must lie between 1 and {MOST:,}.")
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(f"A slice has {SMALLEST} to {LARGEST} pixels along a side.")
    if not 0 <= seed < 2**31:
        raise UsageError("The seed must be a number from 0 to 2147483647.")
    if language not in LANGUAGES:
        raise UsageError(f"The language is one of {', '.join(LANGUAGES)}.")
    if (folder / TRUTH).exists() or (folder / "train.json").exists():
        raise UsageError(f"'{folder.name}' already holds a data set. Choose another folder.")
    shares = shares or Shares(0.2, 0.1)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    captions: list[TrainingSample] = []
    asked: list[TrainingSample] = []
    with (folder / TRUTH).open("w", encoding="utf-8") as truth:
        for number in range(count):
            for one in sample_patient(number, seed).slices:
                file = images / f"{one.id}.png"
                Image.fromarray(draw(one, size)).save(file)
                truth.write(json.dumps(_truth(one, size), ensure_ascii=False) + "\n")
                for each in LANGUAGES[language]:
                    name = one.id if len(LANGUAGES[language]) == 1 else f"{one.id}-{each}"
                    captions.append(_captioned(one, name, file, each))
                    asked += _asked(one, name, file, each)
            if progress is not None:
                progress(number + 1, count)
    made = splitting.split(captions, shares, seed)
    described = {"source": "CT phantoms", "count": count, "size": size, "language": language, "seed": seed}
    written = splitting.write(made, folder, images=folder, described=described | {"shares": vars(shares)})
    return written | _write_asked(folder, asked, made)


def _captioned(one: Slice, name: str, file: Path, language: Language) -> TrainingSample:
    turn = MARKER + instruction(one, language), caption(one, language)
    return TrainingSample(name, (file,), (turn,), About(one.patient, f"{one.patient}-{one.level}"))


def _asked(one: Slice, name: str, file: Path, language: Language) -> list[TrainingSample]:
    about = About(one.patient, f"{one.patient}-{one.level}")
    return [
        TrainingSample(f"{name}-q{number}", (file,), ((MARKER + each.question, each.answer),), about, each.kind,
                       form=each.form)
        for number, each in enumerate(questions(one, language), 1)
    ]  # fmt: skip


def _write_asked(folder: Path, asked: list[TrainingSample], made: splitting.Split) -> dict[str, int]:
    """Write the short questions, each into the part of its patient."""
    part = {sample.about.patient: name for name in PARTS for sample in made.parts[name]}
    written: dict[str, int] = {}
    for name in reversed(PARTS):
        rows = [sample for sample in asked if part[sample.about.patient] == name]
        file = folder / f"questions-{splitting.FILES[name]}"
        if rows and name == "train":
            write_training(file, rows)
        elif rows:
            write_questions(file, as_questions(rows))
        if rows:
            written[file.name] = len(rows)
    return written


def _truth(one: Slice, size: int) -> dict[str, Any]:
    lesion = asdict(one.lesion) | {"band": one.lesion.band} if one.lesion is not None else None
    return {"id": one.id, "patient": one.patient, "level": one.level, "lesion": lesion, "box": box(one, size)}

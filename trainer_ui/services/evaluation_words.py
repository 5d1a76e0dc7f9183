"""What a form says of an evaluation as the words of its command, and the words that go on with one that was begun.

The command does all of it, answering and scoring; a form is only a way to write it. What a terminal would be given is
what a job is given.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from engine.errors import UsageError
from trainer_ui.services import kept, recipes
from trainer_ui.services.answering_models import AnsweringModel
from trainer_ui.services.judges import Judge

Task = Literal["report", "vqa"]

TASKS: Mapping[Task, str] = {"report": "Reports", "vqa": "Short answers to questions (VQA)"}
"""What the answers are, in words."""

Prior = Literal["true", "dummy", "none"]

PRIORS: Mapping[Prior, str] = {
    "true": "Its own prior, where it has one",
    "dummy": "The current image in place of the prior, still as a pair",
    "none": "The current image alone",
}
"""What stands for the prior, in words."""

_SWITCHES = {"true": (), "dummy": ("--dummy-prior",), "none": ("--without-prior",)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_DECODING = {
    "num_beams": 1,
    "temperature": 0.0,
    "max_new_tokens": 512,
    "length_penalty": None,
    "no_repeat_ngram": None,
    "top_p": None,
    "seed": None,
}
"""Settings of the decoding that have an option of their own, with what holds without it."""

_KEPT = "scorers"


@dataclass(frozen=True)
class Wording:
    """A wording of the question; ``text`` "": as each question asks itself."""

    name: str
    text: str = ""


@dataclass(frozen=True)
class Checkpoints:
    """What scores need that are not computed by rules: folders on this machine, None for what there is none of."""

    bertscore: Path | None = None
    chexbert: Path | None = None
    radeval: Path | None = None

    def words(self) -> list[str]:
        """As options."""
        return [word for name, place in vars(self).items() if place is not None for word in (f"--{name}", str(place))]


@dataclass(frozen=True)
class Wanted:
    """An evaluation that is to be made; files are whole paths.

    Attributes:
        name: of its folder.
        models: in their order; those that others were made from are among them.
        wordings: compared like models; the questions' own alone where there are none.
        with_bases: whether the models that others were made from are known to the command as such.
        limit: only the first so many questions.
        beams, longest: of the decoding; 0 tokens for the command's own.
        task: what the answers are, where that is not what the command would see by itself; "" for that.
        judge: of short answers; None for nobody.
    """

    name: str
    models: Sequence[AnsweringModel]
    questions: Path
    images: Path | None = None
    truth: Path | None = None
    training: Path | None = None
    prior: Prior = "true"
    limit: int | None = None
    wordings: Sequence[Wording] = ()
    with_bases: bool = True
    beams: int = 1
    longest: int = 512
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    task: Task | Literal[""] = ""
    judge: Judge | None = None


def words(wanted: Wanted, folder: Path) -> list[str]:
    """The words of ``evaluate`` for a new folder. Raises UsageError for what does not go together."""
    if not wanted.models:
        raise UsageError("Choose at least one model.")
    lacking = [model.lacks for model in wanted.models if model.lacks]
    if lacking:
        raise UsageError(lacking[0])
    named = [wording.name for wording in wanted.wordings]
    wrong = [name for name in named if not _NAME.fullmatch(name)]
    if wrong:
        raise UsageError("A wording's name begins with a letter or a digit; letters, digits, - _ + and . may follow.")
    if len(set(named)) < len(named):
        raise UsageError("Two wordings have the same name.")
    if sum(not wording.text.strip() for wording in wanted.wordings) > 1:
        raise UsageError("Two wordings say nothing: only one can be that of the file.")
    files = {"images": wanted.images, "truth": wanted.truth, "training": wanted.training}
    return [
        "evaluate",
        *(word for model in wanted.models for word in ("--model", f"{model.name}={recipes.spoken(model.path)}")),
        *([] if wanted.with_bases else ["--no-base"]),
        *(word for one in wanted.wordings for word in ("--prompt", f"{one.name}={' '.join(one.text.split())}")),
        *("--questions", recipes.spoken(wanted.questions)),
        *(word for name, file in files.items() if file is not None for word in (f"--{name}", recipes.spoken(file))),
        *(["--limit", str(wanted.limit)] if wanted.limit else []),
        *_SWITCHES[wanted.prior],
        *_decoding({"num_beams": wanted.beams, "max_new_tokens": wanted.longest}),
        *("--output", recipes.spoken(folder)),
        "--score",
        *wanted.checkpoints.words(),
        *(["--task", wanted.task] if wanted.task else []),
        *(wanted.judge.words() if wanted.judge is not None else []),
    ]


def again(before: Sequence[str]) -> list[str]:
    """The words of the job that began an evaluation, to go on with it."""
    added = [word for word in ("--resume", "--score") if word not in before]
    return [*before, *added]


def rebuilt(document: Mapping[str, Any], folder: Path) -> list[str]:
    """The words that go on with an evaluation whose own words nobody knows, from its evaluation.json.

    Raises UsageError for a document that does not say enough.
    """
    try:
        asked, contenders = document["asked"], document["contenders"]
        models: dict[str, str] = {}
        wordings: dict[str, str] = {}
        alone: list[str] = []
        for one in contenders:
            name, prompt = str(one["name"]), one.get("prompt")
            if prompt:
                name = name.removesuffix(f"@{prompt['name']}")
                wordings[str(prompt["name"])] = str(prompt["text"])
            models[name] = f"{one['model']}+{one['adapter']}" if one.get("adapter") else str(one["model"])
            alone = ["--base", str(one["base"])] if one.get("base") else alone
        files = [
            word
            for key in ("truth", "references", "training")
            if asked.get(key)
            for word in (f"--{key}", str(asked[key]["file"]))
        ]
        return [
            "evaluate",
            *(word for name, place in models.items() for word in ("--model", f"{name}={place}")),
            *alone,
            "--no-base",
            *(word for name, text in wordings.items() for word in ("--prompt", f"{name}={text}")),
            *("--questions", str(asked["questions"]["file"])),
            *(["--images", str(asked["images"])] if asked.get("images") else []),
            *files,
            *(["--limit", str(asked["limit"])] if asked.get("limit") else []),
            *_SWITCHES[asked["prior"]],
            *_decoding(asked["decoding"]),
            *("--output", recipes.spoken(folder)),
            "--resume",
            "--score",
        ]
    except (KeyError, TypeError, AttributeError) as cause:
        raise UsageError(f"{folder.name} does not say how it was begun. Begin another evaluation.") from cause


def scoring(
    folder: Path, against: str, checkpoints: Checkpoints, *, task: str = "", judge: Judge | None = None
) -> list[str]:
    """The words of ``score`` for an evaluation that has been answered; a judge is asked first."""
    chosen = ["--against", against] if against else []
    what = ["--task", task] if task else []
    asked = judge.words() if judge is not None else []
    return ["score", recipes.spoken(folder), *chosen, *checkpoints.words(), *what, *asked]


def task_of(said: Sequence[str]) -> str:
    """What a command was told that the answers are; "" where it was told nothing."""
    return next((after for word, after in pairwise(said) if word == "--task"), "")


def command(said: Sequence[str]) -> str:
    """What a terminal would be given, an option a line."""
    lines = [["python", "launch.py"]]
    for word in said:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    return " \\\n    ".join(map(shlex.join, lines))


def remembered() -> Checkpoints:
    """The checkpoints that were named last; those that are gone are left out."""
    known = kept.read(_KEPT)
    found = {name: Path(str(known[name])) for name in vars(Checkpoints()) if known.get(name)}
    return Checkpoints(**{name: place for name, place in found.items() if place.exists()})


def remember(checkpoints: Checkpoints) -> None:
    """Keep which checkpoints there are, for the next time. Raises OSError."""
    with kept.changed(_KEPT) as content:
        content.clear()
        content |= {name: str(place) for name, place in vars(checkpoints).items() if place is not None}


def _decoding(settings: Mapping[str, Any]) -> list[str]:
    """Settings that are not the command's own, as options."""
    return [
        word
        for name, usual in _DECODING.items()
        if settings.get(name, usual) != usual
        for word in (f"--{name.replace('_', '-')}", f"{settings[name]:g}" if name != "seed" else str(settings[name]))
    ]

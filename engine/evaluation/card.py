"""The held-out figures of a model, and the card that states them.

``measure`` asks a model about every held-out case three times: with its true prior, with the current film posing as
its own prior ("dummy"), and with the current film alone. A model that really compares is good the first time, much
worse the second, and writes no comparison the third. The linear classifier on 16x16 thumbnails says how much of the
task is just brightness. ``write_card`` turns the figures into text; it states nothing that was not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.datasets.libra import read_answers, read_questions, read_references
from engine.drafting import Decoding
from engine.evaluation import baseline
from engine.evaluation.answering import Drafter, Prior, answer
from engine.evaluation.scoring import Evaluation
from engine.evaluation.statistics import Score
from engine.evaluation.truth import read_truth

PRIORS: tuple[Prior, ...] = ("true", "dummy", "none")
TITLES = {"true": "true prior", "dummy": "dummy prior", "none": "no prior"}

BANDS = ("subtle", "moderate", "plain")

Scores = Mapping[str, Mapping[str, Any]]


def measure(
    engine: Drafter,
    test: Path,
    training: Path | None,
    answers: Path,
    *,
    limit: int | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Figures of ``engine`` on the phantom set in ``test``.

    Args:
        engine: the model.
        test: a phantom training-format folder (eval.jsonl, truth.jsonl, images/).
        training: the folder the model was trained on, for the thumbnail baseline; None leaves it out.
        answers: folder for the answer files; what is already there from the same model is kept.
        limit: only the first cases.
        report: called with the condition, the cases done and their total.

    Returns:
        ``cases``, ``priors`` (condition -> scores) and ``thumbnails`` (scores or None), fit for JSON.

    Raises:
        DatasetError, UsageError: the folders cannot be used. ModelError, ResourceError: from the engine.
    """
    questions = read_questions(test / "eval.jsonl", test)[:limit]
    truth = read_truth(test / "truth.jsonl")
    wanted = {question.id for question in questions}
    references = {key: value for key, value in read_references(test / "eval.jsonl").items() if key in wanted}
    evaluation = Evaluation(references, {key: value for key, value in truth.items() if key in wanted})
    answers.mkdir(parents=True, exist_ok=True)
    priors = {}
    for prior in PRIORS:
        file = answers / f"{prior}.jsonl"

        def step(done: int, total: int, prior: Prior = prior) -> None:
            if report is not None:
                report(TITLES[prior], done, total)

        answer(engine, questions, file, decoding=Decoding(), prior=prior, resume=True, report=step)
        priors[prior] = _plain(evaluation.score(read_answers(file)).scores)
    thumbnails = None
    if training is not None:
        thumbnails = _plain(baseline.evaluate(baseline.load(training), baseline.load(test, limit)))
    return {"cases": len(questions), "priors": priors, "thumbnails": thumbnails}


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    return {name: asdict(score) for name, score in scores.items()}


CARD = """---
license: apache-2.0
library_name: interval
tags: [chest-radiograph, demonstration, synthetic-data]
---

# {name}

A demonstration model: it makes the whole journey of Interval work on a fresh machine. It has seen synthetic phantoms
and nothing else. **It knows nothing of real patients**, and every draft it writes is marked "demonstration model".
Research use only - not a medical device, not for diagnosis.

{parameters} parameters: a DINOv2 tower, the Temporal Alignment Connector and a llama language model, in Libra's
checkpoint format; weights sha256 `{sha256}`.

## What it can do

{cases} held-out phantom cases of site "a": other patients, parameter ranges wider than in training, and phrases that
training never used. Greedy decoding. Findings and changes are read from the drafts by rules and compared with the truth
of the phantoms. In brackets: 95 % intervals over patients.

{headline}

Of all findings that can be compared with a prior, a draft either states a change or misses the finding altogether:
accuracy is over those it mentions, recall over all of them. With the dummy prior the current film poses as its own
prior, as it does where there is none. It was trained on the findings section alone.

### By finding

{findings}

### By size and by change

{bands}

{changes}
{made}
## Again

```
{commands}
```
"""

MADE = """
## How it was made

Seed {seed}, trained on the files named here by their sha256, with the recipe in training.json ({versions}).{start}

{hashes}

{stages}
"""

CONTINUED = """ It started from
the weights of an earlier run on the same data: the commands below give a model of its kind, not the same weights."""

COMMANDS = (
    "python launch.py data phantoms --output saves/phantoms/train --count 30000 --seed 1",
    "python launch.py data phantoms --output saves/phantoms/test --count {cases} --seed 2 --split test",
    "python launch.py train engine/training/recipes/demo.yaml",
    "python launch.py models card models/{name} --test saves/phantoms/test --training saves/phantoms/train",
)

HEADLINE = {
    "finding_f1_micro": "Finding F1 (7 findings, micro)",
    "finding_f1_macro": "Finding F1 (7 findings, macro)",
    "finding_f1_micro_with_devices": "Finding F1 with devices (micro)",
    "side_accuracy": "Side right where both name one",
    "progression_accuracy": "Progression accuracy",
    "progression_recall": "Progression recall",
    "prior_hallucination_rate": "Drafts that compare without a prior",
    "missed_comparison_rate": "Drafts that do not compare with a prior",
}


def render_card(
    figures: Mapping[str, Any], *, name: str, parameters: int, sha256: str, made: Mapping[str, Any] | None
) -> str:
    """The card (Markdown) that states ``figures`` (of ``measure``) and ``made`` (training.json of the trainer)."""
    priors: Mapping[str, Scores] = figures["priors"]
    true = priors["true"]
    thumbnails: Scores = figures["thumbnails"] or {}
    columns = [TITLES[prior] for prior in PRIORS]
    headline = _table(
        ["", *columns, "16x16 thumbnails, linear"],
        [
            [title, *(_cell(priors[prior].get(key)) for prior in PRIORS), _cell(thumbnails.get(key))]
            for key, title in HEADLINE.items()
        ],
    )
    names = [key[len("finding_f1[") : -1] for key in true if key.startswith("finding_f1[")]
    names = [name for name in names if name not in BANDS]
    findings = _table(
        ["", "F1", "F1, thumbnails", "progression accuracy", "the same, dummy prior"],
        [
            [
                finding,
                _cell(true.get(f"finding_f1[{finding}]")),
                _cell(thumbnails.get(f"finding_f1[{finding}]")),
                _cell(true.get(f"progression_accuracy[{finding}]")),
                _cell(priors["dummy"].get(f"progression_accuracy[{finding}]")),
            ]
            for finding in names
        ],
    )
    bands = _table(
        ["", "recall", "F1"],
        [[band, _cell(true.get(f"finding_recall[{band}]")), _cell(true.get(f"finding_f1[{band}]"))] for band in BANDS],
    )
    changes = _table(
        ["", "progression accuracy", "the same, dummy prior"],
        [
            [change, *(_cell(priors[prior].get(f"progression_accuracy[{change}]")) for prior in ("true", "dummy"))]
            for change in ("new", "worse", "unchanged", "improved", "resolved")
        ],
    )
    return CARD.format(
        name=name,
        parameters=f"{parameters:,}".replace(",", " "),
        sha256=sha256,
        made=_made(made) if made is not None else "",
        cases=figures["cases"],
        headline=headline,
        findings=findings,
        bands=bands,
        changes=changes,
        commands="\n".join(COMMANDS).format(cases=figures["cases"], name=name),
    )


def _made(made: Mapping[str, Any]) -> str:
    losses = ("image_loss", "change_loss", "text_loss")
    stages = [
        [stage, f"{last['step']:.0f}", f"{last['seconds'] / 60:.0f} min"]
        + [f"{last[loss]:.3f}" if loss in last else "" for loss in losses]
        for stage, last in made["stages"].items()
    ]
    continued = made["recipe"].get("start") is not None
    return MADE.format(
        start=CONTINUED if continued else "",
        seed=made["recipe"]["seed"],
        versions=", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        hashes="\n".join(f"- {name} `{digest}`" for name, digest in made["data"].items()),
        stages=_table(["stage", "steps", "time", "image loss", "change loss", "text loss"], stages),
    )


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None or score["value"] is None:
        return "n/a"
    interval = "" if score["low"] is None else f" ({score['low']:.1f} to {score['high']:.1f})"
    return f"{score['value']:.1f} %{interval}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

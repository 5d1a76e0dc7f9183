"""The card of a model a run has made: what it is, what it learnt from and how, its scores, under which terms.

It states what the run's records state and nothing else; scores on held-out patients are the evaluation's to add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from engine.models.record import RADIOGRAPHS

TEXT = """---
{front}
---

# {name}

{kind}

Research use only - not a medical device, not for diagnosis. A draft it writes is a draft until a person has read,
corrected and signed it.

## What it learnt from

{counts}

{files}

## How

{stages}

{scores}The recipe, the versions of the libraries ({versions}) and all figures are in training.json.

## Terms

{terms}
"""


def card(made: Mapping[str, Any], *, name: str, license: str) -> str:
    """The card (Markdown) of the model that ``made`` (training.json) describes."""
    recipe = made["recipe"]
    base = made.get("base")
    front: dict[str, Any] = {"library_name": "interval", "tags": _tags(recipe.get("modalities"))}
    if license:
        front["license"] = license
    if base:
        front["base_model"] = base["name"]
    trainer = "LLaMA-Factory, started by Interval" if recipe.get("llamafactory") is not None else "Interval's trainer"
    lora = next((stage["lora"] for stage in recipe["stages"] if stage.get("lora")), None)
    if lora is not None and base:
        kind = f"A LoRA adapter of rank {lora.get('rank', 16)} over {base['name']}, by {trainer}."
    elif base:
        kind = f"A model in the format of {base['name']}, trained on from it by {trainer}."
    else:
        kind = "A model in Libra's format, trained from random weights by Interval's trainer."
    counts = made["counts"]
    said = f"{counts.get('samples', 0)} conversations of {counts.get('patients') or 'an unknown number of'} patients"
    if counts.get("left_out"):
        said += f"; {counts['left_out']} longer ones were left out"
    if counts.get("validation"):
        said += f". Chosen by {counts['validation']} questions about other patients"
    return TEXT.format(
        front=yaml.safe_dump(front, sort_keys=False).strip(),
        name=name,
        kind=kind,
        counts=said + ". The files by their sha256:",
        files="\n".join(f"- {file} `{digest}`" for file, digest in made["data"].items()),
        stages=_stages(recipe, made["stages"]),
        scores=_scores(made["stages"]),
        versions=", ".join(f"{library} {number}" for library, number in made["versions"].items()),
        terms=_terms(license, base),
    )


def _tags(modalities: str | Sequence[str] | None) -> list[str]:
    """What the model reads: chest radiographs, unless its recipe names other modalities."""
    named = [modalities] if isinstance(modalities, str) else modalities or ()
    others = [word.lower() for word in named if word.upper() not in RADIOGRAPHS]
    return others if named and len(others) == len(named) else ["chest-radiograph"]


def _stages(recipe: Mapping[str, Any], stages: Mapping[str, Any]) -> str:
    rows = []
    for stage in recipe["stages"]:
        last = stages.get(stage["name"], {})
        rows.append(
            [
                stage["name"],
                ", ".join(stage["train"]) + (" (LoRA)" if stage.get("lora") else ""),
                f"{stage['learning_rate']:g}",
                f"{last.get('step', 0):.0f}",
                f"{last.get('seconds', 0) / 60:.0f} min",
                f"{last['loss']:.3f}" if "loss" in last else "",
                f"{last['memory_bytes'] / 1e9:.1f} GB" if "memory_bytes" in last else "",
            ]
        )
    return _table(["stage", "learns", "rate", "steps", "time", "last loss", "memory"], rows)


def _scores(stages: Mapping[str, Any]) -> str:
    best = [(name, stage["best"]) for name, stage in stages.items() if "best" in stage]
    if not best:
        return ""
    names = [key for key in best[-1][1] if key != "step"]
    rows = [
        [stage, f"{found['step']}", *(f"{found.get(key, float('nan')):.2f}" for key in names)] for stage, found in best
    ]
    return (
        "Validation while it was trained, of what it wrote; the weights of these steps were taken:\n\n"
        + _table(["stage", "step", *names], rows)
        + "\n\n"
    )


def _terms(license: str, base: Mapping[str, Any] | None) -> str:
    own = f"Licence: {license}." if license else "No licence was stated for it."
    if base is None:
        return own
    return (
        f"{own} It contains or needs {base['name']} with its vision tower and language model: their licences bind "
        "whoever uses it, and so do the terms of the data it learnt from."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

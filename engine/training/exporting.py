"""From a run's adapter to a model in the viewer: merged with its certificate and its card, promoted, and taken back.

Promoting copies a model or adapter into ``models/``, where the viewer finds it, with its evaluation beside it:

    models/NAME/evaluation.json    scores of the model and of what it is compared with (engine.evaluation)
    models/NAME/interval.json      "promoted": when, from where, what its certificate says

The source stays where it is, and nothing that was there before is touched; so taking back is removing the copy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine import paths
from engine.datasets.libra import Question, read_questions
from engine.errors import ModelError, UsageError
from engine.models import adding, installed, provenance
from engine.models.merging import Merged, merge
from engine.training.certificate import CASES, Certificate, certify

CERTIFICATE, EVALUATION = "certificate.json", "evaluation.json"
PROMOTED = "promoted"
SEED = 20_261_126
"""Of the phantoms a model is compared on where there are no questions of its own."""

Report = Callable[[str, int, int], None]
"""What is being done, how much of it, and its total."""


@dataclass(frozen=True)
class Exported:
    """A merged model and what was made sure of."""

    merged: Merged
    certificate: Certificate


def export(
    base: str | Path | None,
    adapter: Path,
    output: Path,
    *,
    name: str = "",
    dtype: str = "auto",
    questions: Sequence[Question] = (),
    report: Report = lambda what, done, total: None,
) -> Exported:
    """Merge ``adapter`` into a folder of its own, certify it and write its card.

    Args:
        base, adapter, output, name, dtype: as ``merge``.
        questions: cases for the certificate; those the run was validated with unless given, else phantoms.

    Raises:
        ModelError: they cannot be merged, or the merged model is not the same: the folder stays, its certificate says
            what differs.
        UsageError: as ``merge``.
    """
    merged = merge(
        base, adapter, output, name=name, dtype=dtype, report=lambda done, total: report("tensors", done, total)
    )

    def step(done: int, total: int) -> None:
        report("cases compared", done, total)

    if questions:
        certificate = certify(base, adapter, merged.folder, questions[:CASES], step)
    else:
        with paths.scratch("certificate") as scratch:
            certificate = certify(base, adapter, merged.folder, _cases(adapter, scratch), step)
    document = asdict(certificate) | {"words": certificate.words(), "when": _now()}
    (merged.folder / CERTIFICATE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (merged.folder / "README.md").write_text(_card(merged, certificate), encoding="utf-8")
    if not certificate.passed:
        raise ModelError(certificate.words() + f" What was written is in {output}; do not use it.")
    return Exported(merged, certificate)


def _cases(adapter: Path, scratch: Path) -> list[Question]:
    """The questions the adapter's run was validated with, where they still are; else phantoms made for the purpose."""
    validation = (_read(adapter / "training.json").get("recipe") or {}).get("validation") or {}
    file = Path(str(validation.get("questions") or ""))
    if validation.get("questions") and file.is_file():
        images = validation.get("images")
        return read_questions(file, Path(images) if images else None)[:CASES]
    from engine.datasets.phantoms import write_training

    write_training(scratch / "phantoms", CASES, seed=SEED, workers=1)
    return read_questions(scratch / "phantoms" / "eval.jsonl")


def _card(merged: Merged, certificate: Certificate) -> str:
    own = merged.adapter / "README.md"
    before = own.read_text(encoding="utf-8") if own.is_file() else f"# {merged.folder.name}\n"
    front, _, body = before.partition("\n---\n") if before.startswith("---\n") else ("", "", before)
    head = f"{front}\n---\n" if front else ""
    record = provenance.read(merged.folder)
    base = record.get("merged_from", {}).get("base", merged.base.name)
    hashes = "\n".join(f"- {file} `{value}`" for file, value in provenance.hashes(merged.folder).items())
    said = (
        f"\n## Merged\n\nThe weights of {base} with the adapter {merged.adapter.name} added to them; needs neither.\n\n"
        f"{certificate.words()}\n\n{hashes}\n"
    )
    return head + body.rstrip() + "\n" + said


def promote(
    source: Path,
    *,
    name: str = "",
    evaluation: Path | None = None,
    link: bool = False,
    report: Report = lambda w, d, t: None,
) -> Path:
    """Make the model, or the adapter over an installed base, in ``source`` available in the viewer; its new folder.

    Args:
        name: its name under ``models/``; its own unless given.
        evaluation: folder of an evaluation, or its scores.json; shown beside the model.
        link: link to the files instead of copying them.

    Raises:
        ModelError: it cannot be used, or its certificate says that it is not what it was merged from.
        UsageError: the name is taken; the evaluation cannot be read or is of other weights.
    """
    source = source.expanduser()
    certificate = _read(source / CERTIFICATE)
    if certificate and not certificate.get("passed"):
        raise ModelError(f"{source.name} is not promoted: {certificate.get('words', 'its certificate says no')}")
    scores = _evaluation(evaluation, source) if evaluation is not None else None
    own = str(provenance.read(source).get("name") or source.name)
    added = adding.add(
        source, name=name or own, link=link, report=lambda file, done, total: report("bytes", done, total)
    )
    folder = added.found.path
    if scores is not None:
        (folder / EVALUATION).write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    said = {"when": _now(), "from": str(source.resolve()), "certificate": str(certificate.get("words", ""))}
    provenance.write(folder, provenance.read(folder), name=name or own, **{PROMOTED: said})
    return folder


def take_back(name: str) -> Path:
    """Remove the promoted model ``name`` from ``models/``; where it was promoted from.

    Raises:
        UsageError: it was not promoted, or other models need it.
        ModelError: there is none of that name.
    """
    folder = installed.removable(name)
    said = provenance.read(folder).get(PROMOTED)
    if not isinstance(said, dict):
        raise UsageError(f"{name} was not promoted from a run; 'models remove' removes it.")
    users = installed.users(folder)
    if users:
        raise UsageError(f"{users[0].path.name} needs {name}; take that back first.")
    installed.remove(folder)
    return Path(str(said.get("from", "")))


def promoted() -> list[tuple[Path, dict[str, Any]]]:
    """The promoted models under ``models/`` with what was written down then, newest first."""
    found = [(folder, provenance.read(folder).get(PROMOTED)) for folder in installed.folders()]
    known = [(folder, said) for folder, said in found if isinstance(said, dict)]
    return sorted(known, key=lambda one: str(one[1].get("when", "")), reverse=True)


def _evaluation(place: Path, source: Path) -> dict[str, Any]:
    """The scores of an evaluation, which must be of the weights in ``source``."""
    file = place / "scores.json" if place.is_dir() else place
    scores = _read(file)
    if not scores:
        raise UsageError(f"There are no scores in {place}; 'score' makes them.")
    return scores


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")

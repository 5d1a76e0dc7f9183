"""From a run's adapter to a model in the viewer: merged with its certificate and its card, promoted, and taken back.

Promoting copies a model or adapter into ``models/``, where the viewer finds it, with its evaluation beside it:

    models/NAME/evaluation.json    scores of the model and of what it is compared with (engine.evaluation)
    models/NAME/interval.json      "promoted": when, from where, what its certificate says, which evaluation it is

The source stays where it is, and nothing that was there before is touched; so taking back is removing the copy. What is
shown beside a model is of that model: certificate and evaluation name the weights they are of, and others are refused.
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
from engine.models import adding, installed, promotion, provenance, stored
from engine.models.identity import fingerprint
from engine.models.merging import Merged, merge
from engine.models.promotion import CERTIFICATE, EVALUATION, OF_MERGED, PROMOTED
from engine.models.recognition import ModelFolder
from engine.models.survey import survey
from engine.training.certificate import CASES, Certificate, certify

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
    quantization: str = "none",
    questions: Sequence[Question] = (),
    report: Report = lambda what, done, total: None,
) -> Exported:
    """Merge ``adapter`` into a folder of its own, certify it and write its card.

    Args:
        base, adapter, output, name, dtype, quantization: as ``merge``.
        questions: cases for the certificate; those the run was validated with unless given, else phantoms.

    Raises:
        ModelError: they cannot be merged, or the merged model is not the same (a quantised one: is broken): the folder
            stays, its certificate says what differs.
        UsageError: as ``merge``.
    """
    merged = merge(
        base, adapter, output, name=name, dtype=dtype, quantization=quantization,
        report=lambda done, total: report("tensors", done, total),
    )  # fmt: skip

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
    validation = (promotion.content(adapter / "training.json").get("recipe") or {}).get("validation") or {}
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
    made_of = record.get(OF_MERGED, {})
    base, adapter = made_of.get("base", merged.base.name), made_of.get("adapter", merged.adapter.name)
    hashes = "\n".join(f"- {file} `{value}`" for file, value in provenance.hashes(merged.folder).items())
    method = certificate.quantization
    quantised = "" if method == "none" else f" The language model's layers are stored in {method}."
    said = (
        f"\n## Merged\n\nThe weights of {base} with the adapter {adapter} added to them; needs neither."
        f"{quantised}\n\n{certificate.words()}\n\n{hashes}\n"
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
        ModelError: it cannot be used, or its certificate says that it is not what it was merged from, is missing, or is
            of other weights.
        UsageError: the name is taken or cannot be one; the evaluation cannot be read or is of other weights.
    """
    source = source.expanduser()
    own = name or str(provenance.read(source).get("name") or source.name)
    if "/" in own:
        raise UsageError(f"{own!r} cannot be the name of a model in the viewer: it holds a slash.")
    certificate = promotion.content(source / CERTIFICATE)
    _check_verdict(source, certificate)
    found = survey(source)
    found.check()
    if certificate and found.model is not None and certificate.get("sha256") != fingerprint(found.model):
        raise ModelError(f"{source.name} is not promoted: its certificate is of other weights. Merge it again.")
    scores, about = _evaluation(evaluation, found.model, certificate) if evaluation is not None else ({}, None)
    added = adding.add(source, name=own, link=link, report=lambda file, done, total: report("bytes", done, total))
    folder = added.found.path
    said = {
        "when": _now(),
        "from": str(source.resolve()),
        "certificate": str(certificate.get("words", "")),
        "evaluation": about,
    }
    try:
        # Never one that came along, or the file that a link leads to.
        (folder / EVALUATION).unlink(missing_ok=True)
        if scores:
            (folder / EVALUATION).write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        provenance.write(folder, provenance.read(folder), name=own, **{PROMOTED: said})
    except BaseException:
        installed.remove(folder)
        raise
    return folder


def _check_verdict(source: Path, certificate: dict[str, Any]) -> None:
    """Raise ModelError where a merged model was found to be another one, or was never compared."""
    if certificate and not certificate.get("passed"):
        raise ModelError(f"{source.name} is not promoted: {certificate.get('words', 'its certificate says no')}")
    if not certificate and OF_MERGED in provenance.read(source):
        raise ModelError(
            f"{source.name} is not promoted: it was merged and never compared with base and adapter. Merge it again."
        )


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


def _evaluation(
    place: Path, model: ModelFolder | None, certificate: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The scores of an evaluation and which of its models they are of.

    Raises UsageError where none of its models has the weights of ``model``, or of the adapter it was merged from.
    """
    file = place / "scores.json" if place.is_dir() else place
    scores = promotion.content(file)
    if not scores:
        raise UsageError(f"There are no scores in {place}; 'score' makes them.")
    if model is None:
        raise UsageError("Only a model that writes reports has an evaluation.")
    made_of, method = str(certificate.get("made_of", "")), stored.method(model.weights)
    named = promotion.contender(scores, fingerprint(model), made_of, method)
    name = file.resolve().parent.name
    if named is None:
        others = ", ".join(scores.get("models", {})) or "no model"
        raise UsageError(
            f"The evaluation {name} is of other weights than those of {model.name}: it holds {others}. Evaluate "
            f"{model.name} first, or promote it without an evaluation."
        )
    return scores, {"name": name, "of": named[0], "basis": named[1]}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")

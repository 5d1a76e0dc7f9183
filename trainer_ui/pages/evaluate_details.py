"""Who answered what, and how it was computed: what somebody needs who is to believe the figures, or to repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from engine.evaluation.statistics import RESAMPLES
from engine.remote.address import provenance
from trainer_ui import errors
from trainer_ui.components import tables
from trainer_ui.components.tables import Cell, Line, Row
from trainer_ui.components.words import literal
from trainer_ui.services import evaluation_words, evaluations
from trainer_ui.services.evaluation_words import PRIORS
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.score_sheet import Sheet, System

METHOD = (
    f"Intervals are percentiles of {RESAMPLES:,} draws of patients with replacement, all studies of a patient "
    "together; scores of the whole set (BLEU, F1) are computed anew in each draw. They say how sure a figure is for "
    "patients like these.",
    f"Differences are over the same draws for both; p is two-sided, from {RESAMPLES:,} exchanges of the two systems' "
    f"texts patient by patient, so that the smallest p is {1 / (RESAMPLES + 1):.4f}. It is corrected after Holm over "
    "all models and tested scores together.",
)
FILES = {
    "questions": "Questions",
    "references": "Reference texts",
    "truth": "What is true of each study",
    "training": "Training file, for the usual normal report",
}


def show(one: Evaluation, sheet: Sheet) -> None:
    """Systems, questions, method."""
    st.subheader("Who answered", anchor=False)
    head = ["System", "Made from", "Weights, sha256", "Precision", "Scored", "Left out", "Cut off", "Seconds", "Folder"]
    tables.show(head, [_system(system, sheet) for system in sheet.systems], wide=(8,))
    st.caption("Cut off: answers that ended because they were too long. Seconds: of half of the answers at most.")
    notes = [f"{system.title}: {system.note}" for system in sheet.systems if system.note]
    notes += list(dict.fromkeys(note for system in sheet.scored for note in system.notes))
    for note in notes:
        st.markdown(literal(note if note.endswith(".") else f"{note}."))
    with errors.shown():
        _left_out(one)
    asked(one)
    st.subheader("How it was computed", anchor=False)
    for sentence in METHOD:
        st.markdown(literal(sentence))


def _left_out(one: Evaluation) -> None:
    """Questions that were not answered, and why."""
    found = evaluations.left_out(one.path)
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, said in found.items():
        for identity, reason in said.items():
            reasons.setdefault((identity, reason), []).append(name)
    if not reasons:
        return
    with st.expander(f"Questions left out ({len({identity for identity, _ in reasons}):,})", key="left-out"):
        table = {
            "Question": [identity for identity, _ in reasons],
            "By": [", ".join(names) for names in reasons.values()],
            "Why": [reason for _, reason in reasons],
        }
        st.dataframe(table, hide_index=True, key="left-out-table", height=min(320, 38 + 35 * len(reasons)))


def asked(one: Evaluation) -> None:
    """What the models were asked, and the command that goes on with it."""
    document = evaluations.document(one.path)
    said = document.get("asked") or {}
    st.subheader("What was asked", anchor=False)
    rows = [Row(title, [_file(said[key])]) for key, title in FILES.items() if said.get(key)]
    rows.append(Row("Images", [tables.text(str(said.get("images") or "relative to the questions' own folder"))]))
    rows.append(Row("Shown as prior", [tables.text(PRIORS.get(said.get("prior", "true"), "not known"))]))
    rows.append(Row("How many", [tables.text(f"the first {said['limit']:,}" if said.get("limit") else "all")]))
    rows.append(Row("Choosing the words", [tables.text(_decoding(said.get("decoding") or {}))]))
    tables.show(["", "as the evaluation was begun"], rows, wide=(1,))
    with errors.shown():
        st.caption("In a terminal this goes on with it and scores it")
        command = evaluation_words.command(evaluation_words.rebuilt(document, one.path))
        st.code(command, language=None, wrap_lines=True)


def _system(system: System, sheet: Sheet) -> Row:
    if system.baseline:
        cells: list[Cell] = [
            tables.text("no model"),
            *(tables.text("") for _ in range(2)),
            tables.text(str(system.studies)),
        ]
        return Row(system.title, [*cells, *(tables.text("") for _ in range(4))])
    about = system.about
    served = str(about.get("served") or "")
    precision = "; ".join(system.precisions).replace(", none", "")
    seconds = "" if system.seconds is None else f"{system.seconds:.1f}"
    prompt = [Line(f"“{system.prompt}”", "small")] if system.prompt else []
    name = [str(about.get("model") or ""), *([str(about["adapter"])] if about.get("adapter") else [])]
    return Row(
        system.title,
        [
            tables.text(str(about.get("tuned_from") or "–")),
            tables.text(provenance(served) if served else str(about.get("sha256") or "")[:12]),
            tables.text(precision),
            tables.text(f"{system.studies:,} of {sheet.studies:,}"),
            tables.text(f"{system.left_out:,}"),
            tables.text(f"{system.cut_off:,}"),
            tables.text(seconds),
            [*(Line(one, "small") for one in name), *prompt],
        ],
    )


def _file(said: Mapping[str, Any]) -> Cell:
    path = Path(str(said.get("file", "")))
    return [
        Line(path.name),
        Line(f"{path.parent}", "small"),
        Line(f"sha256 {str(said.get('sha256', ''))[:12]}", "small"),
    ]


def _decoding(settings: Mapping[str, Any]) -> str:
    rest = dict(settings)
    beams, temperature = int(rest.pop("num_beams", 1)), float(rest.pop("temperature", 0))
    how = "the likeliest word each time" if beams == 1 else f"search with {beams} beams"
    how = f"at random with temperature {temperature:g}" if temperature else how
    longest = rest.pop("max_new_tokens", None)
    rest.pop("num_return_sequences", None)
    more = [f"at most {longest} tokens an answer"] if longest else []
    return ", ".join([how, *more, *(f"{name.replace('_', ' ')} {value}" for name, value in rest.items())])

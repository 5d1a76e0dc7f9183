"""The models that were promoted: since when, from where, how they did, and taking them back."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from engine.models.promotion import Evaluated, Figure, Promotion
from trainer_ui import errors
from trainer_ui.components import jobs_panel, tables
from trainer_ui.components.numbers import counted
from trainer_ui.components.words import literal
from trainer_ui.services import promoting

VERDICTS: dict[str, tuple[str, tables.Tone]] = {
    "better": ("better", "good"),
    "worse": ("worse", "bad"),
    "unclear": ("may be chance", "small"),
    "": ("", "plain"),
}


def show() -> None:
    """The list."""
    found = promoting.promoted()
    if not found:
        st.info("No model has been promoted yet. An exported model, or an adapter, is promoted from where it is shown.")
    for one in found:
        with st.container(border=True, key=f"promoted-{one.name}"), errors.shown():
            _promotion(one)


def _promotion(one: Promotion) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(one.name)}**", width="content")
        if one.demonstration:
            st.badge("demonstration", color="yellow")
        st.caption(f"promoted {_when(one.when)}", width="content")
        _take_back(one)
    st.caption(literal(f"from {one.source}"))
    if one.certificate:
        st.markdown(literal(one.certificate))
    if one.evaluated is None:
        st.warning("It was promoted without an evaluation: nobody in the viewer sees how good it is.")
    else:
        _evaluated(one.evaluated)


def _take_back(one: Promotion) -> None:
    if promoting.going(one.name):
        st.caption("is being taken back", width="content")
        return
    with st.popover("Take back", key=f"take-back-{one.name}"):
        st.markdown(
            "The viewer lists it no more. A draft that is being written is finished first; drafts and reports it has "
            "written stay in the history. The folder it was promoted from stays as well."
        )
        if st.button("Take it back", key=f"take-back-now-{one.name}", type="primary"):
            with errors.shown():
                jobs_panel.open_job(promoting.take_back(one.name).id)
                st.rerun()


def _evaluated(found: Evaluated) -> None:
    of = "" if found.basis == "weights" else ", of the adapter it was merged from"
    patients = f" of {counted(found.patients, 'patient')}" if found.patients else ""
    st.caption(
        literal(
            f"Evaluation {found.name}{of}: {counted(found.studies, 'study', 'studies')}{patients}. In brackets: 95 %."
        )
    )
    head = ["Score", "This model"] + ([f"{found.against}, its base", "Difference"] if found.against else [])
    rows = []
    for figure in found.few:
        cells = [_cell(figure.value, figure.interval, figure.unit)]
        if found.against:
            cells += [_cell(figure.base, figure.base_interval, figure.unit), _gain(figure)]
        note = "lower is better" if figure.better == "lower" else ""
        rows.append(tables.Row(figure.title, cells, note=note))
    tables.show(head, rows)


def _cell(value: float | None, interval: tuple[float, float] | None, unit: str) -> tables.Cell:
    if value is None:
        return [tables.Line("n/a", "small")]
    places = 1 if unit == "%" else 2
    lines = [tables.Line(f"{value:.{places}f} {unit}".strip())]
    if interval is not None:
        lines.append(tables.Line(f"[{interval[0]:.{places}f} to {interval[1]:.{places}f}]", "small"))
    return lines


def _gain(figure: Figure) -> tables.Cell:
    if figure.gain is None:
        return [tables.Line("n/a", "small")]
    lines = [tables.Line(f"{figure.gain:+.1f}")]
    if figure.gain_interval is not None:
        lines.append(tables.Line(f"[{figure.gain_interval[0]:+.1f} to {figure.gain_interval[1]:+.1f}]", "small"))
    words, tone = VERDICTS[figure.verdict]
    return [*lines, tables.Line(words, tone)] if words else lines


def _when(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return literal(text) or "at an unknown time"

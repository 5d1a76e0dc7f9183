"""The evaluations there are: what is going on or can be gone on with, and the table to choose one from."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components.words import literal
from trainer_ui.pages import evaluate_one
from trainer_ui.services import evaluations
from trainer_ui.services.evaluations import Evaluation

EVALUATION = "evaluation"
EVERY_S = 2.0
ROW_HEIGHT = 33
MOST_ROWS = 14


def show() -> None:
    """What wants attention first, then all of them."""
    found = evaluations.overview()
    if not found:
        st.info("There is no evaluation yet. *New evaluation* begins one: models, questions, and what is true of them.")
        return
    live = any(one.live for one in found)
    st.fragment(_list, run_every=EVERY_S if live else None)(evaluations.signature(found))


def _list(drawn: evaluations.Signature) -> None:
    with errors.shown():
        found = evaluations.overview()
        if evaluations.signature(found) != drawn:
            st.rerun()
        for one in found:
            if one.live or one.resumable or one.where == "answered" or not one.begun:
                with st.container(border=True, key=f"evaluation-{one.name}"):
                    _unfinished(one)
        begun = [one for one in found if one.begun]
        if begun:
            _table(begun)


def _unfinished(one: Evaluation) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(one.name)}**")
        st.badge(one.words, color=one.colour)
    evaluate_one.progress(one)
    with st.container(horizontal=True, vertical_alignment="center"):
        evaluate_one.act_buttons(one, where="list")
        if one.begun and st.button("Open", key=f"open-evaluation-{one.name}"):
            _open(one.name)


def _table(found: list[Evaluation]) -> None:
    event = st.dataframe(
        {
            "Evaluation": [one.name for one in found],
            "State": [one.words for one in found],
            "Begun": [one.when for one in found],
            "Answers": ["; ".join(answers.words for answers in one.models) or None for one in found],
            "Questions": [one.questions or None for one in found],
        },
        hide_index=True,
        key="evaluations-table",
        on_select="rerun",
        selection_mode="single-cell",
        height=min(MOST_ROWS, len(found) + 1) * ROW_HEIGHT + 4,
        column_config={"Evaluation": st.column_config.TextColumn(width="medium", pinned=True)},
        placeholder="–",
        alt="All evaluations, those at work first",
    )
    st.caption("Click an evaluation to open it.")
    cells = event["selection"]["cells"]
    if cells and cells[0][0] < len(found):
        _open(found[cells[0][0]].name)


def _open(name: str) -> None:
    st.query_params[EVALUATION] = name
    st.rerun()

"""The training page: a new run, the runs there are, and runs held against each other.

What is shown stands in the address: ``?view=new`` or ``compare``, ``?run=NAME`` for one run. It is found again after a
reload, in another window, by another studio.
"""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import frame, jobs_panel
from trainer_ui.pages import train_compare, train_new, train_runs
from trainer_ui.services import runs

VIEWS = {"runs": "Runs", "new": "New run", "compare": "Compare"}
VIEW, RUN = "view", "run"
_KEY = "train-view"


def show() -> None:
    """The page."""
    frame.head(
        "Train",
        "A model learns from a data set. A run goes on when this page is closed, can be stopped and taken up again, "
        "and keeps what it was when it was at its best.",
    )
    main, side = st.columns([8, 3], gap="large")  # curves and tables need more room than the jobs beside them
    with side:
        jobs_panel.show(addresses.TRAIN)
    with main, errors.shown():
        view = _view()
        with st.container(key=f"train-{view}"), errors.shown():
            {"runs": train_runs.show, "new": train_new.show, "compare": train_compare.show}[view]()


def _view() -> str:
    named = st.query_params.get(VIEW, "")
    if named not in VIEWS:
        named = "runs" if RUN in st.query_params or runs.overview() else "new"
    st.session_state[_KEY] = named
    st.segmented_control(
        "Part of the page",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        required=True,
        key=_KEY,
        on_change=_turn,
        label_visibility="collapsed",
    )
    return named


def _turn() -> None:
    st.query_params[VIEW] = st.session_state[_KEY]
    st.query_params.pop(RUN, None)

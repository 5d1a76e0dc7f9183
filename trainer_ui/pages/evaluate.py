"""The evaluation page: a new one, those there are, and one of them with its scores and its cases.

What is shown stands in the address: ``?view=new`` or ``list``, ``?evaluation=NAME`` for one. ``?run=NAME`` and
``?set=NAME`` fill in a new one. It is found again after a reload, in another window, by another studio.
"""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import frame, views
from trainer_ui.pages import evaluate_list, evaluate_new, evaluate_one
from trainer_ui.services import evaluations

VIEWS = {"list": "Evaluations", "new": "New evaluation"}
VIEW, EVALUATION, RUN, SET = "view", "evaluation", "run", "set"


def show() -> None:
    """The page."""
    if EVALUATION in st.query_params:
        with errors.shown():
            evaluate_one.show(st.query_params[EVALUATION])
        return
    frame.head(
        "Evaluate",
        "Models answer the same questions and are held against the reports of radiologists. Every score comes with its "
        "interval, and every difference is tested.",
    )
    with frame.beside_jobs(addresses.EVALUATE), errors.shown():
        view = views.choose(VIEWS, _first, page="evaluate", dropped=(RUN, SET))
        with st.container(key=f"evaluate-{view}"), errors.shown():
            {"list": evaluate_list.show, "new": evaluate_new.show}[view]()


def _first() -> str:
    """What is shown to somebody who has not chosen."""
    asked = RUN in st.query_params or SET in st.query_params
    return "list" if not asked and evaluations.overview() else "new"

"""The training page: a new run, the runs there are, and runs held against each other.

What is shown stands in the address: ``?view=new`` or ``compare``, ``?run=NAME`` for one run. It is found again after a
reload, in another window, by another studio.
"""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import frame, jobs_panel, views
from trainer_ui.pages import train_compare, train_new, train_runs
from trainer_ui.services import runs

VIEWS = {"runs": "Runs", "new": "New run", "compare": "Compare"}
VIEW, RUN = "view", "run"


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
        view = views.choose(VIEWS, _first, page="train", dropped=(RUN,))
        with st.container(key=f"train-{view}"), errors.shown():
            {"runs": train_runs.show, "new": train_new.show, "compare": train_compare.show}[view]()


def _first() -> str:
    """What is shown to somebody who has not chosen."""
    return "runs" if RUN in st.query_params or runs.overview() else "new"

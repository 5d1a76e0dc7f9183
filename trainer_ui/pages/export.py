"""The export page: making a model of what was learnt, the models that were made, and those in the viewer.

What is shown stands in the address: ``?view=make``, ``models`` or ``viewer``; ``?run=NAME`` chooses a run to begin
with, ``?model=NAME`` opens an exported model.
"""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import frame, jobs_panel, views
from trainer_ui.pages import export_make, export_models, export_viewer
from trainer_ui.services import exports, promoting

VIEWS = {"make": "Make", "models": "Exported models", "viewer": "In the viewer"}
VIEW, RUN, MODEL = "view", "run", "model"


def show() -> None:
    """The page."""
    frame.head(
        "Export",
        "What a run has learnt becomes a model that anybody can use, with proof that it is the same. Promoted, the "
        "viewer offers it with its scores beside it. A promotion can be taken back.",
    )
    main, side = st.columns([8, 3], gap="large")  # hashes and tables need more room than the jobs beside them
    with side:
        jobs_panel.show(addresses.EXPORT)
    with main, errors.shown():
        view = views.choose(VIEWS, _first, page="export", dropped=(RUN, MODEL))
        with st.container(key=f"export-part-{view}"), errors.shown():
            {"make": export_make.show, "models": export_models.show, "viewer": export_viewer.show}[view]()


def _first() -> str:
    """What is shown to somebody who has not chosen."""
    if RUN in st.query_params:
        return "make"
    if MODEL in st.query_params:
        return "models"
    if promoting.promoted():
        return "viewer"
    return "models" if exports.overview() else "make"

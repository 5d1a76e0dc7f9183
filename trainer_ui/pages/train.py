"""The training page."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import frame
from trainer_ui.services import datasets


def show() -> None:
    """The page."""
    frame.head(
        "Train",
        "A model learns from a data set. A run goes on when this page is closed, can be stopped and taken up again, "
        "and keeps what it was when it was at its best.",
    )
    with frame.beside_jobs(addresses.TRAIN), errors.shown():
        if not any(data.training for data in datasets.found()):
            st.info("A run needs samples to learn from, and there are none yet.")
            st.page_link(navigation.page(addresses.DATA), label="Make or add a data set")
        else:
            st.info("No run has been begun from here yet. A recipe begins one in a terminal:")
            st.code("python launch.py train RECIPE.yaml", language=None)

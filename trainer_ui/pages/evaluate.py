"""The evaluation page."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import frame
from trainer_ui.services import datasets


def show() -> None:
    """The page."""
    frame.head(
        "Evaluate",
        "Models answer the same questions and are held against the reports of radiologists. Every score comes with its "
        "interval, and every difference is tested.",
    )
    with frame.beside_jobs(addresses.EVALUATE), errors.shown():
        if not any(data.questions for data in datasets.found()):
            st.info("An evaluation needs questions with reference reports, and there are none yet.")
            st.page_link(navigation.page(addresses.DATA), label="Make or add a data set")
        else:
            st.info("No evaluation has been begun from here yet. In a terminal a model answers questions with:")
            st.code(
                "python launch.py evaluate --model MODEL --questions FILE.jsonl --output ANSWERS.jsonl", language=None
            )
